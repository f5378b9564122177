"""Results of a build that are kept in a folder while it works, so that a build which was killed goes on."""

import hashlib
import json
import os
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from index_builder.calibration import HeldOut
from index_builder.image_work import GatheredImage, ImageItem
from model_store.spreading import Here, Spread

U = TypeVar("U")
R = TypeVar("R")
Arrays = dict[str, np.ndarray]

SHARD = 16  # images of one file
_FORMAT = 1
_NAMES = ("prototypes", "class_ids", "bboxes", "areas", "pixels")
_WHOLE = ("prototypes", "areas", "counts")


@dataclass(frozen=True)
class Working:
    """How a build does its work.

    Attributes:
        spread: does the steps that look at one image at a time.
        folder: where their results are kept, so that a build which was killed goes on; None: they are not kept.
        data: what the images and labels are: results of others are not used. See `files_digest`.
    """

    spread: Spread = field(default_factory=Here)
    folder: Path | None = None
    data: str = ""


class Codec(NamedTuple):
    """How a result is kept as arrays by name, and made of them again."""

    pack: Callable[[Any], Arrays]
    unpack: Callable[[Mapping[str, np.ndarray]], Any]


class KeptResults:
    """Does work on images, and keeps the results in files of 16 images.

    Each file has a digest of everything that decides its results. A file with another digest, or a damaged one, is
    made again.

    Args:
        working: how the work is done.
        step: name of the work, for the files.
        facts: what decides the results, besides the data: values that JSON has.
        codec: how a result is kept.
    """

    def __init__(self, working: Working, step: str, facts: Mapping[str, Any], codec: Codec) -> None:
        self._working, self._step, self._codec = working, step, codec
        known = {"format": _FORMAT, "data": working.data, "step": step, **facts}
        self._digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()

    def each(
        self,
        make: Callable[[], Callable[[U], R]],
        items: Sequence[ImageItem],
        read: Callable[[ImageItem], U],
        name: Callable[[ImageItem], str],
        *,
        in_threads: bool = False,
    ) -> Iterator[tuple[int, R]]:
        """Do the work on each image, unless it is kept: see `Spread.each`. Kept results come first."""
        spread, folder = self._working.spread, self._working.folder
        if folder is None:
            yield from spread.each(make, items, read, name, in_threads=in_threads)
            return
        make_folder(folder)
        left: list[int] = []
        for start in range(0, len(items), SHARD):
            places = range(start, min(start + SHARD, len(items)))
            kept = self._load(folder, [items[place] for place in places])
            if kept is None:
                left += places
            else:
                yield from zip(places, kept, strict=True)
        begun: dict[int, dict[int, R]] = defaultdict(dict)
        for n, result in spread.each(make, [items[place] for place in left], read, name, in_threads=in_threads):
            place = left[n]
            shard = place // SHARD
            begun[shard][place] = result
            if len(begun[shard]) == min(SHARD, len(items) - shard * SHARD):
                done = begun.pop(shard)
                self._store(folder, [items[one] for one in sorted(done)], [done[one] for one in sorted(done)])
            yield place, result

    def _file(self, folder: Path, items: Sequence[ImageItem]) -> Path:
        return folder / f"{self._step}-{items[0].position:07d}.npz"

    def _digest_of(self, items: Sequence[ImageItem]) -> str:
        told = json.dumps([self._digest, [(item.position, item.image_id, item.whole) for item in items]])
        return hashlib.sha256(told.encode()).hexdigest()

    def _load(self, folder: Path, items: Sequence[ImageItem]) -> list[Any] | None:
        try:
            with self._file(folder, items).open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
                if str(stored["digest"]) != self._digest_of(items):
                    return None
                values = {name: stored[name] for name in stored.files if name != "digest"}
            return [self._codec.unpack(_part(values, n)) for n in range(len(items))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def _store(self, folder: Path, items: Sequence[ImageItem], results: Sequence[Any]) -> None:
        packed = {
            f"{n}.{name}": value for n, result in enumerate(results) for name, value in self._codec.pack(result).items()
        }
        file = self._file(folder, items)
        part = file.with_suffix(".part")
        try:
            with part.open("wb") as opened:
                np.savez(opened, allow_pickle=False, digest=np.array(self._digest_of(items)), **packed)
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(file)
        except OSError as error:
            raise ValueError(f"{file} cannot be written: {error.strerror}; the same command goes on") from error


def _part(values: Mapping[str, np.ndarray], n: int) -> Arrays:
    start = f"{n}."
    return {name.removeprefix(start): value for name, value in values.items() if name.startswith(start)}


def make_folder(folder: Path) -> None:
    """Make a folder for results that are kept.

    Raises:
        ValueError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--work {folder} cannot be used as a folder: {error.strerror}") from error


def _pack_gathered(image: GatheredImage) -> Arrays:
    facts = {
        "masks": image.masks, "source": image.source, "width": image.width, "height": image.height,
        "converted": dict(image.converted), "empty": dict(image.empty),
        "image_id": None if image.whole is None else image.whole.image_id,
    }  # fmt: skip
    whole = {} if image.whole is None else {f"whole_{name}": getattr(image.whole, name) for name in _WHOLE}
    return {"facts": np.array(json.dumps(facts)), **{name: getattr(image, name) for name in _NAMES}, **whole}


def _unpack_gathered(stored: Mapping[str, np.ndarray]) -> GatheredImage:
    facts: dict[str, Any] = json.loads(str(stored["facts"]))
    image_id = facts.pop("image_id")
    if image_id is not None:
        prototypes, areas, counts = (stored[f"whole_{name}"] for name in _WHOLE)
        facts["whole"] = HeldOut(prototypes, areas, counts, image_id)
    arrays: dict[str, Any] = {name: stored[name] for name in _NAMES}
    return GatheredImage(**arrays, **{"whole": None, **facts})


GATHERED = Codec(_pack_gathered, _unpack_gathered)
STORED_IMAGE = Codec(
    lambda content: {"content": np.frombuffer(content, dtype=np.uint8)}, lambda stored: stored["content"].tobytes()
)


def file_digest(file: Path) -> str:
    """SHA-256 of the content of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def files_digest(root: Path | None, extra: Iterable[str] = (), without: Path | None = None) -> str:
    """What the files of a data set are: a digest of their names, sizes and times of change.

    Args:
        root: folder of the data, or a file in it; None: the data set has no files.
        extra: other things that decide the images and labels.
        without: folder whose files are no data, such as that of kept results.
    """
    found = hashlib.sha256(json.dumps(list(extra)).encode())
    if root is not None:
        folder = root if root.is_dir() else root.parent
        for file in sorted(_files(folder, without)):
            if file.is_file():
                facts = file.stat()
                found.update(
                    f"{file.relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode(
                        errors="surrogateescape"
                    )
                )
    return found.hexdigest()


def _files(folder: Path, without: Path | None) -> Iterator[Path]:
    """All files below a folder, also through links to other folders, each of which is visited once."""
    visited = set() if without is None else {os.path.realpath(without)}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        if (real := os.path.realpath(place)) in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(place) / name for name in names)
