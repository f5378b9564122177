"""Retrieval: the vote of the nearest labelled segments, and what it would take to change it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Vote(NamedTuple):
    """weights: [Q, k] float64, each row sums to 1; shares: [Q, C] float64, each row sums to 1; class_ids: [Q] int64."""

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
    """Label segments by their nearest exemplars: the NCA posterior that training optimises (paper, eq. 6).

    Args:
        similarities: [Q, k] cosines of the k nearest exemplars.
        class_ids: [Q, k] classes of those exemplars, 0..num_classes-1.
        num_classes: C.
        kappa: each exemplar weighs strength * exp(kappa * cosine), normalised over the k.
        strengths: [Q, k], as how many exemplars each counts, above 0; None: each as one.

    Returns:
        Weights, class shares and winning classes; a tie goes to the lowest class id.

    Raises:
        ValueError: if shapes differ, k is 0, a class is out of range, or a strength is not above 0.
    """
    if similarities.shape != class_ids.shape or similarities.ndim != 2 or similarities.shape[1] == 0:
        raise ValueError(
            f"similarities has shape {similarities.shape}, class_ids {class_ids.shape}; both must be [Q, k] with k >= 1"
        )
    if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < num_classes:
        raise ValueError(f"class_ids spans {class_ids.min()}..{class_ids.max()}; allowed are 0..{num_classes - 1}")
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
    """How near the segments of one image are to exemplars, each judged together with the image it lies in.

    A segment of a foreign image may by chance lie near an exemplar, as a plain grey surface does; that its whole image
    does is much less likely.

    Args:
        nearest: [S] cosine of each segment to its nearest exemplar, S >= 1.
        areas: [S] pixels.

    Returns:
        [S] mean of the segment's own cosine and the image's, and the image's: the mean over its segments by area.
    """
    image = float(np.average(nearest.astype(np.float64), weights=areas))
    return (nearest.astype(np.float64) + image) / 2, image


def calibrate(share: np.ndarray, knots_x: Sequence[float], knots_y: Sequence[float]) -> np.ndarray:
    """Confidence of a winning share: piecewise linear between knots, constant outside them.

    Raises:
        ValueError: if the knots are not increasing in x and non-decreasing in y, or are of unequal number.
    """
    x, y = np.asarray(knots_x, dtype=np.float64), np.asarray(knots_y, dtype=np.float64)
    if x.shape != y.shape or not len(x) or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
        raise ValueError(
            f"knots x={list(knots_x)}, y={list(knots_y)}: they must be equally many, x increasing, y not decreasing"
        )
    return np.asarray(np.interp(share, x, y))


def flip_set(
    similarities: np.ndarray, class_ids: np.ndarray, k: int, kappa: float, strengths: np.ndarray | None = None
) -> list[int] | None:
    """The smallest set of exemplars whose removal changes the label of one segment, the next neighbours moving up.

    It is exact. With m of the first k + m neighbours removed, the vote is over all the others of them. Every exemplar
    of another class than the winner only helps to flip, so the m heaviest of the winner are the best m to remove. (They
    are there: if the first k + m hold no more than m of the winner, the label flips without these.)

    Args:
        similarities: [R] cosines, best first.
        class_ids: [R] classes.
        k: number of exemplars that vote.
        kappa: as in `vote`.
        strengths: [R], as in `vote`.

    Returns:
        Positions in 0..R-1, heaviest first, or None if the R neighbours given do not hold enough to flip the label.
    """
    classes, columns = np.unique(class_ids, return_inverse=True)
    strengths = np.ones(len(columns)) if strengths is None else strengths
    _check_strengths(strengths, similarities.shape)

    def label(kept: np.ndarray) -> int:
        found = vote(similarities[None, kept], columns[None, kept], len(classes), kappa, strengths[None, kept])
        return int(found.class_ids[0])

    winner = label(np.arange(min(k, len(columns))))
    heaviness = kappa * similarities.astype(np.float64) + np.log(strengths.astype(np.float64))
    wins = np.flatnonzero(columns == winner)
    heaviest = wins[np.argsort(-heaviness[wins], kind="stable")]
    for removed in range(1, len(columns) - k + 1):
        window = k + removed
        taken = heaviest[heaviest < window][:removed]
        if label(np.delete(np.arange(window), taken)) != winner:
            return [int(position) for position in taken]
    return None


def _check_strengths(strengths: np.ndarray, shape: tuple[int, ...]) -> None:
    if strengths.shape != shape or not (np.isfinite(strengths) & (strengths > 0)).all():
        raise ValueError(
            f"strengths have shape {strengths.shape} and hold {strengths.ravel()[:5].tolist()}...; there must be one "
            f"finite number above 0 for each of the similarities {shape}; leave them out to count each exemplar once"
        )
