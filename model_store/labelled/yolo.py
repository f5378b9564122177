"""The format `yolo`: polygons in text files, as Ultralytics, CVAT, Roboflow and Label Studio write them."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_store.labelled.base import Region, ShapedImages
from model_store.labelled.class_lists import listed_classes, read_text
from model_store.labelled.shapes import Polygon
from model_store.labelled.splits import choose_split
from model_store.labelled.yolo_folder import YoloFolder, is_yolo

_FARTHEST = 1.0  # outside of the image, in widths and heights of it


class Line(NamedTuple):
    """A polygon of a label file. class_index: stated for it; points: [N, 2] (x, y), shares of width and height."""

    class_index: int
    points: np.ndarray


class Yolo(ShapedImages):
    """Images with label files of the same name (https://docs.ultralytics.com/datasets/segment/).

    A line of a label file is "class x1 y1 x2 y2 x3 y3 ...": an index and a polygon, whose coordinates are shares of the
    width and the height. Lines with four coordinates are boxes; they are not used, and the survey counts them.
    data.yaml states the class names, as a list or by index, and the images of each split: a folder, a list of images or
    a text file of such a list. Without splits in it, they are the folders images/SPLIT/ or SPLIT/images/. Label files
    are in labels/ instead of images/, or beside the images. Without data.yaml the names are the lines of classes.txt.

    Later lines cover earlier ones. Pixels in no polygon are unlabelled. Label files are checked when the data are
    opened, and read again with their images, so none of them is kept in memory.

    Raises:
        ValueError: if the class names or the split are missing, a label file is malformed, or no image has a polygon.
    """

    name = "yolo"

    @classmethod
    def found(cls, root: Path) -> bool:
        return is_yolo(root)

    def __init__(self, root: Path, split: str) -> None:
        self._place = YoloFolder(root)
        super().__init__(self._place.root, split)
        self.classes = listed_classes(self._place.source, list(self._place.names.values()))
        self._ids = {index: i for i, index in enumerate(self._place.names)}
        parts = self._place.parts()
        images = self._place.images(parts[choose_split(split, parts, self._place.root)], self.survey)
        unused: Counter[str] = Counter()
        self.images = [image for image in images if self._has_polygon(image, unused)]
        self.survey.use(self.images)
        self.survey.notes += [f"{count} lines of label files {reason}" for reason, count in unused.items()]
        if not self.images:
            raise ValueError(f"{root} has no image with a polygon. {'; '.join(self.survey.lines(3))}")

    def regions(self, i: int, size: tuple[int, int]) -> Iterator[Region]:
        empty, scale = 0, np.array(size[::-1], dtype=np.float64)
        for line in self._lines(self._place.label_file(self.images[i]), Counter()):
            mask, corner = Polygon((line.points * scale,)).draw(size)
            empty += not mask.any()
            yield Region(self._ids[line.class_index], mask, corner)
        if empty:
            self.survey.found_empty(self.images[i], empty)

    def _has_polygon(self, image: Path, unused: Counter[str]) -> bool:
        """Whether an image has a polygon that can be used; else the survey notes why not."""
        file = self._place.label_file(image)
        if not file.is_file():
            self.survey.skip(image, "no label file")
            return False
        if not list(self._lines(file, unused)):
            self.survey.skip(image, "no polygon in its label file")
            return False
        return True

    def _lines(self, file: Path, unused: Counter[str]) -> Iterator[Line]:
        """The polygons of a label file. Lines that are not used are counted by reason."""
        for number, text in enumerate(read_text(file).splitlines(), 1):
            fields = text.split()
            if not fields:
                continue
            if self._place.keypoints:
                unused["are keypoints, because data.yaml has kpt_shape; they are not used"] += 1
                continue
            line = _parsed(file, number, fields)
            if len(fields) == 5:
                unused["have four coordinates, which is a box; they are not used"] += 1
            elif len(line.points) < 3:
                unused["have fewer than three points; they are not used"] += 1
            elif line.class_index not in self._ids:
                unused[f"have the class {line.class_index}, which has no name; they are not used"] += 1
            else:
                yield line


def _parsed(file: Path, number: int, fields: list[str]) -> Line:
    """A line of a label file.

    Raises:
        ValueError: if it is not an index and pairs of coordinates near 0..1. The message states the line.
    """
    try:
        index, *values = [float(field) for field in fields]
    except ValueError:
        index, values = math.nan, []
    points = np.array(values)
    if not index.is_integer() or index < 0 or not values or len(values) % 2 or not np.isfinite(points).all():
        raise ValueError(
            f"{file}: line {number} is {' '.join(fields)[:60]!r} with {len(fields)} fields; it must be the index of a "
            "class and pairs of coordinates"
        )
    if points.min() < -_FARTHEST or points.max() > 1 + _FARTHEST:
        raise ValueError(
            f"{file}: line {number} has coordinates from {points.min():g} to {points.max():g}; they must be shares of "
            "the width and the height, 0 to 1"
        )
    return Line(int(index), points.reshape(-1, 2))
