"""The boundary of a segment: how many of its pixels are close to other segments, where outlines are least certain."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from segsort.masks import decode_rle
from service.answering.answers import Shapes

DISTANCE = 3  # pixels, between the centres of two pixels
_BLOCK = 1 << 18  # pixels that are processed together, to bound the memory


class Boundary(NamedTuple):
    """Shares of a segment's pixels that are close to other segments, 0..1.

    share: of the pixels that are within `DISTANCE` of any other segment; shares: of those within `DISTANCE` of one
    segment, by that segment's number, the largest first.
    """

    share: float
    shares: dict[int, float]


def boundary_of(shapes: Shapes, number: int) -> Boundary:
    """Measure how close the pixels of one segment are to the other segments of its image.

    Args:
        shapes: of all segments of the image.
        number: of the segment, 0..S-1.
    """
    x, y, width, height = shapes.boxes[number]
    top, left = max(y - DISTANCE, 0), max(x - DISTANCE, 0)
    bottom, right = min(y + height + DISTANCE, shapes.size[0]), min(x + width + DISTANCE, shapes.size[1])
    labels = _labels(shapes, (top, left, bottom, right))
    inside = labels == number
    if inside.all():
        return Boundary(0.0, {})
    near = inside & (ndimage.distance_transform_edt(inside) <= DISTANCE)
    counts = np.zeros(len(shapes.counts), dtype=np.int64)
    rows, columns = np.nonzero(near)
    for start in range(0, len(rows), _BLOCK):
        counts += _counts_close_to(
            labels, rows[start : start + _BLOCK], columns[start : start + _BLOCK], number, len(counts)
        )
    others = sorted(np.flatnonzero(counts).tolist(), key=lambda n: (-counts[n], n))
    area = int(inside.sum())
    return Boundary(len(rows) / area, {n: int(counts[n]) / area for n in others})


def _labels(shapes: Shapes, window: tuple[int, int, int, int]) -> np.ndarray:
    """[h, w] int32, the segment of each pixel in a window (top, left, bottom, right); -1: none."""
    top, left, bottom, right = window
    labels = np.full((bottom - top, right - left), -1, dtype=np.int32)
    for n, (x, y, width, height) in enumerate(shapes.boxes):
        if x < right and y < bottom and x + width > left and y + height > top:
            labels[decode_rle(shapes.counts[n], shapes.size)[top:bottom, left:right]] = n
    return labels


def _counts_close_to(labels: np.ndarray, rows: np.ndarray, columns: np.ndarray, own: int, count: int) -> np.ndarray:
    """Count the pixels that are within `DISTANCE` of each other segment.

    Args:
        labels: [h, w] int32, segments; -1: none.
        rows, columns: [n] int64, the pixels, all of segment `own`.
        own: their segment.
        count: S.

    Returns:
        [S] int64.
    """
    H, W = labels.shape
    pairs = []
    span = np.arange(-DISTANCE, DISTANCE + 1)
    for dy, dx in ((dy, dx) for dy in span for dx in span if 0 < dy * dy + dx * dx <= DISTANCE * DISTANCE):
        y, x = rows + dy, columns + dx
        inside = (y >= 0) & (y < H) & (x >= 0) & (x < W)
        found = labels[y[inside], x[inside]]
        other = (found != own) & (found >= 0)
        pairs.append(np.flatnonzero(inside)[other] * count + found[other])
    return np.bincount(np.unique(np.concatenate(pairs)) % count, minlength=count)
