"""Quality measures of a partition, compared with regions drawn by annotators."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from index_builder.regions.borders import boundary_pixels

TOLERANCE = 2  # pixels


class Measures(NamedTuple):
    """Measures of one image, averaged over annotators; shares are 0..1.

    boundary_recall: share of the drawn boundary that the partition has within the tolerance.
    undersegmentation: error of Neubert & Protzel, lower is better.
    achievable_accuracy: share of correct pixels if each region takes the drawn region with the largest overlap.
    regions: number of regions.
    """

    boundary_recall: float
    undersegmentation: float
    achievable_accuracy: float
    regions: int


def measure(regions: np.ndarray, drawn: Sequence[np.ndarray], tolerance: int = TOLERANCE) -> Measures:
    """All measures of one image.

    Args:
        regions: [H, W] int, 0..R-1, the partition.
        drawn: one map [H, W] int, non-negative, for each annotator.
        tolerance: tolerance of boundary recall, pixels.

    Raises:
        ValueError: if there is no annotator, shapes differ, or a region is negative.
    """
    if not drawn or any(other.shape != regions.shape for other in drawn):
        raise ValueError(
            f"regions have shape {regions.shape}, the {len(drawn)} drawn maps {[other.shape for other in drawn]}; "
            "give at least one drawn map, all of the shape of the regions"
        )
    if min(int(each.min()) for each in (regions, *drawn)) < 0:
        raise ValueError("regions have negative values (unknown pixels); measure partitions that cover every pixel")
    near = _near(boundary_pixels(regions), tolerance)
    of_each = [(_recall(near, other), *_overlaps(regions, other)) for other in drawn]
    recall, error, accuracy = (float(value) for value in np.mean(of_each, axis=0))
    return Measures(recall, error, accuracy, len(np.unique(regions)))


def _near(boundary: np.ndarray, tolerance: int) -> np.ndarray:
    """Pixels within a square of `tolerance` around a boundary (Stutz et al., CVIU 2018, section 5): [H, W] bool."""
    wide = maximum_filter1d(boundary, 2 * tolerance + 1, axis=0)
    return np.asarray(maximum_filter1d(wide, 2 * tolerance + 1, axis=1))


def _recall(near: np.ndarray, drawn: np.ndarray) -> float:
    """Share of the drawn boundary that is near a boundary of the partition; 1 if no boundary is drawn."""
    boundary = boundary_pixels(drawn)
    return float(near[boundary].mean()) if boundary.any() else 1.0


def _overlaps(regions: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Undersegmentation error (Neubert & Protzel, 2012) and achievable segmentation accuracy (Liu et al., CVPR 2011).

    For a region that crosses the outline of a drawn region, the error is the smaller of its parts inside and outside.
    """
    columns = int(drawn.max()) + 1
    key, overlap = np.unique(regions.astype(np.int64) * columns + drawn, return_counts=True)
    region = key // columns
    size = np.bincount(region, weights=overlap)
    largest = np.zeros(len(size), dtype=np.int64)
    np.maximum.at(largest, region, overlap)
    leaked = np.minimum(overlap, size[region] - overlap).sum()
    return float(leaked / regions.size), float(largest.sum() / regions.size)
