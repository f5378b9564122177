"""A release: an immutable folder with everything that serving needs. Its files are verified when it is opened."""

import errno
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from model_store.candidates import is_shard_of, shard_files
from model_store.card import FORMAT_VERSION, Card
from model_store.exemplar_table import Exemplars, SourceImage
from model_store.index import Effort, ExemplarIndex
from model_store.mapped_columns import all_finite
from model_store.recall import tuned
from model_store.unfinished import is_being_written, unfinished

CARD, NETWORK, INDEX = "card.json", "network.onnx", "index.faiss"
EXEMPLARS, SOURCES, CHECKSUMS = "exemplars.npz", "sources.json", "checksums.json"
QUANTISED = "network.int8.onnx"  # the network in bytes, in some releases
FEATURES, HEAD = "features.onnx", "head.npz"  # only in releases that can be adapted
IMAGES = "images"

_DECIDING = ("name", "classes", "retired", "preprocessing", "sorting", "retrieval", "calibration")  # fields of the card

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
        digest: SHA-256 of the content, see `read_digest`. It identifies the release; its name may be given again.
    """

    path: Path
    card: Card
    exemplars: Exemplars
    sources: list[SourceImage]
    digest: str

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
        return cls(path, card, exemplars, sources, _digest(fields, _checksums(path)))

    @classmethod
    def open_without_network(cls, path: Path, digest: str) -> "Release":
        """Read a copy of a release that may lack its network, its index, and the files for adapting.

        Its exemplars and images can be looked up. It cannot label images.

        Args:
            path: folder of the copy.
            digest: of the release.

        Raises:
            ReleaseError: if a file is missing or altered, or the copy is one of another release.
        """
        fields, listed = _card_fields(path), _checksums(path)
        if _digest(fields, listed) != digest:
            raise ReleaseError(f"{path} is not a copy of the release with digest {digest[:16]}...; {_FIX}")
        for file, expected in listed.items():
            if file not in (NETWORK, QUANTISED, FEATURES, HEAD) and not is_shard_of(file, INDEX):
                _verify_file(path, file, expected)
        card, sources = _parse_card(path / CARD, fields), _read_sources(path / SOURCES)
        return cls(path, card, _read_exemplars(path / EXEMPLARS, card, len(sources)), sources, digest)

    @property
    def network_path(self) -> Path:
        """Path of the network, an ONNX file."""
        return self.path / NETWORK

    @property
    def quantised_path(self) -> Path:
        """Path of the network in bytes, which is there if the card describes it."""
        return self.path / QUANTISED

    @property
    def has_network(self) -> bool:
        """Whether its network is there. A kept copy has none, see `model_store.kept`."""
        return self.network_path.is_file()

    @property
    def attachments(self) -> dict[str, Path]:
        """The files beside the network that this release has, by name.

        They are the network in bytes and, for adapting, the feature extractor and the values of the head.
        """
        return {name: self.path / name for name in (QUANTISED, FEATURES, HEAD) if (self.path / name).is_file()}

    @cached_property
    def index(self) -> ExemplarIndex:
        """The index of the exemplars, on the CPU.

        Raises:
            ReleaseError: if a file is missing, unreadable or has other exemplars than the table.
        """
        file, card = self.path / INDEX, self.card
        effort = Effort(card.retrieval.nprobe, card.retrieval.rerank or 1, card.calibration.known_threshold)
        files = shard_files(file, card.retrieval.shards)
        try:
            return ExemplarIndex.load(files, self.exemplars.prototypes, on_disk=card.retrieval.on_disk, effort=effort)
        except ValueError as error:
            raise ReleaseError(f"{file}: {error}; {_FIX}") from error

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Row of each exemplar by its id."""
        return self.exemplars.rows()

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
        card: card of the release. `card.retrieval` sets the type of the index. If it is approximate, the written card
            states the effort of a search, which is chosen unless it is given, and what is found with it.
        network_file: ONNX file, which is copied.
        exemplars: the exemplars; there may be none, with prototypes [0, D].
        sources: images of the exemplars.
        images: file name and content of each source image; the names are those in `sources`.
        attachments: files to copy beside the network, by name; see `Release.attachments`. Without a network in bytes,
            the written card has none.

    Raises:
        ReleaseError: if the folder exists or another process writes it, the card does not describe the network in bytes
            among the attachments, or the written release cannot be opened.
    """
    path, attachments = Path(path), attachments or {}
    if QUANTISED not in attachments:
        card = card.model_copy(update={"quantised": None})
    elif card.quantised is None:
        raise ReleaseError(f"{attachments[QUANTISED]} is a network in bytes, which the card does not describe; {_FIX}")
    if path.exists():
        raise ReleaseError(f"{path} exists, and a release is never overwritten; give another folder, or remove it")
    if is_being_written(path):
        raise ReleaseError(
            f"the name {path.name!r} is taken: another process is writing this release; give another name"
        )
    with unfinished(path) as folder:
        (folder / IMAGES).mkdir()
        for image, content in images:
            (folder / image).write_bytes(content)
        for name, file in {NETWORK: network_file, **attachments}.items():
            shutil.copyfile(file, folder / name)
        exemplars.save(folder / EXEMPLARS, to_map=card.retrieval.on_disk)
        factory = card.retrieval.index_factory
        index = ExemplarIndex.build(exemplars.prototypes, factory, shards=card.retrieval.shards)
        index.save(folder / INDEX)
        retrieval, search = tuned(index, card.retrieval)
        card = card.model_copy(update={"retrieval": retrieval, "search": search})
        _write_json(folder / SOURCES, [asdict(source) for source in sources])
        _write_json(folder / CARD, card.model_dump(mode="json"))
        _write_json(folder / CHECKSUMS, {file: _sha256(folder / file) for file in _files(folder)})
        Release.open(folder)
        folder.chmod(0o755)  # temporary folders are readable only by their owner
        move_into_place(folder, path)
    return Release.open(path, verify=False)


def move_into_place(folder: Path, path: Path) -> None:
    """Move a complete release of the same file system to its path in one step.

    Raises:
        ReleaseError: if there is a release at the path.
    """
    try:
        os.rename(folder, path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise ReleaseError(
            f"the name {path.name!r} is taken: another process has written a release of this name meanwhile; "
            "give another name"
        ) from error


def read_card(path: Path) -> Card:
    """Read only the card of a release.

    Raises:
        ReleaseError: if it is missing, unreadable, of an unknown format, or lacks a field.
    """
    return _parse_card(path / CARD, _card_fields(path))


def read_digest(path: Path) -> str:
    """The digest of a release, 64 hexadecimal digits, from its card and its checksums. The files are not verified.

    It covers the name, and all that decides results: the network, the exemplars with their images, the index, and the
    fields `_DECIDING` of the card as they are written in the file. It does not cover descriptions and metrics, nor the
    time of the build, so a release that is built again with the same content is the same release.

    Raises:
        ReleaseError: if the card or the checksums are missing or unreadable.
    """
    return _digest(_card_fields(path), _checksums(path))


def _digest(fields: Mapping[str, Any], checksums: Mapping[str, str]) -> str:
    """Fields of the card are taken as they were written: a later version of this software may add others."""
    card = {name: fields[name] for name in _DECIDING if name in fields}
    files = {file: digest for file, digest in checksums.items() if file != CARD}
    content = json.dumps({"card": card, "files": files}, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(content.encode("ascii")).hexdigest()


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
    listed = _checksums(path)
    present = set(_files(path))
    for file in (CARD, NETWORK, INDEX, EXEMPLARS, SOURCES):
        if file not in listed:
            raise ReleaseError(f"{path / CHECKSUMS} does not list {file}, which every release has; {_FIX}")
    for file, digest in listed.items():
        _verify_file(path, file, digest)
    extra = sorted(present - listed.keys())
    if extra:
        raise ReleaseError(
            f"{path / extra[0]} is not listed in {CHECKSUMS}, and a release is immutable; move the file elsewhere"
        )


def _verify_file(path: Path, file: str, digest: str) -> None:
    """Compare one file of a release with its checksum."""
    if not (path / file).is_file():
        raise ReleaseError(f"{path / file} is missing, though {CHECKSUMS} lists it; {_FIX}")
    found = _sha256(path / file)
    if found != digest:
        raise ReleaseError(
            f"{path / file} was altered or truncated: it has {(path / file).stat().st_size} bytes with SHA-256 "
            f"{found[:16]}..., but {CHECKSUMS} lists {digest[:16]}...; {_FIX}"
        )


def _checksums(path: Path) -> dict[str, str]:
    """SHA-256 by file, as the release lists them."""
    listed = _read_json(path / CHECKSUMS)
    if not isinstance(listed, dict) or not all(isinstance(digest, str) for digest in listed.values()):
        raise ReleaseError(f"{path / CHECKSUMS} is not an object of file: SHA-256; {_FIX}")
    return listed


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
        exemplars = Exemplars.load(file, to_map=card.retrieval.on_disk)
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
    if not all_finite(exemplars.prototypes):
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
