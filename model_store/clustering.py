"""Clusters of segments on the sphere, by spherical k-means weighted by area."""

from typing import NamedTuple

import faiss
import numpy as np

ITERATIONS, STARTS, SEED = 50, 5, 0
FEWER_STARTS = 2  # of each number of clusters that `grouped` tries
COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # numbers of clusters that `grouped` tries
COVERED = 0.9  # share of the weight that must be near its centre


class Groups(NamedTuple):
    """Clusters of S segments.

    centres: [K, D] float32 unit vectors; labels: [S] int64, cluster of each segment, none empty; cosines: [S] float32,
    of each segment to its centre.
    """

    centres: np.ndarray
    labels: np.ndarray
    cosines: np.ndarray


def grouped(prototypes: np.ndarray, areas: np.ndarray, near: float) -> Groups:
    """Cluster segments into as few clusters as are tight enough.

    The number is the first of `COUNTS` with which 90 % of the area lies in segments whose cosine to the centre of their
    cluster is at least `near`. It is at most 64, and at most one for two segments, so that clusters unite segments.

    Args:
        prototypes: [S, D] float32 unit vectors, S >= 1.
        areas: [S], above 0.
        near: the cosine, -1..1.
    """
    total, most = float(areas.sum()), max(1, len(prototypes) // 2)
    for count in COUNTS:
        found = _groups(prototypes, find_centres(prototypes, areas, min(count, most), FEWER_STARTS))
        if float(areas[found.cosines >= near].sum()) >= COVERED * total or count >= most:
            break
    return found


def _groups(prototypes: np.ndarray, centres: np.ndarray) -> Groups:
    """Each segment in the cluster of its nearest centre; centres without a segment are left out."""
    used, labels = np.unique(nearest_centres(prototypes, centres), return_inverse=True)
    cosines = np.einsum("sd,sd->s", prototypes, centres[used][labels])
    return Groups(centres[used], labels.astype(np.int64), cosines)


def find_centres(prototypes: np.ndarray, areas: np.ndarray, count: int, starts: int = STARTS) -> np.ndarray:
    """Cluster segments by spherical k-means; each segment is weighted by its area.

    Args:
        prototypes: [S, D] float32 unit vectors.
        areas: [S], pixels.
        count: number of clusters.
        starts: how often it begins anew; the best result counts.

    Returns:
        [count, D] float32 unit vectors, the cluster centres.

    Raises:
        ValueError: if there are fewer segments than clusters.
    """
    if len(prototypes) < count:
        raise ValueError(f"{len(prototypes)} segments cannot form {count} clusters; ask for fewer or give more images")
    means = faiss.Kmeans(
        prototypes.shape[1], count, niter=ITERATIONS, nredo=starts, spherical=True, seed=SEED,
        min_points_per_centroid=1, max_points_per_centroid=len(prototypes),
    )  # fmt: skip
    means.train(prototypes, weights=(areas / areas.mean()).astype(np.float32))
    return np.asarray(means.centroids)


def nearest_centres(prototypes: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Nearest centre of each segment: [S, D], [K, D] -> [S] int64."""
    return np.asarray((prototypes @ centres.T).argmax(axis=1))
