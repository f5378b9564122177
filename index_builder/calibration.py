"""Calibration: what a share of the vote is worth, and how familiar a segment must be to be known."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from index_builder.scores import majority_agrees
from model_store.card import Calibration, RetrievalInfo
from model_store.index import ExemplarIndex
from segsort.retrieval import familiarity, vote

KNOTS = 12
LEAST_SHARE = 0.01  # of all weight, that a knot rests on
KNOWN_SHARE = 0.95  # of the area labelled rightly, that is known


class HeldOut(NamedTuple):
    """Segments of one image whose true labels are known.

    prototypes: [S, D] float32 unit vectors; areas: [S] int64, pixels; counts: [S, C] int64, pixels of each class in
    each segment; image_id: the image's number where exemplars may come from it, else -1.
    """

    prototypes: np.ndarray
    areas: np.ndarray
    counts: np.ndarray
    image_id: int


class Outcomes(NamedTuple):
    """Of S segments: the winning share, whether the label agrees with the majority, familiarity, labelled pixels."""

    share: np.ndarray
    correct: np.ndarray
    familiar: np.ndarray
    area: np.ndarray


def calibrate_on(
    held_out: Sequence[HeldOut],
    index: ExemplarIndex,
    class_ids: np.ndarray,
    image_ids: np.ndarray,
    retrieval: RetrievalInfo,
    how: str,
) -> Calibration:
    """Fit confidence and the threshold of the known on segments whose labels are known.

    Confidence is the probability, by area, that a segment's label agrees with the majority of its pixels: a rising
    function of the winning share, linear between at most 12 knots. Known is what is at least as familiar
    (`segsort.retrieval.familiarity`) as 95 % of the held-out area that was labelled rightly.

    Args:
        held_out: the segments. Exemplars of a segment's own image take no part in its vote.
        index: over the N exemplars.
        class_ids: [N], of the exemplars.
        image_ids: [N], of the exemplars.
        retrieval: the vote.
        how: where the segments come from, for the card.

    Returns:
        The calibration. Without a single segment to judge by, confidence is the share itself and everything is known.
    """
    outcomes = [_outcomes(image, index, class_ids, image_ids, retrieval) for image in held_out]
    joined = Outcomes(*(np.concatenate([getattr(o, field) for o in outcomes] or [[]]) for field in Outcomes._fields))
    if joined.area.sum() == 0:
        how = f"not calibrated, no labelled segment could be compared with exemplars of another image ({how})"
        return Calibration(confidence_x=[0.0, 1.0], confidence_y=[0.0, 1.0], known_threshold=-1.0, how=how)
    x, y = rising_curve(joined.share, joined.correct.astype(np.float64), joined.area)
    right = joined.correct.astype(bool)
    threshold = weighted_quantile(joined.familiar[right], joined.area[right], 1 - KNOWN_SHARE) if right.any() else -1.0
    how = f"{how}; {len(joined.area)} segments of {len(held_out)} images, weighted by area"
    return Calibration(confidence_x=x, confidence_y=y, known_threshold=round(threshold, 6), how=how)


def _outcomes(
    image: HeldOut, index: ExemplarIndex, class_ids: np.ndarray, image_ids: np.ndarray, retrieval: RetrievalInfo
) -> Outcomes:
    """The vote on the segments of one image, without that image's own exemplars."""
    labelled = image.counts.sum(axis=1) > 0
    own = int((image_ids == image.image_id).sum())
    if not labelled.any() or own == index.ntotal:
        return Outcomes(*(np.zeros(0) for _ in Outcomes._fields))
    cosines, rows = index.search(image.prototypes, retrieval.k + own)
    others = image_ids[rows] != image.image_id
    first = np.argsort(~others, axis=1, kind="stable")[:, : retrieval.k]
    cosines = np.take_along_axis(np.where(others, cosines, -np.inf), first, axis=1)
    classes = class_ids[np.take_along_axis(rows, first, axis=1)]
    result = vote(cosines, classes, image.counts.shape[1], retrieval.kappa)
    counts = image.counts[labelled]
    return Outcomes(
        share=result.shares.max(axis=1)[labelled],
        correct=majority_agrees(counts, result.class_ids[labelled]),
        familiar=familiarity(cosines[:, 0], image.areas)[0][labelled],
        area=counts.sum(axis=1),
    )


def rising_curve(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[list[float], list[float]]:
    """Non-decreasing curve through weighted points, as at most 12 knots: isotonic regression, its steps then merged.

    Steps that rest on less than a hundredth of the weight, and then those that differ least, are merged.

    Args:
        x, y, weights: [N] each, N >= 1, weights positive in sum.

    Returns:
        Knots x (increasing) and y (not decreasing).
    """
    places, at = np.unique(np.round(x, 6), return_inverse=True)
    w = np.bincount(at, weights=weights)
    mean = np.bincount(at, weights=weights * y) / np.maximum(w, 1e-12)
    used = w > 0
    places, w, mean = places[used], w[used], mean[used]
    starts = isotonic_regression(mean, weights=w).blocks[:-1]
    total = np.add.reduceat(w, starts)
    steps = np.stack([total, np.add.reduceat(w * places, starts), np.add.reduceat(w * mean, starts)])  # [3, steps]
    steps = _merge_steps(steps)
    knots_x, knots_y = steps[1] / steps[0], np.maximum.accumulate(steps[2] / steps[0])
    return [round(float(v), 6) for v in knots_x], [round(float(v), 6) for v in knots_y]


def _merge_steps(steps: np.ndarray) -> np.ndarray:
    """Merge neighbouring steps (rows: weight, weighted sums of x and y) until few are left that each carry enough."""
    while steps.shape[1] > 1:
        weight, y = steps[0], steps[2] / steps[0]
        light = weight < LEAST_SHARE * weight.sum()
        if steps.shape[1] <= KNOTS and not light.any():
            break
        cost = weight[:-1] * weight[1:] / (weight[:-1] + weight[1:]) * np.diff(y) ** 2
        if light.any():
            cost = np.where(light[:-1] | light[1:], cost, np.inf)
        at = int(cost.argmin())
        steps = np.concatenate(
            [steps[:, :at], steps[:, at : at + 2].sum(axis=1, keepdims=True), steps[:, at + 2 :]], axis=1
        )
    return steps


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The value that at most `share` (0..1) of the weight lies below: [N], [N], N >= 1."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    row = int(np.searchsorted(below, share * below[-1], side="left"))
    return float(values[order][min(row, len(values) - 1)])
