"""Filling of polygons by the even-odd rule."""

from collections.abc import Sequence

import numpy as np


def fill_rings(rings: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie inside an odd number of rings.

    A ring in another one is a hole, and a ring in a hole an island. Parts outside the image are left out.

    Args:
        rings: each [N, 2] finite points (x, y) in pixels; (0, 0) is the outer corner of the first pixel. The last point
            is joined with the first.
        size: (H, W) of the image.

    Returns:
        [H, W] bool. Outlines that `skimage.measure.find_contours` traces around a mask give this mask.
    """
    H, W = size
    inside = np.zeros((H, W), dtype=bool)
    if rings:
        points = np.concatenate(rings)
        left, top = np.floor(points.min(axis=0)).clip(0, (W, H)).astype(np.int64)
        right, bottom = np.ceil(points.max(axis=0)).clip(0, (W, H)).astype(np.int64)
        shape = max(int(bottom - top), 0), max(int(right - left), 0)
        inside[top:bottom, left:right] = _crossed([ring - (left, top) for ring in rings], shape)
    return inside


def _crossed(rings: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The pixels in an odd number of rings, as `fill_rings`, of the part of an image that the rings cover."""
    H, W = size
    crossings = np.zeros((H, W + 1), dtype=np.int32)  # sides that a ray from the left crosses at each pixel
    for ring in rings:
        (x0, y0), (x1, y1) = np.asarray(ring, dtype=np.float64).T, np.roll(ring, -1, axis=0).T.astype(np.float64)
        top, bottom = np.minimum(y0, y1), np.maximum(y0, y1)
        first = np.clip(np.ceil(top - 0.5), 0, H).astype(np.int64)  # rows whose centres lie in top <= y < bottom
        last = np.clip(np.ceil(bottom - 0.5), 0, H).astype(np.int64)
        count = last - first
        side = np.repeat(np.arange(len(count)), count)
        row = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count) + first[side]
        x = x0[side] + (row + 0.5 - y0[side]) * (x1 - x0)[side] / (y1 - y0)[side]
        np.add.at(crossings, (row, np.clip(np.ceil(x - 0.5), 0, W).astype(np.int64)), 1)
    return np.asarray(np.cumsum(crossings[:, :W], axis=1) % 2 == 1)
