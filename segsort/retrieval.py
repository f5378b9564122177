"""The vote of the nearest exemplars, what changes its outcome, and how familiar a segment is.

The search for the nearest exemplars is `model_store.index.ExemplarIndex`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NO_CLASS = -1  # class id of a segment that no exemplar votes on
_TINY = 1e-12  # in place of a first knot at 0
_ROUNDING = 1e-6  # added to a strength, so that the share is reached in spite of rounding errors in the vote


class Vote(NamedTuple):
    """The vote on Q segments.

    weights: [Q, k] float64, each row sums to 1; shares: [Q, C] float64, each row sums to 1; class_ids: [Q] int64.
    If no exemplar votes (k = 0), all shares are 0 and all class ids are `NO_CLASS`.
    """

    weights: np.ndarray
    shares: np.ndarray
    class_ids: np.ndarray


def vote(
    similarities: np.ndarray,
    class_ids: np.ndarray,
    num_classes: int,
    kappa: float,
    strengths: np.ndarray | None = None,
) -> Vote:
    """Label segments by the vote of their nearest exemplars.

    The shares of the classes have the form of the posterior of the vMF-NCA loss (paper, eq. 6), with three differences.
    A segment is compared instead of a pixel, only the k nearest exemplars count, and exemplars have strengths. The
    paper takes the majority class of the k nearest instead.

    Args:
        similarities: [Q, k] cosines of the k nearest exemplars; k may be 0.
        class_ids: [Q, k] classes of those exemplars, 0..num_classes-1.
        num_classes: C; it may be 0.
        kappa: concentration. Each exemplar weighs strength * exp(kappa * cosine), normalised over the k.
        strengths: [Q, k], above 0. An exemplar of strength s weighs as much as s exemplars; None: each is 1.

    Returns:
        Weights, class shares and winning classes; a tie goes to the lowest class id. Without exemplars, each segment
        has `NO_CLASS`.

    Raises:
        ValueError: if shapes differ, a similarity is NaN, a class is out of range, or a strength is not above 0.
    """
    if similarities.shape != class_ids.shape or similarities.ndim != 2:
        raise ValueError(
            f"similarities has shape {similarities.shape}, class_ids {class_ids.shape}; both must be [Q, k]"
        )
    if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < num_classes:
        raise ValueError(f"class_ids spans {class_ids.min()}..{class_ids.max()}; allowed are 0..{num_classes - 1}")
    if not similarities.shape[1]:
        Q = len(similarities)
        return Vote(np.zeros((Q, 0)), np.zeros((Q, num_classes)), np.full(Q, NO_CLASS, dtype=np.int64))
    if np.isnan(similarities).any():
        raise ValueError("similarities has values that are not numbers; they must be cosines")
    scaled = kappa * similarities.astype(np.float64)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True)) if len(scaled) else scaled
    if strengths is not None:
        _check_strengths(strengths, similarities.shape)
        weights *= strengths
    weights /= weights.sum(axis=1, keepdims=True)
    shares = np.zeros((len(weights), num_classes))
    np.add.at(shares, (np.arange(len(weights))[:, None], class_ids), weights)
    return Vote(weights, shares, shares.argmax(axis=1))


def familiarity(nearest: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, float]:
    """Measure how close the segments of one image are to exemplars, from each segment and from its whole image.

    A single segment of a foreign image may be close to an exemplar by chance. It is much less likely that all its
    segments are close. Therefore the mean over the image counts as much as the segment itself.

    Args:
        nearest: [S] cosine of each segment to its nearest exemplar, S >= 1.
        areas: [S] pixels.

    Returns:
        Familiarity of each segment [S] float64, the mean of its cosine and the image's cosine; and the image's cosine.
        The image's cosine is the mean of the cosines of its segments, weighted by area.
    """
    image = float(np.average(nearest.astype(np.float64), weights=areas))
    return (nearest.astype(np.float64) + image) / 2, image


def calibrate(share: np.ndarray, knots_x: Sequence[float], knots_y: Sequence[float]) -> np.ndarray:
    """Map a winning share to a confidence: piecewise linear, and constant above the last knot.

    Below the first knot the line goes to the origin, because a smaller share of the vote is less likely to be right.

    Raises:
        ValueError: if the numbers of knots differ, x does not increase, or y decreases.
    """
    x, y = np.asarray(knots_x, dtype=np.float64), np.asarray(knots_y, dtype=np.float64)
    if x.shape != y.shape or not len(x) or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
        raise ValueError(
            f"knots x={list(knots_x)}, y={list(knots_y)}: they must be equally many, x increasing, y not decreasing"
        )
    below = np.asarray(share, dtype=np.float64) / max(float(x[0]), _TINY)
    return np.asarray(np.interp(share, x, y) * below.clip(0, 1))


def flip_set(
    similarities: np.ndarray, class_ids: np.ndarray, k: int, kappa: float, strengths: np.ndarray | None = None
) -> list[int] | None:
    """Find the smallest set of exemplars whose removal changes the label of one segment.

    After a removal the next neighbours vote in place of the removed ones. The result is exact:

    - With m of the first k + m neighbours removed, the other k of them vote.
    - Removing an exemplar of another class never helps. So the best m to remove are the m heaviest of the winner.
    - If the first k + m hold fewer than m exemplars of the winner, the label has changed with fewer removals.

    Args:
        similarities: [R] cosines, best first.
        class_ids: [R] classes.
        k: number of exemplars that vote.
        kappa: concentration, see `vote`.
        strengths: [R], see `vote`.

    Returns:
        Positions in 0..R-1, heaviest first, or None if the R neighbours are too few to change the label.
    """
    classes, columns = np.unique(class_ids, return_inverse=True)
    strengths = np.ones(len(columns)) if strengths is None else strengths
    _check_strengths(strengths, similarities.shape)

    def label(kept: np.ndarray) -> int:
        found = vote(similarities[None, kept], columns[None, kept], len(classes), kappa, strengths[None, kept])
        return int(found.class_ids[0])

    winner = label(np.arange(min(k, len(columns))))
    log_weights = kappa * similarities.astype(np.float64) + np.log(strengths.astype(np.float64))
    own = np.flatnonzero(columns == winner)
    heaviest = own[np.argsort(-log_weights[own], kind="stable")]
    for removed in range(1, len(columns) - k + 1):
        window = k + removed
        candidates = heaviest[heaviest < window][:removed]
        if label(np.delete(np.arange(window), candidates)) != winner:
            return [int(position) for position in candidates]
    return None


def winning_strength(
    similarities: np.ndarray,
    same_class: np.ndarray,
    new_similarity: float,
    share: float,
    kappa: float,
    strengths: np.ndarray | None = None,
) -> float:
    """Compute the smallest whole strength with which one more exemplar gives its class a share of the vote.

    Let c be the cosine of the new exemplar and s its strength. Relative to exp(kappa * c), the other voters of its
    class weigh A in total and those of other classes weigh B. Its class then has the share

        (A + s) / (A + B + s) >= share   <=>   s >= (share * B - (1 - share) * A) / (1 - share).

    Args:
        similarities: [n] cosines of the exemplars that vote together with the new one, n >= 0.
        same_class: [n] bool, whether each has the class of the new exemplar.
        new_similarity: cosine of the new exemplar, -1..1.
        share: the share that its class must reach, above 0 and below 1.
        kappa: concentration, see `vote`.
        strengths: [n], see `vote`.

    Returns:
        A whole number of at least 1; infinity if no finite float is large enough.

    Raises:
        ValueError: if shapes differ, the share is not between 0 and 1, or a strength is not above 0.
    """
    if similarities.shape != same_class.shape or not 0 < share < 1:
        raise ValueError(
            f"similarities has shape {similarities.shape}, same_class {same_class.shape}, share={share}; give one flag "
            "for each similarity, and a share above 0 and below 1"
        )
    with np.errstate(over="ignore"):
        weights = np.exp(kappa * (similarities.astype(np.float64) - new_similarity))
    if strengths is not None:
        _check_strengths(strengths, similarities.shape)
        weights *= strengths
    own, other = float(weights[same_class].sum()), float(weights[~same_class].sum())
    if math.isinf(own) or math.isinf(other):
        return 1.0 if math.isinf(own) and not math.isinf(other) else math.inf
    return max(1.0, float(math.ceil((share * other - (1 - share) * own) / (1 - share) + _ROUNDING)))


def _check_strengths(strengths: np.ndarray, shape: tuple[int, ...]) -> None:
    if strengths.shape != shape or not (np.isfinite(strengths) & (strengths > 0)).all():
        raise ValueError(
            f"strengths have shape {strengths.shape} and hold {strengths.ravel()[:5].tolist()}...; there must be one "
            f"finite number above 0 for each of the similarities {shape}; leave them out to count each exemplar once"
        )
