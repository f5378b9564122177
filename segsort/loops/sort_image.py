"""Pixel sorting of one image by the compiled loops, from starting labels.

Everything here is numpy: torch's operations would wake its threads, which then stay awake and take cores.
"""

from typing import Literal, NamedTuple

import numpy as np

from segsort.loops import kmeans, kmeans_bytes, threads
from segsort.loops.location import ROWS_A_THREAD


class Schedule(NamedTuple):
    """How to sort.

    Attributes:
        means: K.
        iterations: E- and M-steps at most over all pixels.
        coarse_iterations: E- and M-steps at most over a quarter of the pixels, before the others.
        precision: of the comparison of pixels with means.
    """

    means: int
    iterations: int
    coarse_iterations: int
    precision: Literal["float32", "int8"]


def sort(
    features: np.ndarray, grid: np.ndarray, schedule: Schedule, left_out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Spherical k-means of one image.

    Args:
        features: [h*w, D] float32 unit vectors.
        grid: [h, w] int64, grid cell of each pixel, its starting label.
        schedule: number of means, iterations and precision.
        left_out: [h*w] bool, pixels that belong to no segment; None: all belong to one.

    Returns:
        Labels [h*w] int64, -1 for pixels left out, and means [K, D] float32, zero for empty segments.
    """
    labels = grid if schedule.coarse_iterations == 0 else _sort_coarsely(features, grid, schedule, left_out)
    return _sort(features, labels.flatten(), schedule.iterations, schedule, left_out)


def _sort_coarsely(
    features: np.ndarray, grid: np.ndarray, schedule: Schedule, left_out: np.ndarray | None
) -> np.ndarray:
    """Sort every second pixel of every second row; its three neighbours get its label: [h, w]."""
    (h, w), start = grid.shape, grid[::2, ::2]
    fewer = np.ascontiguousarray(features.reshape(h, w, -1)[::2, ::2]).reshape(start.size, -1)
    out = None if left_out is None else left_out.reshape(h, w)[::2, ::2]
    some = None if out is None else out.ravel()
    found = _sort(fewer, start.flatten(), schedule.coarse_iterations, schedule, some)[0].reshape(start.shape)
    coarse = found if out is None else np.where(out, start, found)
    return coarse.repeat(2, axis=1).repeat(2, axis=0)[:h, :w]


def _sort(
    features: np.ndarray, labels: np.ndarray, iterations: int, schedule: Schedule, left_out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sort from starting labels [N], which may be changed; only the rows that are not left out."""
    if left_out is None:
        return labels, _means_of_sorted(features, labels, iterations, schedule)
    kept = np.flatnonzero(~left_out)
    moving = labels[kept]
    theta = _means_of_sorted(features[kept], moving, iterations, schedule)
    everywhere = np.full(len(features), -1, dtype=np.int64)
    everywhere[kept] = moving
    return everywhere, theta


def _means_of_sorted(rows: np.ndarray, labels: np.ndarray, iterations: int, schedule: Schedule) -> np.ndarray:
    """Sort rows [N, D] from labels [N], which are changed, in the precision asked for; means [K, D]."""
    several = threads.useful(len(rows), ROWS_A_THREAD)
    if schedule.precision == "int8" and kmeans_bytes.supported():
        return kmeans_bytes.sort(rows, labels, schedule.means, iterations, several)
    return kmeans.sort(rows, labels, schedule.means, iterations, several)
