"""Shapes of labels, and the pixels that they cover. (0, 0) is the outer corner of the first pixel of an image."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from model_store.images import decode_mask
from model_store.labelled.polygons import fill_rings


class Patch(NamedTuple):
    """Pixels of a part of an image.

    mask: [h, w] bool; corner: (row, column) of the part. The part lies inside the image; h or w may be 0.
    """

    mask: np.ndarray
    corner: tuple[int, int]


class Shape(Protocol):
    """A shape of a label."""

    def draw(self, size: tuple[int, int]) -> Patch:
        """The pixels that the shape covers.

        Args:
            size: (H, W) of the image. Parts of the shape outside are left out.

        Raises:
            ValueError: if the shape is stored in a code that is damaged.
        """


class Polygon(NamedTuple):
    """An area between rings, by the even-odd rule: a ring in another one is a hole.

    rings: one or more, each [N, 2] finite points (x, y) in pixels. A pixel is covered if its centre lies inside.
    """

    rings: tuple[np.ndarray, ...]

    def draw(self, size: tuple[int, int]) -> Patch:
        points = np.concatenate(self.rings)
        top, left, height, width = window(points.min(axis=0), points.max(axis=0), size)
        return Patch(fill_rings([ring - (left, top) for ring in self.rings], (height, width)), (top, left))


class Ellipse(NamedTuple):
    """centre: (x, y); radii: > 0, along x and y before the rotation, in pixels; degrees: of the rotation, clockwise."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0

    def draw(self, size: tuple[int, int]) -> Patch:
        (x, y), (rx, ry), angle = self.centre, self.radii, math.radians(self.degrees)
        cos, sin = math.cos(angle), math.sin(angle)
        reach_x, reach_y = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
        top, left, height, width = window((x - reach_x, y - reach_y), (x + reach_x, y + reach_y), size)
        dy = np.arange(top, top + height)[:, None] + 0.5 - y
        dx = np.arange(left, left + width)[None] + 0.5 - x
        along, across = dx * cos + dy * sin, dy * cos - dx * sin
        return Patch((along / rx) ** 2 + (across / ry) ** 2 <= 1, (top, left))


class EncodedMask(NamedTuple):
    """A mask of a part of an image in the code of a file.

    content: PNG; in one with transparency, the opaque pixels are covered, in others those whose value is not 0. corner:
    (row, column) of the part; extent: (h, w) of the part; None: of the mask.
    """

    content: bytes
    corner: tuple[int, int]
    extent: tuple[int, int] | None = None

    def draw(self, size: tuple[int, int]) -> Patch:
        mask = decode_mask(self.content)
        covered = (mask.colours if mask.indices is None else mask.indices) != 0
        if mask.transparent is not None:
            covered = ~mask.transparent
        if self.extent is not None and covered.shape != self.extent:
            height, width = covered.shape
            raise ValueError(f"a mask of {width}x{height} pixels is to cover {self.extent[1]}x{self.extent[0]}")
        return placed(covered, self.corner, size)


class RunLengths(NamedTuple):
    """Pixels of a part of an image, row by row, as lengths of runs that are alternately not covered and covered.

    counts: of pixels, all pixels of the part together; corner: (row, column) of the part; extent: (h, w) of the part.
    """

    counts: np.ndarray
    corner: tuple[int, int]
    extent: tuple[int, int]

    def draw(self, size: tuple[int, int]) -> Patch:
        covered = np.repeat(np.arange(len(self.counts)) % 2 == 1, self.counts)
        return placed(covered.reshape(self.extent), self.corner, size)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The corners of a rectangle, [4, 2] (x, y)."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def rotated(points: np.ndarray, degrees: float, around: Sequence[float]) -> np.ndarray:
    """Points [N, 2] (x, y) rotated around the point (x, y), clockwise as seen with y downwards."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray((points - np.asarray(around)) @ np.array([[cos, sin], [-sin, cos]]) + np.asarray(around))


def window(
    low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The smallest part of an image that has all pixels between two corners.

    Args:
        low: the upper left corner (x, y); high: the lower right one.
        size: (H, W) of the image.

    Returns:
        row, column, height and width of the part; height or width is 0 if the image has none of these pixels.
    """
    left, top = np.floor(low).clip(0, size[::-1]).astype(np.int64).tolist()
    right, bottom = np.ceil(high).clip(0, size[::-1]).astype(np.int64).tolist()
    return top, left, max(bottom - top, 0), max(right - left, 0)


def placed(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> Patch:
    """The part of a mask [h, w] bool at a corner (row, column) that lies inside of an image of `size` (H, W)."""
    (row, column), (height, width) = corner, mask.shape
    top, left, bottom, right = max(0, row), max(0, column), min(size[0], row + height), min(size[1], column + width)
    if bottom <= top or right <= left:
        return Patch(np.zeros((0, 0), dtype=bool), (0, 0))
    return Patch(mask[top - row : bottom - row, left - column : right - column], (top, left))
