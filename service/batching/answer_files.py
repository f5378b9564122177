"""Answers in files, one for each image of a batch: written whole or not at all, and read again for the export."""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from model_store.exporting import ExportImage, ExportSegment
from model_store.labelled import MapPlace
from segsort.masks import decode_rle

Body = dict[str, Any]
_SUFFIX, _TEMPORARY = ".answer", ".part"


class AnswerFiles:
    """The answers of a batch in a folder, which is made when the first one is written.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, body: Body) -> None:
        """Store the JSON of an answer. A kill at any moment leaves the whole file, or none under its name."""
        self.put_packed(key, packed(body))

    def put_packed(self, key: str, content: bytes) -> None:
        """Store an answer that is `packed`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._file(key), content)

    def get(self, key: str) -> Body | None:
        """A stored answer; None if there is none, or it is damaged."""
        try:
            body: Body = orjson.loads(zlib.decompress(self._file(key).read_bytes()))
        except (FileNotFoundError, ValueError, zlib.error):
            return None
        return body if isinstance(body, dict) else None

    def has(self, key: str) -> bool:
        """Whether there is an answer."""
        return self._file(key).is_file()

    def remove_unfinished(self) -> None:
        """Remove files whose writer was stopped."""
        for file in self.folder.glob(f"*{_TEMPORARY}"):
            file.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"


def packed(body: Body) -> bytes:
    """The JSON of an answer as it is stored."""
    return zlib.compress(orjson.dumps(body), 1)


def write_whole(file: Path, content: bytes, parts: Path | None = None) -> None:
    """Write a file so that a kill at any moment leaves the whole new file, or what was there before.

    Args:
        file: to write.
        content: of the file.
        parts: folder on the same disk for the file until it is complete; None: that of the file.
    """
    part = (parts or file.parent) / f"{file.name}{_TEMPORARY}"
    with part.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)


def export_image(body: Body, name: str, place: MapPlace | None = None, content: bytes | None = None) -> ExportImage:
    """An answer as `model_store.exporting` writes it.

    Args:
        body: JSON of an answer, with masks as run lengths.
        name: of the image.
        place: on a map.
        content: the image file, if it is part of the export.
    """
    segments = [
        ExportSegment(
            segment["segment_id"], segment["class_id"], segment["confidence"], segment["known"],
            tuple(exemplar["exemplar_id"] for exemplar in segment["exemplars"]),
        )
        for segment in body["segments"]
    ]  # fmt: skip
    return ExportImage(name, segment_map(body), segments, str(body["image_id"]), place, content)


def segment_map(body: Body) -> np.ndarray:
    """[H, W] int32, the number of each pixel's segment in an answer; -1: in none."""
    size = (int(body["height"]), int(body["width"]))
    labels = np.full(size, -1, dtype=np.int32)
    for n, entry in enumerate(body["segments"]):
        labels[decode_rle(entry["mask"]["counts"], size)] = n
    return labels


def stored_images(
    files: AnswerFiles, keys: Sequence[str], names: Sequence[str], content: Callable[[int], bytes | None]
) -> Iterator[ExportImage]:
    """Stored answers for an export, one in memory at a time; content: of the image file at a place, or None."""
    for place, (key, name) in enumerate(zip(keys, names, strict=True)):
        body = files.get(key)
        if body is not None:
            yield export_image(body, name, content=content(place))
