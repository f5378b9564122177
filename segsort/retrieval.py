"""Retrieval: the vote of the nearest labelled segments, and what it would take to change it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Vote(NamedTuple):
    """weights: [Q, k] float64, each row sums to 1; shares: [Q, C] float64, each row sums to 1; class_ids: [Q] int64."""

    weights: np.ndarray
    shares: np.ndarray
    class_ids: np.ndarray


def vote(similarities: np.ndarray, class_ids: np.ndarray, num_classes: int, kappa: float) -> Vote:
    """Label segments by their nearest exemplars: the NCA posterior that training optimises (paper, eq. 6).

    Args:
        similarities: [Q, k] cosines of the k nearest exemplars.
        class_ids: [Q, k] classes of those exemplars, 0..num_classes-1.
        num_classes: C.
        kappa: each exemplar weighs exp(kappa * cosine), normalised over the k.

    Returns:
        Weights, class shares and winning classes; a tie goes to the lowest class id.

    Raises:
        ValueError: if shapes differ, k is 0, or a class is out of range.
    """
    if similarities.shape != class_ids.shape or similarities.ndim != 2 or similarities.shape[1] == 0:
        raise ValueError(
            f"similarities has shape {similarities.shape}, class_ids {class_ids.shape}; both must be [Q, k] with k >= 1"
        )
    if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < num_classes:
        raise ValueError(f"class_ids spans {class_ids.min()}..{class_ids.max()}; allowed are 0..{num_classes - 1}")
    scaled = kappa * similarities.astype(np.float64)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True)) if len(scaled) else scaled
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


def flip_set(similarities: np.ndarray, class_ids: np.ndarray, k: int, kappa: float) -> list[int] | None:
    """The smallest set of exemplars whose removal changes the label of one segment, the next neighbours moving up.

    It is exact. With m exemplars removed, the vote is over at most the first k + m neighbours; every exemplar of
    another class than the winner only helps to flip, so the m heaviest of the winner are the best m to remove.

    Args:
        similarities: [R] cosines, best first.
        class_ids: [R] classes.
        k: number of exemplars that vote.
        kappa: as in `vote`.

    Returns:
        Positions in 0..R-1, best first, or None if the R neighbours given do not hold enough to flip the label.
    """
    classes, columns = np.unique(class_ids, return_inverse=True)
    winner = int(vote(similarities[None, :k], columns[None, :k], len(classes), kappa).class_ids[0])
    wins = np.flatnonzero(columns == winner)
    for removed in range(1, len(wins) + 1):
        kept = np.delete(np.arange(len(columns)), wins[:removed])[:k]
        window_complete = len(kept) == k
        if not window_complete or wins[removed - 1] >= k + removed:
            return None
        if vote(similarities[None, kept], columns[None, kept], len(classes), kappa).class_ids[0] != winner:
            return [int(position) for position in wins[:removed]]
    return None
