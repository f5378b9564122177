"""Measures of a segmentation: IoU and accuracy from counts, boundary F, calibration error."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from index_builder.datasets import IGNORE
from model_store.card import ClassInfo


def class_lookup(names: Sequence[ClassInfo], known: Sequence[ClassInfo], of: str) -> np.ndarray:
    """Table that turns one list's class ids into another's, matched by name: [256] uint8, IGNORE stays IGNORE.

    Args:
        names: classes of a data set.
        known: classes they are looked up in.
        of: what `known` belongs to, for the error.

    Raises:
        ValueError: if a class of the data set is not known.
    """
    ids = {info.name: info.class_id for info in known}
    missing = [info.name for info in names if info.name not in ids]
    if missing:
        raise ValueError(
            f"{of} has no class {', '.join(missing)}: its classes are {', '.join(ids)}; the data set's are "
            f"{', '.join(info.name for info in names)}; rename the classes, or use another data set or release"
        )
    table = np.full(256, IGNORE, dtype=np.uint8)
    for info in names:
        table[info.class_id] = ids[info.name]
    return table


def label_counts(segments: np.ndarray, labels: np.ndarray, count: int, num_classes: int) -> np.ndarray:
    """Pixels of each class in each segment: [H, W] 0..count-1, [H, W] class or IGNORE -> [count, num_classes] int64."""
    valid = labels != IGNORE
    key = segments[valid].astype(np.int64) * num_classes + labels[valid]
    return np.bincount(key, minlength=count * num_classes).reshape(count, num_classes)


def majority_agrees(counts: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Whether each segment's label is its most frequent true one, the first of equals: [S, C], [S] -> [S] bool."""
    return np.asarray(counts.argmax(axis=1) == class_ids)


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """IoU of each class: [C, C'] pixels (true, predicted; C' >= C) -> [C].

    It is NaN where a class neither occurs nor is predicted. Predicted classes past the C-th are none of the data set's:
    their pixels are missed ones of the true class.
    """
    C = len(confusion)
    hit = confusion.diagonal().astype(np.float64)
    union = confusion.sum(axis=1) + confusion[:, :C].sum(axis=0) - hit
    return np.asarray(np.divide(hit, union, out=np.full(C, np.nan), where=union > 0))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Share of each class's pixels that are found: [C, C'] (true, predicted) -> [C]; NaN where it does not occur."""
    total = confusion.sum(axis=1)
    return np.asarray(np.divide(confusion.diagonal(), total, out=np.full(len(confusion), np.nan), where=total > 0))


def boundary_f(truth: np.ndarray, predicted: np.ndarray, tolerances: Sequence[float]) -> np.ndarray:
    """Boundary F of one image, the mean over the classes whose true boundary can be seen (Csurka et al., BMVC 2013).

    Precision is the share of a class's predicted boundary that lies within the tolerance of its true boundary, recall
    the share of its true boundary within the tolerance of the predicted one, F their harmonic mean.

    Args:
        truth: [H, W] class or IGNORE. Ignored pixels have no boundary, nor does what borders on them alone.
        predicted: [H, W] class.
        tolerances: distances in pixels, T of them.

    Returns:
        [T] F, 0..1; NaN where no class has a true boundary.
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
    """Pixels beside a pixel of another class: [H, W] bool."""
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
    """F of two sets of points [N, 2] and [M, 2], N >= 1, at each tolerance: [T]."""
    if not len(predicted):
        return np.zeros(len(tolerances))
    to_truth, _ = cKDTree(truth).query(predicted)
    to_predicted, _ = cKDTree(predicted).query(truth)
    limits = np.asarray(tolerances, dtype=np.float64)[:, None]
    precision, found = (to_truth <= limits).mean(axis=1), (to_predicted <= limits).mean(axis=1)
    total = precision + found
    return np.asarray(np.divide(2 * precision * found, total, out=np.zeros(len(tolerances)), where=total > 0))


class Reliability(NamedTuple):
    """B equal bins of confidence: its mean in each [B], the share correct [B], their part of the weight [B], all 0..1.

    Mean and share are NaN where a bin is empty, the part of the weight where there is no weight at all.
    """

    confidence: np.ndarray
    correct: np.ndarray
    weight: np.ndarray


def reliability(confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray, bins: int = 15) -> Reliability:
    """What a reliability diagram shows: how often segments of like confidence are right.

    Args:
        confidence: [S] 0..1.
        correct: [S] bool.
        weights: [S], such as pixels.
        bins: number of bins of equal width.
    """
    row = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    weight, sum_confidence, sum_correct = (
        np.bincount(row, weights=weights * values, minlength=bins)
        for values in (np.ones_like(confidence), confidence, correct)
    )
    with np.errstate(invalid="ignore"):
        return Reliability(sum_confidence / weight, sum_correct / weight, weight / weight.sum())


def calibration_error(confidence: np.ndarray, correct: np.ndarray, weights: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: the mean distance of confidence from the share correct in the bins of `reliability`.

    It takes what that takes, and is NaN without any weight.
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
    """Chance that a positive scores above a negative, half of the ties counted: 0..1, 0.5 if scores tell nothing.

    Args:
        positives: [P] scores.
        negatives: [N] scores.
        positive_weights: [P], such as pixels; None: all alike.
        negative_weights: [N].

    Returns:
        The area under the receiver operating characteristic, NaN if either side has no weight.
    """
    above = np.ones(len(positives)) if positive_weights is None else positive_weights.astype(np.float64)
    below = np.ones(len(negatives)) if negative_weights is None else negative_weights.astype(np.float64)
    if above.sum() <= 0 or below.sum() <= 0:
        return float("nan")
    order = np.argsort(negatives)
    reached = np.concatenate([[0.0], np.cumsum(below[order])])  # weight of the first n negatives
    less, no_more = (np.searchsorted(negatives[order], positives, side=side) for side in ("left", "right"))
    return float(above @ (reached[less] + reached[no_more]) / 2 / above.sum() / below.sum())
