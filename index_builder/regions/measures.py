"""Measures of a partition against the regions that people drew."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from index_builder.regions.borders import boundary_pixels

TOLERANCE = 2  # pixels


class Measures(NamedTuple):
    """Of one image, averaged over annotators; shares 0..1.

    boundary_recall: share of the drawn boundary that the partition has too, within the tolerance.
    undersegmentation: Neubert & Protzel's error, the lower the better.
    achievable_accuracy: share of pixels that are right if each region takes the drawn region it overlaps most.
    regions: how many there are.
    """

    boundary_recall: float
    undersegmentation: float
    achievable_accuracy: float
    regions: int


def measure(regions: np.ndarray, drawn: Sequence[np.ndarray], tolerance: int = TOLERANCE) -> Measures:
    """All measures of one image.

    Args:
        regions: [H, W] int, 0..R-1, the partition.
        drawn: [H, W] int, non-negative, one of each annotator.
        tolerance: of boundary recall, in pixels.

    Raises:
        ValueError: if there is no annotator, shapes differ, or a number is negative.
    """
    if not drawn or any(other.shape != regions.shape for other in drawn):
        raise ValueError(
            f"regions have shape {regions.shape}, the {len(drawn)} drawn ones {[other.shape for other in drawn]}; "
            "there must be at least one, all of one shape"
        )
    if min(int(each.min()) for each in (regions, *drawn)) < 0:
        raise ValueError("regions hold a negative number; measure partitions that know every pixel")
    near = _near(boundary_pixels(regions), tolerance)
    of_each = [(_recall(near, other), *_overlaps(regions, other)) for other in drawn]
    recall, error, accuracy = (float(value) for value in np.mean(of_each, axis=0))
    return Measures(recall, error, accuracy, len(np.unique(regions)))


def _near(boundary: np.ndarray, tolerance: int) -> np.ndarray:
    """Pixels at most `tolerance` from a boundary, across and down: [H, W] bool. The window is a square, as in
    Stutz et al. (CVIU 2018, section 5).
    """
    wide = maximum_filter1d(boundary, 2 * tolerance + 1, axis=0)
    return np.asarray(maximum_filter1d(wide, 2 * tolerance + 1, axis=1))


def _recall(near: np.ndarray, drawn: np.ndarray) -> float:
    """Share of the drawn boundary that is near one of the partition; 1 where nothing is drawn."""
    boundary = boundary_pixels(drawn)
    return float(near[boundary].mean()) if boundary.any() else 1.0


def _overlaps(regions: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Undersegmentation error (Neubert & Protzel, 2012) and achievable segmentation accuracy (Liu et al., CVPR 2011).

    Where a region crosses the outline of a drawn one, the error is the smaller of the parts inside and outside it.
    """
    columns = int(drawn.max()) + 1
    key, overlap = np.unique(regions.astype(np.int64) * columns + drawn, return_counts=True)
    region = key // columns
    size = np.bincount(region, weights=overlap)
    largest = np.zeros(len(size), dtype=np.int64)
    np.maximum.at(largest, region, overlap)
    leaked = np.minimum(overlap, size[region] - overlap).sum()
    return float(leaked / regions.size), float(largest.sum() / regions.size)
