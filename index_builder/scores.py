"""Scores of a segmentation: IoU and recall from counts, boundary F, calibration error, area under the ROC."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from index_builder.datasets import IGNORE
from model_store.card import ClassInfo


def class_lookup(names: Sequence[ClassInfo], known: Sequence[ClassInfo], of: str) -> np.ndarray:
    """Lookup table from the class ids of one list to those of another, matched by name.

    Args:
        names: classes of a data set.
        known: classes that are searched for the names.
        of: owner of `known`, for the error message.

    Returns:
        [256] uint8; IGNORE maps to IGNORE.

    Raises:
        ValueError: if a class of the data set is not in `known`.
    """
    ids = {info.name: info.class_id for info in known}
    missing = [info.name for info in names if info.name not in ids]
    if missing:
        raise ValueError(
            f"{of} has no class {', '.join(missing)}; its classes are {', '.join(ids)}, those of the data set "
            f"{', '.join(info.name for info in names)}; rename classes, or use another data set or release"
        )
    table = np.full(256, IGNORE, dtype=np.uint8)
    for info in names:
        table[info.class_id] = ids[info.name]
    return table


def label_counts(segments: np.ndarray, labels: np.ndarray, count: int, num_classes: int) -> np.ndarray:
    """Pixels of each class in each segment.

    Args:
        segments: [H, W] int, 0..count-1.
        labels: [H, W] uint8, a class or IGNORE.
        count: number of segments.
        num_classes: number of classes.

    Returns:
        [count, num_classes] int64.
    """
    valid = labels != IGNORE
    key = segments[valid].astype(np.int64) * num_classes + labels[valid]
    return np.bincount(key, minlength=count * num_classes).reshape(count, num_classes)


def majority_agrees(counts: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Whether the label of each segment is its majority class, the first of equals: [S, C], [S] -> [S] bool."""
    return np.asarray(counts.argmax(axis=1) == class_ids)


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """IoU of each class: [C, C'] pixels by true and predicted class, C' >= C -> [C] float64.

    The IoU is NaN if a class neither occurs nor is predicted. Predicted classes after the C-th are not in the data set;
    their pixels count as misses of the true class.
    """
    C = len(confusion)
    hit = confusion.diagonal().astype(np.float64)
    union = confusion.sum(axis=1) + confusion[:, :C].sum(axis=0) - hit
    return np.asarray(np.divide(hit, union, out=np.full(C, np.nan), where=union > 0))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Recall of each class: [C, C'] pixels by true and predicted class -> [C]; NaN if the class does not occur."""
    total = confusion.sum(axis=1)
    return np.asarray(np.divide(confusion.diagonal(), total, out=np.full(len(confusion), np.nan), where=total > 0))


def boundary_f(truth: np.ndarray, predicted: np.ndarray, tolerances: Sequence[float]) -> np.ndarray:
    """Boundary F of one image: the mean over the classes that have a true boundary (Csurka et al., BMVC 2013).

    For each class, precision is the share of the predicted boundary within the tolerance of the true boundary. Recall
    is the share of the true boundary within the tolerance of the predicted one. F is their harmonic mean.

    Args:
        truth: [H, W] class or IGNORE. A border between a class and ignored pixels is not a boundary.
        predicted: [H, W] class.
        tolerances: T distances in pixels.

    Returns:
        [T] float64 F, 0..1; NaN if no class has a true boundary.
    """
    valid = truth != IGNORE
    true_boundary, predicted_boundary = _boundary(truth, valid), _boundary(predicted, valid)
    scores = [
        _f_within(
            np.argwhere(true_boundary & (truth == c)), np.argwhere(predicted_boundary & (predicted == c)), tolerances
        )
        for c in np.unique(truth[true_boundary])
    ]
    return np.mean(scores, axis=0) if scores else np.full(len(tolerances), np.nan)


def _boundary(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Valid pixels with a valid 4-neighbour of another class: [H, W] bool."""
    edge = np.zeros(labels.shape, dtype=bool)
    for a, b in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        differ = (labels[a] != labels[b]) & valid[a] & valid[b]
        edge[a] |= differ
        edge[b] |= differ
    return edge


def _f_within(truth: np.ndarray, predicted: np.ndarray, tolerances: Sequence[float]) -> np.ndarray:
    """F of two sets of points [N, 2] and [M, 2], N >= 1, at each of T tolerances: [T]."""
    if not len(predicted):
        return np.zeros(len(tolerances))
    to_truth, _ = cKDTree(truth).query(predicted)
    to_predicted, _ = cKDTree(predicted).query(truth)
    limits = np.asarray(tolerances, dtype=np.float64)[:, None]
    precision, found = (to_truth <= limits).mean(axis=1), (to_predicted <= limits).mean(axis=1)
    total = precision + found
    return np.asarray(np.divide(2 * precision * found, total, out=np.zeros(len(tolerances)), where=total > 0))


class Reliability(NamedTuple):
    """A reliability diagram of B equal bins of confidence, values 0..1.

    confidence: [B] mean confidence, NaN in empty bins; correct: [B] share of correct segments, NaN in empty bins;
    weight: [B] share of the total weight, NaN if the total is 0.
    """

    confidence: np.ndarray
    correct: np.ndarray
    weight: np.ndarray


def reliability(confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray, bins: int = 15) -> Reliability:
    """Compute a reliability diagram: how often segments of similar confidence are correct.

    Args:
        confidence: [S] 0..1. Segments with NaN, of a release that is not calibrated, are left out.
        correct: [S] bool, or shares 0..1.
        weights: [S], for example pixels.
        bins: number of bins of equal width.
    """
    measured = ~np.isnan(confidence)
    confidence, correct, weights = confidence[measured], correct[measured], weights[measured]
    row = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    weight, sum_confidence, sum_correct = (
        np.bincount(row, weights=weights * values, minlength=bins)
        for values in (np.ones_like(confidence), confidence, correct)
    )
    with np.errstate(invalid="ignore"):
        return Reliability(sum_confidence / weight, sum_correct / weight, weight / weight.sum())


def calibration_error(confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: weighted mean distance of confidence and share of correct segments over the bins.

    Args:
        confidence: [S] 0..1. Segments with NaN, of a release that is not calibrated, are left out.
        correct: [S] bool, or shares 0..1.
        weights: [S], for example pixels.
        bins: number of bins of equal width.

    Returns:
        The error, 0..1; NaN if the total weight is 0.
    """
    found = reliability(confidence, correct, weights, bins)
    if np.isnan(found.weight).any():
        return float("nan")
    return float(np.nansum(found.weight * np.abs(found.confidence - found.correct)))


def area_under_roc(
    positives: np.ndarray,
    negatives: np.ndarray,
    positive_weights: np.ndarray | None = None,
    negative_weights: np.ndarray | None = None,
) -> float:
    """Area under the receiver operating characteristic, weighted.

    It is the probability that a positive has a higher score than a negative, with ties counted as one half.

    Args:
        positives: [P] scores.
        negatives: [N] scores.
        positive_weights: [P], for example pixels; None: equal weights.
        negative_weights: [N]; None: equal weights.

    Returns:
        0..1, 0.5 if scores give no information; NaN if either side has no weight.
    """
    above = np.ones(len(positives)) if positive_weights is None else positive_weights.astype(np.float64)
    below = np.ones(len(negatives)) if negative_weights is None else negative_weights.astype(np.float64)
    if above.sum() <= 0 or below.sum() <= 0:
        return float("nan")
    order = np.argsort(negatives)
    cumulative = np.concatenate([[0.0], np.cumsum(below[order])])  # weight of the first n negatives
    lower, not_higher = (np.searchsorted(negatives[order], positives, side=side) for side in ("left", "right"))
    return float(above @ (cumulative[lower] + cumulative[not_higher]) / 2 / above.sum() / below.sum())
