"""Calibration of confidence, and the familiarity threshold of known segments."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from index_builder.scores import majority_agrees
from model_store.card import Calibration, RetrievalInfo
from model_store.index import ExemplarIndex
from segsort.retrieval import familiarity, vote

KNOTS = 12  # maximum number of knots of the confidence curve
LEAST_SHARE = 0.01  # minimum share of the total weight at each knot
KNOWN_SHARE = 0.95  # share of the correctly labelled area that is above the threshold of known segments


class HeldOut(NamedTuple):
    """Segments of one labelled image.

    prototypes: [S, D] float32 unit vectors; areas: [S] int64, pixels; counts: [S, C] int64, pixels of each class in
    each segment; image_id: id of the image if exemplars may come from it, else -1.
    """

    prototypes: np.ndarray
    areas: np.ndarray
    counts: np.ndarray
    image_id: int


class HeldOutVotes(NamedTuple):
    """Votes on S segments.

    share: [S] winning share, 0..1; correct: [S] bool, whether the label is the majority class of the segment; right:
    [S] share of its labelled pixels that have the label, 0..1; familiar: [S] familiarity; area: [S] labelled pixels.
    """

    share: np.ndarray
    correct: np.ndarray
    right: np.ndarray
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
    """Fit the confidence curve and the threshold of known segments on labelled segments.

    Confidence is the probability that a pixel of the segment has the segment's label. It is a non-decreasing function
    of the winning share, linear between at most 12 knots. A segment is known if its familiarity
    (`segsort.retrieval.familiarity`) reaches the value that 95 % of the correctly labelled held-out area reaches; a
    segment is correctly labelled if its label is its majority class.

    Args:
        held_out: labelled segments. Exemplars from a segment's own image are excluded from its vote.
        index: index of the N exemplars.
        class_ids: [N] int64, classes of the exemplars.
        image_ids: [N] int, images of the exemplars.
        retrieval: settings of the vote.
        how: origin of the segments, for the card.

    Returns:
        The calibration; see `calibration_of`.
    """
    outcomes = [outcomes_of(image, index, class_ids, image_ids, retrieval) for image in held_out]
    return calibration_of(outcomes, how)


def calibration_of(outcomes: Sequence[HeldOutVotes], how: str) -> Calibration:
    """Fit the confidence curve and the threshold of known segments to votes, see `calibrate_on`.

    Args:
        outcomes: of each held-out image.
        how: origin of the segments, for the card.

    Returns:
        The calibration. If there are no votes, it is not calibrated, and every segment is known.
    """
    joined = HeldOutVotes(
        *(np.concatenate([getattr(o, field) for o in outcomes] or [[]]) for field in HeldOutVotes._fields)
    )
    if joined.area.sum() == 0:
        how = f"not calibrated, no labelled segment could be compared with exemplars of another image ({how})"
        return Calibration(
            calibrated=False, confidence_x=[0.0, 1.0], confidence_y=[0.0, 1.0], known_threshold=-1.0, how=how
        )
    x, y = rising_curve(joined.share, joined.right, joined.area)
    correct = joined.correct.astype(bool)
    familiar, area = joined.familiar[correct], joined.area[correct]
    threshold = weighted_quantile(familiar, area, 1 - KNOWN_SHARE) if correct.any() else -1.0
    how = f"{how}; pixels of {len(joined.area)} segments of {len(outcomes)} images"
    return Calibration(confidence_x=x, confidence_y=y, known_threshold=round(threshold, 6), how=how)


def outcomes_of(
    image: HeldOut, index: ExemplarIndex, class_ids: np.ndarray, image_ids: np.ndarray, retrieval: RetrievalInfo
) -> HeldOutVotes:
    """Vote on the labelled segments of one image without the exemplars of that image."""
    labelled = image.counts.sum(axis=1) > 0
    own = int((image_ids == image.image_id).sum())
    if not labelled.any() or own == index.ntotal:
        return HeldOutVotes(*(np.zeros(0) for _ in HeldOutVotes._fields))
    cosines, rows = index.search(image.prototypes, retrieval.k + own)
    others = image_ids[rows] != image.image_id
    first = np.argsort(~others, axis=1, kind="stable")[:, : retrieval.k]
    cosines = np.take_along_axis(np.where(others, cosines, -np.inf), first, axis=1)
    classes = class_ids[np.take_along_axis(rows, first, axis=1)]
    result = vote(cosines, classes, image.counts.shape[1], retrieval.kappa)
    counts, found = image.counts[labelled], result.class_ids[labelled]
    area = counts.sum(axis=1)
    return HeldOutVotes(
        share=result.shares.max(axis=1)[labelled],
        correct=majority_agrees(counts, found),
        right=counts[np.arange(len(found)), found] / area,
        familiar=familiarity(cosines[:, 0], image.areas)[0][labelled],
        area=area,
    )


def rising_curve(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[list[float], list[float]]:
    """Fit a non-decreasing curve with at most 12 knots to weighted points: isotonic regression with merged steps.

    Steps with less than 1 % of the weight are merged first, then those with the smallest difference.

    Args:
        x, y, weights: [N] each, N >= 1; the sum of the weights is positive.

    Returns:
        Knots x (increasing) and y (non-decreasing).
    """
    values, at = np.unique(np.round(x, 6), return_inverse=True)
    w = np.bincount(at, weights=weights)
    mean = np.bincount(at, weights=weights * y) / np.maximum(w, 1e-12)
    used = w > 0
    values, w, mean = values[used], w[used], mean[used]
    starts = isotonic_regression(mean, weights=w).blocks[:-1]
    total = np.add.reduceat(w, starts)
    steps = np.stack([total, np.add.reduceat(w * values, starts), np.add.reduceat(w * mean, starts)])  # [3, steps]
    steps = _merge_steps(steps)
    knots_x, knots_y = steps[1] / steps[0], np.maximum.accumulate(steps[2] / steps[0])
    return [round(float(v), 6) for v in knots_x], [round(float(v), 6) for v in knots_y]


def _merge_steps(steps: np.ndarray) -> np.ndarray:
    """Merge neighbouring steps until at most KNOTS are left and each has at least LEAST_SHARE of the weight.

    steps: [3, steps], rows: weight, weighted sum of x, weighted sum of y.
    """
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
    """Weighted quantile: the smallest value up to which at least `share` (0..1) of the weight lies.

    values, weights: [N] each, N >= 1.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    row = int(np.searchsorted(below, share * below[-1], side="left"))
    return float(values[order][min(row, len(values) - 1)])
