"""A release: an immutable folder with everything that serving needs. Its files are verified when it is opened."""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import ValidationError

from model_store.card import FORMAT_VERSION, Card
from model_store.exemplar_table import Exemplars, SourceImage
from model_store.index import ExemplarIndex

CARD, NETWORK, INDEX = "card.json", "network.onnx", "index.faiss"
EXEMPLARS, SOURCES, CHECKSUMS = "exemplars.npz", "sources.json", "checksums.json"
FEATURES, HEAD = "features.onnx", "head.npz"  # only in releases that can be adapted
IMAGES = "images"

_FIX = "copy or build the release again"


class ReleaseError(ValueError):
    """A release cannot be read or written. The message names the file, what was found, and the fix."""


@dataclass(frozen=True)
class Release:
    """An opened release.

    Attributes:
        path: folder of the release.
        card: origin of the release and settings for serving.
        exemplars: N labelled segments; 0 in a release that is still to be taught.
        sources: images of the exemplars; `exemplars.image_ids` are positions in this list.
    """

    path: Path
    card: Card
    exemplars: Exemplars
    sources: list[SourceImage]

    @classmethod
    def open(cls, path: Path | str, verify: bool = True) -> "Release":
        """Read a release.

        Args:
            path: folder of the release.
            verify: whether to compare every file with its checksum. If False, only the files read here are checked.

        Raises:
            ReleaseError: if a file is missing, truncated, altered, unlisted or unreadable, or the format is unknown.
        """
        path = Path(path)
        fields = _card_fields(path)
        if verify:
            _verify_files(path)
        card = _parse_card(path / CARD, fields)
        sources = _read_sources(path / SOURCES)
        exemplars = _read_exemplars(path / EXEMPLARS, card, len(sources))
        return cls(path, card, exemplars, sources)

    @property
    def network_path(self) -> Path:
        """Path of the network, an ONNX file."""
        return self.path / NETWORK

    @property
    def attachments(self) -> dict[str, Path]:
        """The files for adapting that this release has, by name: the feature extractor and the values of the head."""
        return {name: self.path / name for name in (FEATURES, HEAD) if (self.path / name).is_file()}

    @cached_property
    def index(self) -> ExemplarIndex:
        """The index of the exemplars, on the CPU.

        Raises:
            ReleaseError: if the file is unreadable or has other exemplars than the table.
        """
        file = self.path / INDEX
        try:
            return ExemplarIndex.load(file, self.exemplars.prototypes)
        except ValueError as error:
            raise ReleaseError(f"{file}: {error}; {_FIX}") from error

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each exemplar by its id."""
        return {exemplar_id: row for row, exemplar_id in enumerate(self.exemplars.ids)}

    def image_path(self, image_id: int) -> Path:
        """Path of a source image, by its position in `sources`.

        Raises:
            ValueError: if there is no image at this position.
        """
        if not 0 <= image_id < len(self.sources):
            raise ValueError(f"image_id={image_id} does not exist; the release has images 0..{len(self.sources) - 1}")
        return self.path / self.sources[image_id].file


def write_release(
    path: Path,
    card: Card,
    network_file: Path,
    exemplars: Exemplars,
    sources: Sequence[SourceImage],
    images: Iterable[tuple[str, bytes]],
    attachments: Mapping[str, Path] | None = None,
) -> Release:
    """Write a release into a temporary folder, move it to its path in one step, and open it.

    Args:
        path: folder of the release; it must not exist.
        card: card of the release. `card.retrieval.index_factory` sets the type of the index.
        network_file: ONNX file, which is copied.
        exemplars: the exemplars; there may be none, with prototypes [0, D].
        sources: images of the exemplars.
        images: file name and content of each source image; the names are those in `sources`.
        attachments: files to copy beside the network, by name; see `Release.attachments`.

    Raises:
        ReleaseError: if the folder exists, or the written release cannot be opened.
    """
    path = Path(path)
    if path.exists():
        raise ReleaseError(f"{path} exists, and a release is never overwritten; give another folder, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        (folder / IMAGES).mkdir()
        for image, content in images:
            (folder / image).write_bytes(content)
        for name, file in {NETWORK: network_file, **(attachments or {})}.items():
            shutil.copyfile(file, folder / name)
        exemplars.save(folder / EXEMPLARS)
        ExemplarIndex.build(exemplars.prototypes, card.retrieval.index_factory).save(folder / INDEX)
        _write_json(folder / SOURCES, [asdict(source) for source in sources])
        _write_json(folder / CARD, card.model_dump(mode="json"))
        _write_json(folder / CHECKSUMS, {file: _sha256(folder / file) for file in _files(folder)})
        Release.open(folder)
        folder.chmod(0o755)  # temporary folders are readable only by their owner
        os.replace(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Release.open(path, verify=False)


def read_card(path: Path) -> Card:
    """Read only the card of a release.

    Raises:
        ReleaseError: if it is missing, unreadable, of an unknown format, or lacks a field.
    """
    return _parse_card(path / CARD, _card_fields(path))


def _card_fields(path: Path) -> dict[str, Any]:
    """Fields of the card; the format version is checked."""
    if not path.is_dir():
        raise ReleaseError(f"{path} is not a folder; give the folder of a release, which `segsort build --out` writes")
    fields = _read_json(path / CARD)
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if version != FORMAT_VERSION or not isinstance(fields, dict):
        raise ReleaseError(
            f"{path / CARD} has format_version {version!r}, but this software reads {FORMAT_VERSION}; use the software "
            "that wrote it, or build the release again"
        )
    return fields


def _parse_card(file: Path, fields: dict[str, Any]) -> Card:
    try:
        return Card.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole card"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        found = f", found {str(first['input'])[:80]!r}" if first["type"] != "missing" else ""
        raise ReleaseError(f"{file}, field {where}: {first['msg']}{found}{more}; {_FIX}") from error


def _verify_files(path: Path) -> None:
    """Compare every file of a release with its checksum."""
    listed = _read_json(path / CHECKSUMS)
    if not isinstance(listed, dict) or not all(isinstance(digest, str) for digest in listed.values()):
        raise ReleaseError(f"{path / CHECKSUMS} is not an object of file: SHA-256; {_FIX}")
    present = set(_files(path))
    for file in (CARD, NETWORK, INDEX, EXEMPLARS, SOURCES):
        if file not in listed:
            raise ReleaseError(f"{path / CHECKSUMS} does not list {file}, which every release has; {_FIX}")
    for file, digest in listed.items():
        if file not in present:
            raise ReleaseError(f"{path / file} is missing, though {CHECKSUMS} lists it; {_FIX}")
        found = _sha256(path / file)
        if found != digest:
            raise ReleaseError(
                f"{path / file} was altered or truncated: it has {(path / file).stat().st_size} bytes with SHA-256 "
                f"{found[:16]}..., but {CHECKSUMS} lists {digest[:16]}...; {_FIX}"
            )
    extra = sorted(present - listed.keys())
    if extra:
        raise ReleaseError(
            f"{path / extra[0]} is not listed in {CHECKSUMS}, and a release is immutable; move the file elsewhere"
        )


def _read_sources(file: Path) -> list[SourceImage]:
    entries = _read_json(file)
    try:
        sources = [SourceImage(**entry) for entry in entries]
    except TypeError as error:
        raise ReleaseError(f"{file} is not a list of images with file, source, width and height; {_FIX}") from error
    for source in sources:
        parts = PurePosixPath(source.file).parts
        if len(parts) != 2 or parts[0] != IMAGES or parts[1] == "..":
            raise ReleaseError(f"{file} names the image {source.file!r}, which must be in {IMAGES}/; {_FIX}")
        if not (file.parent / source.file).is_file():
            raise ReleaseError(f"{file.parent / source.file} is missing, though {SOURCES} names it; {_FIX}")
    return sources


def _read_exemplars(file: Path, card: Card, images: int) -> Exemplars:
    """Read the exemplars and check them against the card and the number of images."""
    try:
        exemplars = Exemplars.load(file)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ReleaseError(f"{file} cannot be read: {error}; {_FIX}") from error
    if exemplars.prototypes.shape[1] != card.network.dimension:
        raise ReleaseError(
            f"{file} has prototypes of shape {exemplars.prototypes.shape}; they must have the "
            f"{card.network.dimension} dimensions of the network; {_FIX}"
        )
    for name, values, count in (
        ("class_ids", exemplars.class_ids, len(card.classes)),
        ("image_ids", exemplars.image_ids, images),
    ):
        if len(values) and (values.min() < 0 or values.max() >= count):
            raise ReleaseError(
                f"{file} has {name} from {values.min()} to {values.max()}; allowed are 0..{count - 1}; {_FIX}"
            )
    if not np.isfinite(exemplars.prototypes).all():
        raise ReleaseError(f"{file} has prototypes with values that are not finite; {_FIX}")
    return exemplars


def _files(folder: Path) -> list[str]:
    """All files below a folder except the checksums, as relative paths with forward slashes."""
    found = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    return sorted(file for file in found if file != CHECKSUMS)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReleaseError(f"{file} is missing; every release has one; {_FIX}") from error
    except (ValueError, OSError) as error:
        raise ReleaseError(f"{file} is not readable JSON ({error}); {_FIX}") from error


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
