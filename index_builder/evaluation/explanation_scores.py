"""Measurements of explanations on labelled images: whether they are correct, and how labels depend on exemplars."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from index_builder.datasets import Dataset
from index_builder.evaluation.explanation_trials import (
    DISTURBANCES,
    REMOVED,
    Steadiness,
    flip_set_sizes,
    removal,
    steadiness,
    swap,
)
from index_builder.progress import counted
from index_builder.scores import area_under_roc, class_lookup, label_counts, majority_agrees
from index_builder.subsets import evenly_spread
from model_store.explanation import explain_vote, replay
from model_store.predictor import Prediction, Predictor

IMAGES = 40  # default number of images
BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # largest flip set in each bucket of the histogram


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReplayScore(_Frozen):
    """Labels recomputed from explanations alone, after a round trip through JSON.

    Attributes:
        label: share of segments whose recomputed label equals the served one, 0..1; below 1 is a defect.
        flip_set: share of segments whose flip set, or lack of one, is correct, 0..1; below 1 is a defect.
        greatest_share_difference: maximum difference of a class's share, recomputed and served, 0..1; only rounding.
    """

    label: float
    flip_set: float
    greatest_share_difference: float


class RemovalPoint(_Frozen):
    """Stability of labels when exemplars of the winning class of each segment are removed. Shares are 0..1.

    Attributes:
        removed: number of removed exemplars.
        top_area: share of labelled pixels whose label stays if the nearest exemplars are removed.
        top_segments: share of segments whose label stays if the nearest exemplars are removed.
        random_area, random_segments: the two shares if random exemplars of the class are removed.
    """

    removed: int
    top_area: float | None
    top_segments: float
    random_area: float | None
    random_segments: float


class FlipSetSizes(_Frozen):
    """Sizes of flip sets: how many exemplars must be removed before a label changes.

    Attributes:
        segments: number of segments.
        median: median size; null without segments, or if most labels cannot be changed.
        mean: mean size over labels that can be changed; null if there are none.
        histogram: segments by size: "1", "2", "3-4", ...; "none" if no set changes the label.
    """

    segments: int
    median: float | None
    mean: float | None
    histogram: dict[str, int]


class FlipSetScore(_Frozen):
    """Sizes of minimal flip sets, over segments with at least one labelled pixel.

    Attributes:
        right: sizes for segments whose label is their majority class.
        wrong: sizes for all other segments.
        auroc: probability that the flip set of a wrong segment is smaller than that of a right one, 0..1; 0.5 if the
            size gives no information.
        auroc_within_classes: this probability for pairs of segments with the same label. Classes with few exemplars
            have small flip sets. If these classes have more errors, `auroc` is high for that reason alone.
        share_auroc, share_auroc_within_classes: the two probabilities for the winner's share of the vote instead of
            the size, for comparison.
    """

    right: FlipSetSizes
    wrong: FlipSetSizes
    auroc: float | None
    auroc_within_classes: float | None
    share_auroc: float | None
    share_auroc_within_classes: float | None


class SwapScore(_Frozen):
    """Effect of relabelled exemplars on labels. Shares of segments, 0..1; below 1 is a defect.

    Attributes:
        to_runner_up: segments that take the class of the runner-up when the winner's voters are relabelled to it.
        outside: segments whose label and shares stay when every exemplar that did not vote is relabelled.
    """

    to_runner_up: float
    outside: float


class StabilityScore(_Frozen):
    """Agreement of the answers for an image and for a disturbed copy of it.

    Attributes:
        jaccard: Jaccard index of the voters of a segment and of the disturbed segment that covers most of it; mean
            weighted by area, 0..1.
        label: share of pixels with the same label, 0..1.
    """

    jaccard: float
    label: float


class PurityScore(_Frozen):
    """Purity of votes and segments. Means over segments, weighted by labelled pixels, 0..1.

    Attributes:
        voters: share of the k voters that have the winning class.
        pixels: share of the labelled pixels of a segment that have its majority class.
    """

    voters: float | None
    pixels: float | None


class ExplanationReport(_Frozen):
    """Result of `measure_explanations`; null: not defined on these images.

    Attributes:
        images, segments: numbers of images and segments.
        replay: labels recomputed from explanations alone.
        removal: labels after exemplars of the winning class are removed.
        flip_sets: sizes of the smallest sets of exemplars whose removal changes a label.
        swap: labels after exemplars are relabelled; null if the release has one class.
        stability: agreement with disturbed images: "noise" (Gaussian, standard deviation 5 of 255), "jpeg" (quality
            70) and "shift" (one pixel to the right).
        purity: purity of votes and segments.
        seconds: time of the measurement.
    """

    images: int
    segments: int
    replay: ReplayScore
    removal: list[RemovalPoint]
    flip_sets: FlipSetScore
    swap: SwapScore | None
    stability: dict[str, StabilityScore]
    purity: PurityScore
    seconds: float

    def rows(self) -> Iterator[tuple[str, float | int | None]]:
        """Name and value of every number except the histograms, in the order in which they are printed."""
        yield "explained images", self.images
        yield "explained segments", self.segments
        yield "replay, labels", self.replay.label
        yield "replay, flip sets", self.replay.flip_set
        yield "replay, greatest difference of a share", self.replay.greatest_share_difference
        for point in self.removal:
            yield f"area that stays, {point.removed} nearest removed", point.top_area
            yield f"area that stays, {point.removed} random removed", point.random_area
            yield f"segments that stay, {point.removed} nearest removed", point.top_segments
            yield f"segments that stay, {point.removed} random removed", point.random_segments
        for name, sizes in (("right", self.flip_sets.right), ("wrong", self.flip_sets.wrong)):
            yield f"{name} segments", sizes.segments
            yield f"flip set of {name} segments, median", sizes.median
            yield f"flip set of {name} segments, mean", sizes.mean
        for name, value in (
            ("by flip set, AUROC", self.flip_sets.auroc),
            ("by flip set, AUROC within classes", self.flip_sets.auroc_within_classes),
            ("by share, AUROC", self.flip_sets.share_auroc),
            ("by share, AUROC within classes", self.flip_sets.share_auroc_within_classes),
        ):
            yield f"wrong segments {name}", value
        yield "swap, to the runner-up", self.swap.to_runner_up if self.swap else None
        yield "swap, outside the vote", self.swap.outside if self.swap else None
        for name, score in self.stability.items():
            yield f"same exemplars under {name}, Jaccard", score.jaccard
            yield f"same label under {name}, area", score.label
        yield "purity of voters", self.purity.voters
        yield "purity of segments", self.purity.pixels


def measure_explanations(
    predictor: Predictor, dataset: Dataset, *, images: int = IMAGES, seed: int = 0
) -> ExplanationReport:
    """Explain every segment of some images and test the explanations.

    Args:
        predictor: predictor of the release. Removal and flip sets are exact if its index is exact.
        dataset: labelled images. Classes are matched with those of the release by name.
        images: maximum number of images, evenly spread over the data set.
        seed: seed of the random exemplars and the noise.

    Raises:
        ValueError: if images is below 1, or the data set is empty or has a class that is not in the release.
    """
    if images < 1 or not len(dataset):
        raise ValueError(
            f"images={images}, data set {dataset.name!r} has {len(dataset)} images; measure at least one image of a "
            "data set that is not empty"
        )
    card = predictor.release.card
    lookup = class_lookup(dataset.classes, card.classes, f"release {card.name}")
    chosen, tally, started = evenly_spread(len(dataset), images), _ExplanationTally(), time.perf_counter()
    for n in counted(len(chosen), "explaining"):
        sample, random = dataset[chosen[n]], np.random.default_rng([seed, n])
        tally.add(predictor, sample.image, lookup[sample.labels], random)
    return tally.report(time.perf_counter() - started)


@dataclass
class _ExplanationTally:
    """Lists over the images measured so far; each entry has the segments of one image."""

    labels: list[np.ndarray] = field(default_factory=list)  # [S] bool, recomputed label equals the served one
    flip_sets: list[np.ndarray] = field(default_factory=list)  # [S] bool, flip set is correct
    differences: list[float] = field(default_factory=list)
    top: list[np.ndarray] = field(default_factory=list)  # [M, S] bool
    by_chance: list[np.ndarray] = field(default_factory=list)  # [M, S] bool
    sizes: list[np.ndarray] = field(default_factory=list)  # [S]
    winners: list[np.ndarray] = field(default_factory=list)  # [S] class ids
    shares: list[np.ndarray] = field(default_factory=list)  # [S]
    right: list[np.ndarray] = field(default_factory=list)  # [S] bool
    weights: list[np.ndarray] = field(default_factory=list)  # [S] labelled pixels
    swaps: list[np.ndarray] = field(default_factory=list)  # [S, 2] bool
    voters: list[np.ndarray] = field(default_factory=list)  # [S]
    majority: list[np.ndarray] = field(default_factory=list)  # [S] labelled pixels of the most frequent class
    steady: dict[str, list[Steadiness]] = field(default_factory=lambda: defaultdict(list))

    def add(self, predictor: Predictor, image: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> None:
        """Measure one image; image: [H, W, 3] uint8 RGB; labels: [H, W], classes of the release or IGNORE."""
        prediction = predictor.predict(image)
        self._add_replays(predictor, prediction)
        top, by_chance = removal(predictor, prediction, random)
        self.top.append(top)
        self.by_chance.append(by_chance)
        self.sizes.append(flip_set_sizes(predictor, prediction))
        swapped = swap(predictor, prediction)
        if swapped is not None:
            self.swaps.append(swapped)
        for name, disturbance in DISTURBANCES.items():
            self.steady[name].append(steadiness(predictor, image, prediction, disturbance, random))
        winners, k = prediction.vote.class_ids, prediction.vote.weights.shape[1]
        counts = label_counts(prediction.segments.labels, labels, len(winners), len(predictor.release.card.classes))
        voting = predictor.release.exemplars.class_ids[prediction.rows[:, :k]]
        self.winners.append(winners)
        self.shares.append(prediction.vote.shares.max(axis=1))
        self.right.append(majority_agrees(counts, winners))
        self.weights.append(counts.sum(axis=1))
        self.majority.append(counts.max(axis=1))
        self.voters.append((voting == winners[:, None]).mean(axis=1))

    def _add_replays(self, predictor: Predictor, prediction: Prediction) -> None:
        labels, flip_sets = [], []
        for s, explanation in enumerate(_explanations(predictor, prediction)):
            again, served = replay(json.loads(json.dumps(explanation))), prediction.vote.shares[s]
            labels.append(again.class_id == prediction.vote.class_ids[s])
            flip_sets.append(again.flip_set_holds)
            self.differences.append(max(abs(again.shares.get(c, 0.0) - share) for c, share in enumerate(served)))
        self.labels.append(np.array(labels))
        self.flip_sets.append(np.array(flip_sets))

    def report(self, seconds: float) -> ExplanationReport:
        weights, labels = np.concatenate(self.weights), np.concatenate(self.labels)
        swaps = np.concatenate(self.swaps).mean(axis=0) if self.swaps else None
        majority, voters = np.concatenate(self.majority), np.concatenate(self.voters)
        return ExplanationReport(
            images=len(self.labels),
            segments=len(labels),
            replay=ReplayScore(
                label=float(labels.mean()),
                flip_set=float(np.concatenate(self.flip_sets).mean()),
                greatest_share_difference=float(max(self.differences)),
            ),
            removal=_curve(np.concatenate(self.top, axis=1), np.concatenate(self.by_chance, axis=1), weights),
            flip_sets=self._flip_sets(weights > 0),
            swap=None if swaps is None else SwapScore(to_runner_up=float(swaps[0]), outside=float(swaps[1])),
            stability={name: _stability(seen) for name, seen in self.steady.items()},
            purity=PurityScore(voters=_by_weight(voters, weights), pixels=_ratio(majority.sum(), weights.sum())),
            seconds=seconds,
        )

    def _flip_sets(self, judged: np.ndarray) -> FlipSetScore:
        """Scores of flip sets over the segments where judged, [segments] bool, is true."""
        columns = (self.sizes, self.shares, self.right, self.winners)
        sizes, shares, right, winners = (np.concatenate(column)[judged] for column in columns)
        everything = np.zeros_like(winners)
        return FlipSetScore(
            right=_sizes(sizes[right]),
            wrong=_sizes(sizes[~right]),
            auroc=_detects(sizes, right, everything),
            auroc_within_classes=_detects(sizes, right, winners),
            share_auroc=_detects(shares, right, everything),
            share_auroc_within_classes=_detects(shares, right, winners),
        )


def _explanations(predictor: Predictor, prediction: Prediction) -> Iterator[dict[str, Any]]:
    """The explanation of each segment, computed from the values that the service records."""
    k, kappa = prediction.vote.weights.shape[1], predictor.release.card.retrieval.kappa
    for similarities, rows in zip(prediction.similarities, prediction.rows, strict=True):
        yield explain_vote(predictor.release, similarities, rows, k, kappa)


def _curve(top: np.ndarray, by_chance: np.ndarray, weights: np.ndarray) -> list[RemovalPoint]:
    """Points of the removal curve; top, by_chance: [M, S] bool, whether labels stay; weights: [S]."""
    return [
        RemovalPoint(
            removed=removed,
            top_area=_by_weight(top[m], weights),
            top_segments=float(top[m].mean()),
            random_area=_by_weight(by_chance[m], weights),
            random_segments=float(by_chance[m].mean()),
        )
        for m, removed in enumerate(REMOVED)
    ]


def _sizes(sizes: np.ndarray) -> FlipSetSizes:
    finite = sizes[np.isfinite(sizes)]
    starts = [1, *(largest + 1 for largest in BUCKETS)]
    names = [str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, BUCKETS, strict=False)] + [f"{starts[-1]}-"]
    counts = np.bincount(np.searchsorted(BUCKETS, finite), minlength=len(names)).tolist()
    median = float(np.median(sizes)) if len(sizes) else np.inf
    return FlipSetSizes(
        segments=len(sizes),
        median=median if np.isfinite(median) else None,
        mean=float(finite.mean()) if len(finite) else None,
        histogram=dict(zip(names, counts, strict=True)) | {"none": len(sizes) - len(finite)},
    )


def _detects(values: np.ndarray, right: np.ndarray, groups: np.ndarray) -> float | None:
    """Probability that the value of a wrong segment is below that of a right one of its group; None without pairs.

    values, right, groups: [S] each.
    """
    chance, pairs = 0.0, 0
    for group in np.unique(groups):
        wrong, good = values[(groups == group) & ~right], values[(groups == group) & right]
        if len(wrong) and len(good):
            chance += area_under_roc(-wrong, -good) * len(wrong) * len(good)
            pairs += len(wrong) * len(good)
    return _ratio(chance, pairs)


def _stability(seen: list[Steadiness]) -> StabilityScore:
    pixels = max(sum(one.pixels for one in seen), 1)  # the sum is 0 if all images are one pixel wide
    return StabilityScore(
        jaccard=sum(one.jaccard for one in seen) / pixels, label=sum(one.same for one in seen) / pixels
    )


def _by_weight(values: np.ndarray, weights: np.ndarray) -> float | None:
    """Weighted mean of values [S] with weights [S]; None if the total weight is 0."""
    return _ratio(values @ weights, weights.sum())


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
