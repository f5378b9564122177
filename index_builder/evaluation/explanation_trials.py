"""Tests of explanations: exemplars are removed or relabelled, or the image is disturbed, and labels are compared."""

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

REMOVED = (0, 1, 2, 4, 8, 16, 32)  # removed exemplars at the points of a removal curve
NOISE = 5.0  # standard deviation of the Gaussian noise, of 255
JPEG_QUALITY = 70


class Neighbours(NamedTuple):
    """The R nearest exemplars of S segments, nearest first: cosines, rows, classes and strengths, [S, R] each."""

    cosines: np.ndarray
    rows: np.ndarray
    classes: np.ndarray
    strengths: np.ndarray


def nearest(predictor: Predictor, prototypes: np.ndarray, depth: int) -> Neighbours:
    """The `depth` nearest exemplars of prototypes [S, D], or all exemplars if these are fewer."""
    cosines, rows = predictor.index.search(prototypes, depth)
    return Neighbours(cosines, rows, predictor.release.exemplars.class_ids[rows], predictor.as_built.strengths(rows))


def labels_without(found: Neighbours, removed: np.ndarray, k: int, kappa: float, num_classes: int) -> np.ndarray:
    """Labels by the first k remaining neighbours.

    Args:
        found: the neighbours. The result is exact if at least k of the R neighbours of each segment remain, or R is the
            number of all exemplars.
        removed: [S, R] bool, removed neighbours.
        k, kappa, num_classes: settings of the vote.

    Returns:
        [S] int64 class ids, -1 if no neighbour remains.
    """
    first = np.argsort(removed, axis=1, kind="stable")[:, :k]  # the remaining ones, in their order
    gone = np.take_along_axis(removed, first, axis=1)
    cosines = np.where(gone, -np.inf, np.take_along_axis(found.cosines, first, axis=1))
    cosines[gone.all(axis=1)] = 0.0
    classes, strengths = (np.take_along_axis(column, first, axis=1) for column in (found.classes, found.strengths))
    labels = vote(cosines, classes, num_classes, kappa, strengths).class_ids
    return np.where(gone.all(axis=1), -1, labels)


def removal(predictor: Predictor, prediction: Prediction, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Whether labels stay when exemplars of the winning class are removed, nearest first or at random.

    The next neighbours replace removed ones. k + m neighbours are searched, so the result is exact.

    Args:
        predictor: predictor of the release.
        prediction: the served labels.
        random: draws exemplars of the class without replacement; each larger draw contains the smaller ones.

    Returns:
        Two arrays [M, S] bool, nearest first and random, for the M points of `REMOVED`. If a class has fewer exemplars
        than a point removes, all of them are removed.
    """
    card, exemplars = predictor.release.card, predictor.release.exemplars
    k, winners = prediction.vote.weights.shape[1], prediction.vote.class_ids
    found = nearest(predictor, prediction.segments.prototypes, k + max(REMOVED))
    of_winner = found.classes == winners[:, None]
    order = np.cumsum(of_winner, axis=1) - 1  # position among the neighbours of the winning class
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
    """Number of exemplars that must be removed before the label of each segment changes: [S] float64, inf if none can.

    It is the size of `segsort.retrieval.flip_set` over all exemplars. Removing one more exemplar of the winner never
    restores its label. The number is therefore found by bisection, while `flip_set` counts up one by one.
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
    """Minimum number of the winner's heaviest exemplars whose removal changes the label; inf if R is too small.

    cosines, classes, strengths: [R] each, nearest first.
    """
    wins = np.flatnonzero(classes == winner)
    heaviest = wins[np.argsort(-(kappa * cosines[wins].astype(np.float64) + np.log(strengths[wins])), kind="stable")]

    def flips(removed: int) -> bool:
        taken = heaviest[heaviest < k + removed][:removed]
        kept = np.delete(np.arange(k + removed), taken)[None, :k]
        found = vote(cosines[kept], classes[kept], int(classes.max()) + 1, kappa, strengths[kept])
        return int(found.class_ids[0]) != winner

    most = min(len(wins), len(classes) - k)  # k neighbours must remain
    return float(bisect_left(range(1, most + 1), True, key=flips) + 1) if most > 0 and flips(most) else np.inf


def swap(predictor: Predictor, prediction: Prediction) -> np.ndarray | None:
    """Relabel exemplars and vote again: labels must follow the voters, and only them.

    Returns:
        [S, 2] bool. First: whether the label becomes the class of the runner-up when the voters of the winner are
        relabelled to it. Second: whether label and shares stay when every exemplar outside the vote is relabelled. If
        all voters have one class, the next class id is used as the runner-up. None if the release has one class.
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
    """Label and shares [C] of one segment with other classes of the exemplars; class_ids: [N]."""
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
    """Shift the image one pixel to the right; the first column is repeated."""
    return np.concatenate([image[:, :1], image[:, :-1]], axis=1)


class Disturbance(NamedTuple):
    """change: disturbs an image [H, W, 3] uint8; shift: columns by which it moves the image to the right."""

    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    shift: int = 0


DISTURBANCES: Mapping[str, Disturbance] = {
    "noise": Disturbance(_noisy),
    "jpeg": Disturbance(_compressed),
    "shift": Disturbance(_shifted, shift=1),
}


class Steadiness(NamedTuple):
    """jaccard: sum over pixels of their segments' Jaccard index; same: pixels with the same label; pixels: all."""

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
    """Compare label and voters of each segment with those of the disturbed segment that covers most of it.

    Args:
        predictor: predictor of the release.
        image: [H, W, 3] uint8 RGB.
        prediction: prediction of the undisturbed image.
        disturbance: the disturbance.
        random: random numbers of the disturbance.
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
    """Jaccard index of two sets of exemplars, 0..1."""
    return len(np.intersect1d(a, b)) / len(np.union1d(a, b))
