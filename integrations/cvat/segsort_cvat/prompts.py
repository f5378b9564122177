"""Segments that points and boxes of a person choose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = Sequence[float]
_HALF = 0.5


def chosen(
    segments: NDArray[np.int32], positive: Sequence[Point], negative: Sequence[Point], box: Sequence[Point] | None
) -> NDArray[np.bool_]:
    """The pixels of the segments that are chosen.

    A box chooses the segments that lie in it by more than half, and cuts them at its sides. A positive point adds the
    segment below it, a negative one takes its segment away.

    Args:
        segments: [H, W], number of the segment of each pixel.
        positive, negative: points (x, y) in pixels; those outside of the image count as at its border.
        box: top left and bottom right corner; None: none.

    Returns:
        [H, W] bool.
    """
    mask = np.zeros(segments.shape, dtype=bool)
    if box is not None:
        mask |= _in_box(segments, box)
    for points, value in ((positive, True), (negative, False)):
        for number in {int(segments[_pixel(point, segments.shape)]) for point in points}:
            mask[segments == number] = value
    return mask


def _in_box(segments: NDArray[np.int32], box: Sequence[Point]) -> NDArray[np.bool_]:
    (left, top), (right, bottom) = box
    inside = np.zeros(segments.shape, dtype=bool)
    inside[max(0, round(top)) : max(0, round(bottom)), max(0, round(left)) : max(0, round(right))] = True
    count = int(segments.max(initial=0)) + 1
    whole = np.bincount(segments.ravel(), minlength=count)
    part = np.bincount(segments[inside], minlength=count)
    found: NDArray[np.bool_] = inside & (part > _HALF * whole)[segments]
    return found


def _pixel(point: Point, size: tuple[int, ...]) -> tuple[int, int]:
    x, y = point
    return min(max(int(y), 0), size[0] - 1), min(max(int(x), 0), size[1] - 1)
