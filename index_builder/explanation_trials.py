"""Trials of explanations: exemplars are taken away, relabelled or looked up again; what becomes of the labels?"""

import copy
import io
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from model_store.predictor import Prediction, Predictor
from segsort.retrieval import vote

REMOVED = (0, 1, 2, 4, 8, 16, 32)  # exemplars taken away at the points of a removal curve
NOISE = 5.0  # standard deviation of the gaussian noise, of 255
JPEG_QUALITY = 70


class Neighbours(NamedTuple):
    """The nearest exemplars of S segments, R of each: cosines, rows, classes and strengths, [S, R], nearest first."""

    cosines: np.ndarray
    rows: np.ndarray
    classes: np.ndarray
    strengths: np.ndarray


def nearest(predictor: Predictor, prototypes: np.ndarray, depth: int) -> Neighbours:
    """The neighbours of prototypes [S, D], as deep as asked for or as there are exemplars."""
    cosines, rows = predictor.index.search(prototypes, depth)
    return Neighbours(cosines, rows, predictor.release.exemplars.class_ids[rows], predictor.as_built.strengths(rows))


def labels_without(found: Neighbours, removed: np.ndarray, k: int, kappa: float, num_classes: int) -> np.ndarray:
    """Labels by the first k neighbours that are left, the next ones having moved up.

    Args:
        found: the neighbours. The answer is exact if k of each segment's R are left, or all exemplars are among the R.
        removed: [S, R] bool.
        k, kappa, num_classes: the vote.

    Returns:
        [S] class ids, -1 where nothing is left to vote.
    """
    first = np.argsort(removed, axis=1, kind="stable")[:, :k]  # those left, in their order
    gone = np.take_along_axis(removed, first, axis=1)
    cosines = np.where(gone, -np.inf, np.take_along_axis(found.cosines, first, axis=1))
    cosines[gone.all(axis=1)] = 0.0
    classes, strengths = (np.take_along_axis(column, first, axis=1) for column in (found.classes, found.strengths))
    labels = vote(cosines, classes, num_classes, kappa, strengths).class_ids
    return np.where(gone.all(axis=1), -1, labels)


def removal(predictor: Predictor, prediction: Prediction, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Whether labels stay as exemplars of the winning class are taken away, nearest first or drawn from all of them.

    Neighbours that are taken away are replaced by the next: k + m of them are looked up, so nothing is cut off.

    Args:
        predictor: whose exemplars are taken away.
        prediction: the labels as they were served.
        random: draws exemplars of the class, without replacement. Each larger draw holds the smaller ones.

    Returns:
        Nearest first and drawn: [M, S] bool each, M the points of `REMOVED`. Where a class has fewer exemplars than a
        point says, all of them are taken.
    """
    card, exemplars = predictor.release.card, predictor.release.exemplars
    k, winners = prediction.vote.weights.shape[1], prediction.vote.class_ids
    found = nearest(predictor, prediction.segments.prototypes, k + max(REMOVED))
    of_winner = found.classes == winners[:, None]
    order = np.cumsum(of_winner, axis=1) - 1  # of each, among those of the winner
    pools = {int(c): np.flatnonzero(exemplars.class_ids == c) for c in np.unique(winners)}
    drawn = [random.permutation(pools[int(c)])[: max(REMOVED)] for c in winners]

    def stay(removed: np.ndarray) -> np.ndarray:
        labels = labels_without(found, removed, k, card.retrieval.kappa, len(card.classes))
        return np.asarray(labels == winners)

    top = [stay(of_winner & (order < m)) for m in REMOVED]
    by_chance = [
        stay(np.stack([np.isin(rows, one[:m]) for rows, one in zip(found.rows, drawn, strict=True)])) for m in REMOVED
    ]
    return np.stack(top), np.stack(by_chance)


def flip_set_sizes(predictor: Predictor, prediction: Prediction) -> np.ndarray:
    """How many exemplars must go before each segment's label changes: [S] float64, inf where none can change it.

    It is the length of `segsort.retrieval.flip_set` given every exemplar. Taking one more of the winner away never
    brings its label back, so the number is found by bisection, where the flip set itself is counted up one by one.
    """
    prototypes, k = prediction.segments.prototypes, prediction.vote.weights.shape[1]
    kappa, N = predictor.release.card.retrieval.kappa, predictor.index.ntotal
    sizes = np.full(len(prototypes), np.inf)
    pending, depth = np.arange(len(prototypes)), min(8 * k, N)
    while len(pending):
        found = nearest(predictor, prototypes[pending], depth)
        columns = zip(pending, found.cosines, found.classes, found.strengths, strict=True)
        for s, cosines, classes, strengths in columns:
            sizes[s] = _flip_set_size(cosines, classes, strengths, int(prediction.vote.class_ids[s]), k, kappa)
        pending = pending[np.isinf(sizes[pending])] if depth < N else pending[:0]
        depth = min(8 * depth, N)
    return sizes


def _flip_set_size(
    cosines: np.ndarray, classes: np.ndarray, strengths: np.ndarray, winner: int, k: int, kappa: float
) -> float:
    """The least number of the winner's heaviest exemplars without which it does not win, inf if [R] are too few."""
    wins = np.flatnonzero(classes == winner)
    heaviest = wins[np.argsort(-(kappa * cosines[wins].astype(np.float64) + np.log(strengths[wins])), kind="stable")]

    def flips(removed: int) -> bool:
        taken = heaviest[heaviest < k + removed][:removed]
        kept = np.delete(np.arange(k + removed), taken)[None, :k]
        found = vote(cosines[kept], classes[kept], int(classes.max()) + 1, kappa, strengths[kept])
        return int(found.class_ids[0]) != winner

    most = min(len(wins), len(classes) - k)  # so that k are left
    return float(bisect_left(range(1, most + 1), True, key=flips) + 1) if most > 0 and flips(most) else np.inf


def swap(predictor: Predictor, prediction: Prediction) -> np.ndarray | None:
    """Relabel exemplars and retrieve again: do labels follow those that voted, and those alone?

    Returns:
        [S, 2] bool: whether the label becomes the runner-up's class where the exemplars that voted for the winner are
        given it; and whether label and shares are the same where every exemplar outside the vote is given another
        class. Where all voters are of one class, the next class in number stands in for the runner-up. None if the
        release has one class only.
    """
    num_classes = len(predictor.release.card.classes)
    if num_classes == 1:
        return None
    class_ids, held = predictor.release.exemplars.class_ids, np.empty((len(prediction.rows), 2), dtype=bool)
    for s, winner in enumerate(prediction.vote.class_ids.tolist()):
        shares = prediction.vote.shares[s]
        others = np.where(np.arange(num_classes) == winner, -1.0, shares)
        runner_up = int(others.argmax()) if others.max() > 0 else (winner + 1) % num_classes
        voters = prediction.rows[s, : prediction.vote.weights.shape[1]]
        inside, outside = class_ids.copy(), (class_ids + 1) % num_classes
        inside[voters[class_ids[voters] == winner]] = runner_up
        outside[voters] = class_ids[voters]
        label, _ = _retrieved_with(inside, predictor, prediction, s)
        label_outside, shares_outside = _retrieved_with(outside, predictor, prediction, s)
        held[s] = label == runner_up, label_outside == winner and np.allclose(shares_outside, shares, atol=1e-12)
    return held


def _retrieved_with(
    class_ids: np.ndarray, predictor: Predictor, prediction: Prediction, segment: int
) -> tuple[int, np.ndarray]:
    """Label and shares of one segment if the exemplars had these classes."""
    other = copy.copy(predictor)
    exemplars = replace(predictor.release.exemplars, class_ids=class_ids)
    other.release = replace(predictor.release, exemplars=exemplars)
    one = slice(segment, segment + 1)
    result = other.retrieve(
        prediction.segments.prototypes[one], prediction.segments.areas[one], prediction.vote.weights.shape[1]
    ).vote
    return int(result.class_ids[0]), result.shares[0]


def _noisy(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.clip(image + random.normal(0, NOISE, image.shape), 0, 255).round().astype(np.uint8)


def _compressed(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(file))


def _shifted(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One pixel to the right; the first column stands twice."""
    return np.concatenate([image[:, :1], image[:, :-1]], axis=1)


class Disturbance(NamedTuple):
    """change: what becomes of an image [H, W, 3] uint8; shift: by how many columns it moves to the right."""

    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    shift: int = 0


DISTURBANCES: Mapping[str, Disturbance] = {
    "noise": Disturbance(_noisy),
    "jpeg": Disturbance(_compressed),
    "shift": Disturbance(_shifted, shift=1),
}


class Steadiness(NamedTuple):
    """jaccard: sum over pixels of their segments' Jaccard index; same: pixels whose label is the same; pixels: all."""

    jaccard: float
    same: int
    pixels: int


def steadiness(
    predictor: Predictor,
    image: np.ndarray,
    prediction: Prediction,
    disturbance: Disturbance,
    random: np.random.Generator,
) -> Steadiness:
    """How far label and voters of each segment are those of the segment of the disturbed image that covers most of it.

    Args:
        predictor: labels the disturbed image.
        image: [H, W, 3] uint8 RGB.
        prediction: of the image as it is.
        disturbance: what is done to it.
        random: of the disturbance.
    """
    other = predictor.predict(disturbance.change(image, random), k=prediction.vote.weights.shape[1])
    width = image.shape[1] - disturbance.shift
    labels, others = prediction.segments.labels[:, :width], other.segments.labels[:, disturbance.shift :]
    S, T = len(prediction.segments.areas), len(other.segments.areas)
    overlap = np.bincount(labels.ravel().astype(np.int64) * T + others.ravel(), minlength=S * T).reshape(S, T)
    k = prediction.vote.weights.shape[1]
    jaccard = [
        _jaccard(prediction.rows[s, :k], other.rows[match, :k]) for s, match in enumerate(overlap.argmax(axis=1))
    ]
    same = prediction.class_map[:, :width] == other.class_map[:, disturbance.shift :]
    return Steadiness(float(overlap.sum(axis=1) @ np.array(jaccard)), int(same.sum()), same.size)


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Of two sets: what they share, as a part of what either holds."""
    return len(np.intersect1d(a, b)) / len(np.union1d(a, b))
