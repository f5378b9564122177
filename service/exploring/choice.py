"""The choice of images to label next: uncertain ones that resemble neither exemplars nor each other."""

from typing import NamedTuple

import numpy as np

BLOCK = 512  # rows of cosines that are in memory at a time


class Candidates(NamedTuple):
    """The segments of I images.

    prototypes: [S, D] float32 unit vectors; weights: [S] float64, share of the area of its image times uncertainty;
    images: [S] int64, number of its image, 0..I-1; covered: [S] float64, largest cosine to anything labelled, or -1.
    """

    prototypes: np.ndarray
    weights: np.ndarray
    images: np.ndarray
    covered: np.ndarray


class Chosen(NamedTuple):
    """A chosen image.

    image: its number; score: what it adds, 0 or more; novelty: 0..2, mean distance 1 - cosine of its segments to the
    nearest exemplar or segment of an image chosen before, weighted as the segments are.
    """

    image: int
    score: float
    novelty: float


def choose_images(candidates: Candidates, images: int, count: int) -> list[Chosen]:
    """Choose images one after another, each with the largest gain.

    The gain of an image is how much closer the segments of all images come to a labelled segment if it is labelled: the
    sum of `weight * (cosine after - cosine before)`. This is facility location, a submodular function, so the greedy
    choice reaches at least 63 % of the best possible sum. Two nearly equal images do not both gain: after the first,
    the segments of the second are covered.

    Args:
        candidates: the segments of all images.
        images: I, number of images.
        count: largest number of images to choose.

    Returns:
        At most `count` images, the best first. Images that gain nothing are left out; ties go to the lower number.
    """
    closest = _closest_of_images(candidates, images)
    covered, left, chosen = candidates.covered.astype(np.float64), np.ones(images, dtype=bool), []
    weights, own = candidates.weights, candidates.images
    for _ in range(min(count, images)):
        gains = np.maximum(closest - covered[:, None], 0).T @ weights
        gains[~left] = -1
        best = int(gains.argmax())
        if gains[best] <= _LEAST:
            break
        mine = own == best
        total = max(float(weights[mine].sum()), _LEAST)
        novelty = float((weights[mine] * (1 - covered[mine])).sum() / total)
        chosen.append(Chosen(best, float(gains[best]), novelty))
        covered = np.maximum(covered, closest[:, best])
        left[best] = False
    return chosen


def _closest_of_images(candidates: Candidates, images: int) -> np.ndarray:
    """[S, I] float64, largest cosine of each segment to a segment of each image."""
    prototypes, own = candidates.prototypes, candidates.images
    order = np.argsort(own, kind="stable")
    present, starts = np.unique(own[order], return_index=True)
    closest = np.full((len(prototypes), images), -1.0)
    for start in range(0, len(prototypes), BLOCK):
        cosines = prototypes[start : start + BLOCK] @ prototypes[order].T
        closest[start : start + BLOCK, present] = np.maximum.reduceat(cosines, starts, axis=1)
    return closest


_LEAST = 1e-9  # gains and weights below it count as nothing
