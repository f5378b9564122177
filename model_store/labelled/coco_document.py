"""COCO's annotation files: parsed once, and kept compactly."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_store.class_info import ClassInfo
from model_store.labelled.class_lists import listed_classes
from model_store.labelled.palette import Colour
from model_store.labelled.samples import IGNORE

ImageId = int | str


class Entry(NamedTuple):
    """An image of an annotation file. size: (H, W); None: it is not stated."""

    file_name: str
    size: tuple[int, int] | None


class Rings(NamedTuple):
    """Polygons of one annotation, which cover the union of their insides. rings: each [N, 2] as (x, y) in pixels."""

    class_id: int
    rings: tuple[np.ndarray, ...]


class Runs(NamedTuple):
    """A run-length encoded mask of one annotation. size: (H, W); counts: numbers, or COCO's compressed text."""

    class_id: int
    size: tuple[int, int]
    counts: np.ndarray | str


class Segments(NamedTuple):
    """The panoptic map of an image. file_name: of its PNG; classes: class id, or IGNORE, by segment id."""

    file_name: str
    classes: dict[int, int]


@dataclass(frozen=True)
class Document:
    """An annotation file.

    images, shapes, maps: by the id of the image; an instances file has shapes, a panoptic file maps. notes: what is not
    used, in words.
    """

    file: Path
    classes: tuple[ClassInfo, ...]
    images: dict[ImageId, Entry]
    shapes: dict[ImageId, list[Rings | Runs]]
    maps: dict[ImageId, Segments]
    notes: list[str]


def read_document(file: Path) -> Document:
    """Read an annotation file (https://cocodataset.org/#format-data), of instances or panoptic.

    Coordinates become arrays while the text is parsed, so the memory needed is about twice the size of the file.

    Raises:
        ValueError: if it is not JSON, or not of this format. The message names the file and the entry.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"), object_hook=_compact)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} cannot be read as JSON ({error})") from error
    return _Reader(file).document(content)


def _compact(entry: dict[str, Any]) -> dict[str, Any]:
    """An object of the file without the members that are not needed, and with arrays for its numbers."""
    if "segmentation" in entry:
        kept = _only(entry, "id", "image_id", "category_id")
        found = entry["segmentation"]
        if isinstance(found, list):
            rings = found if all(isinstance(ring, list) for ring in found) else [found]
            found = [_numbers(ring, np.float64) for ring in rings]
        return {**kept, "segmentation": found}
    if "category_id" in entry:
        return _only(entry, "id", "image_id", "category_id", "file_name", "segments_info")
    if isinstance(entry.get("counts"), list):
        return {"size": entry.get("size"), "counts": _numbers(entry["counts"], np.int64)}
    return entry


def _only(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: entry[name] for name in names if name in entry}


def _numbers(values: list[Any], dtype: type) -> Any:
    """An array, or the list itself if it has anything but numbers of the kind."""
    kinds = {int, float} if dtype is np.float64 else {int}
    try:
        return np.array(values, dtype=dtype) if set(map(type, values)) <= kinds else values
    except OverflowError:
        return values


class _Reader:
    """Checks the entries of an annotation file. Its errors name the file."""

    def __init__(self, file: Path) -> None:
        self.file, self.unused = file, Counter[str]()

    def document(self, content: Any) -> Document:
        images, annotations, categories = (
            self._entries(content, name) for name in ("images", "annotations", "categories")
        )
        entries = self._images(images)
        parts = [part for entry in annotations for part in self._segments(entry)]
        used = {entry.get("category_id") for entry in (*annotations, *parts) if type(entry.get("category_id")) is int}
        numbers, classes = self._classes(categories, used)
        shapes: dict[ImageId, list[Rings | Runs]] = {}
        maps: dict[ImageId, Segments] = {}
        for entry in annotations:
            image = self._member(entry, "annotation", "image_id", int | str)
            if image not in entries:
                self.unused["are of an image that is not in its list of images"] += 1
            elif "segments_info" in entry:
                maps[image] = self._map(entry, numbers)
            elif (shape := self._shape(entry, numbers)) is not None:
                shapes.setdefault(image, []).append(shape)
        notes = [f"{count} annotations of {self.file.name} {reason}" for reason, count in self.unused.items()]
        return Document(self.file, classes, entries, shapes, maps, notes)

    def _entries(self, content: Any, name: str) -> list[dict[str, Any]]:
        found = content.get(name) if isinstance(content, dict) else None
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise ValueError(f'{self.file} has no list of objects "{name}"; it must have "images", "annotations" and '
                             '"categories", as COCO defines them')  # fmt: skip
        return found

    def _member(self, entry: dict[str, Any], what: str, name: str, kind: Any) -> Any:
        value = entry.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            allowed = "a text" if kind is str else "a whole number" if kind is int else "a number or a text"
            raise ValueError(
                f'{self.file}: the {what} {_named(entry)} has "{name}": {str(value)[:80]!r}; it must be {allowed}'
            )
        return value

    def _images(self, entries: list[dict[str, Any]]) -> dict[ImageId, Entry]:
        found: dict[ImageId, Entry] = {}
        for entry in entries:
            number = self._member(entry, "image", "id", int | str)
            if number in found:
                raise ValueError(f"{self.file} has two images with the id {number!r}; give each image another id")
            sides = entry.get("height"), entry.get("width")
            known = all(isinstance(side, int | float) and 0 < side < math.inf for side in sides)
            size = (int(sides[0]), int(sides[1])) if known else None  # type: ignore[arg-type]
            found[number] = Entry(self._member(entry, "image", "file_name", str), size)
        return found

    def _classes(self, entries: list[dict[str, Any]], used: set[Any]) -> tuple[dict[int, int], tuple[ClassInfo, ...]]:
        """Class id by category id, and the classes in the order of category ids."""
        categories: dict[int, str] = {}
        colours: dict[str, Colour] = {}
        groups = {entry["supercategory"] for entry in entries if isinstance(entry.get("supercategory"), str)}
        for entry in entries:
            number, name = self._member(entry, "category", "id", int), self._member(entry, "category", "name", str)
            if number in categories:
                raise ValueError(f"{self.file} has two categories with the id {number}; give each another id")
            if number == 0 and entry.get("supercategory") == "none" and name in groups and number not in used:
                continue  # Roboflow writes the name of the group of all classes as category 0
            categories[number] = name
            colour = entry.get("color")
            if isinstance(colour, list) and len(colour) == 3 and all(c in range(256) for c in colour):
                colours[name] = (int(colour[0]), int(colour[1]), int(colour[2]))
        order = sorted(categories)
        classes = listed_classes(self.file, [categories[number] for number in order], colours)
        return {number: i for i, number in enumerate(order)}, classes

    def _class(self, entry: dict[str, Any], what: str, numbers: dict[int, int]) -> int | None:
        number = self._member(entry, what, "category_id", int)
        if number not in numbers:
            self.unused[f"have the category id {number}, which is not in its list of categories"] += 1
        return numbers.get(number)

    def _segments(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        found = entry.get("segments_info", [])
        if not isinstance(found, list) or not all(isinstance(part, dict) for part in found):
            raise ValueError(f'{self.file}: "segments_info" of the annotation {_named(entry)} is not a list of objects')
        return found

    def _map(self, entry: dict[str, Any], numbers: dict[int, int]) -> Segments:
        parts = {
            self._member(part, "segment", "id", int): self._class(part, "segment", numbers)
            for part in self._segments(entry)
        }
        known = {segment: IGNORE if class_id is None else class_id for segment, class_id in parts.items()}
        return Segments(self._member(entry, "annotation", "file_name", str), known)

    def _shape(self, entry: dict[str, Any], numbers: dict[int, int]) -> Rings | Runs | None:
        class_id, found = self._class(entry, "annotation", numbers), entry.get("segmentation")
        if class_id is None:
            return None
        if found is None or found == {} or (isinstance(found, list) and not any(len(ring) for ring in found)):
            self.unused["have no segmentation, but a box, keypoints or a caption"] += 1
            return None
        if isinstance(found, dict):
            return self._runs(entry, class_id, found)
        if not isinstance(found, list) or not all(_is_ring(ring) for ring in found):
            raise ValueError(
                f"{self.file}: the annotation {_named(entry)} has a segmentation that is neither polygons, each as "
                "[x, y, x, y, ...] of finite numbers, nor a run-length encoding"
            )
        rings = tuple(ring.reshape(-1, 2) for ring in found if len(ring) >= 6)
        if len(rings) < len(found):
            self.unused["have a polygon of fewer than three points"] += 1
        return Rings(class_id, rings) if rings else None

    def _runs(self, entry: dict[str, Any], class_id: int, found: dict[str, Any]) -> Runs:
        size, counts = found.get("size"), found.get("counts")
        sides = isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
        if not sides or not isinstance(counts, np.ndarray | str) or not len(counts):
            raise ValueError(
                f'{self.file}: the annotation {_named(entry)} has a run-length encoding without "size": [height, '
                'width], or without "counts" as whole numbers or a text'
            )
        return Runs(class_id, (size[0], size[1]), counts)  # type: ignore[index]


def _named(entry: dict[str, Any]) -> str:
    return str(entry.get("id", entry.get("file_name", "without an id")))[:80]


def _is_ring(ring: Any) -> bool:
    return isinstance(ring, np.ndarray) and len(ring) % 2 == 0 and bool(np.isfinite(ring).all())
