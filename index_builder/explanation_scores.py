"""Do explanations tell the truth, and how much hangs on what they name? Measured on labelled images."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from index_builder.datasets import Dataset
from index_builder.explanation_trials import (
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

IMAGES = 40
BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # largest flip set of each bucket


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReplayScore(_Frozen):
    """What follows from explanations alone, after a way through JSON.

    Attributes:
        label: share of segments whose recomputed label is the one served, 0..1; anything below 1 is a defect.
        flip_set: share of segments whose flip set, or the lack of one, proves right, 0..1; below 1 is a defect.
        greatest_share_difference: of any class of any segment, between recomputed and served, 0..1; rounding alone.
    """

    label: float
    flip_set: float
    greatest_share_difference: float


class RemovalPoint(_Frozen):
    """What stays when exemplars of each segment's winning class are taken away. Shares are 0..1.

    Attributes:
        removed: how many are.
        top_area: share of labelled pixels whose label stays, the nearest exemplars being taken.
        top_segments: share of segments whose label stays, the same.
        random_area, random_segments: as many being drawn from the whole index.
    """

    removed: int
    top_area: float | None
    top_segments: float
    random_area: float | None
    random_segments: float


class FlipSetSizes(_Frozen):
    """How many exemplars must go before a label changes.

    Attributes:
        segments: how many were judged.
        median: of the sizes; null without segments or where most labels cannot be changed.
        mean: of the sizes of labels that can be changed; null where there are none.
        histogram: segments by size: "1", "2", "3-4", ...; "none" where no set changes the label.
    """

    segments: int
    median: float | None
    mean: float | None
    histogram: dict[str, int]


class FlipSetScore(_Frozen):
    """Sizes of minimal flip sets, of segments of which at least one pixel is labelled.

    Attributes:
        right: of segments whose label is the most frequent true one.
        wrong: of all others.
        auroc: chance that a wrong segment's flip set is smaller than a right one's, 0..1, 0.5 if it tells nothing.
        auroc_within_classes: the same among segments labelled alike. A class of few exemplars has small flip sets, and
            where such classes are the ones that err, `auroc` is high for that reason alone.
        share_auroc, share_auroc_within_classes: both of the winner's share of the vote instead, for comparison.
    """

    right: FlipSetSizes
    wrong: FlipSetSizes
    auroc: float | None
    auroc_within_classes: float | None
    share_auroc: float | None
    share_auroc_within_classes: float | None


class SwapScore(_Frozen):
    """What becomes of labels when exemplars get another class. Shares of segments, 0..1; below 1 is a defect.

    Attributes:
        to_runner_up: whose label becomes the runner-up's class when the winner's voters are given it.
        outside: whose label and shares stay when every exemplar that did not vote gets another class.
    """

    to_runner_up: float
    outside: float


class StabilityScore(_Frozen):
    """How far a disturbed image gets the same answer.

    Attributes:
        jaccard: of the voters of a segment and of the disturbed image's segment that covers most of it: what they
            share, as a part of what either holds; mean by area, 0..1.
        label: share of pixels whose label is the same, 0..1.
    """

    jaccard: float
    label: float


class PurityScore(_Frozen):
    """How far segments and their votes are of one class. Means over segments by labelled pixels, 0..1.

    Attributes:
        voters: share of the k exemplars that are of the winning class.
        pixels: share of a segment's labelled pixels that are of its most frequent class.
    """

    voters: float | None
    pixels: float | None


class ExplanationReport(_Frozen):
    """What `measure_explanations` found; null: not defined on these images.

    Attributes:
        images, segments: how many.
        replay: labels recomputed from explanations alone.
        removal: labels without the exemplars that gave them.
        flip_sets: the fewest exemplars without which a label changes.
        swap: labels after exemplars were relabelled; null where the release has one class.
        stability: by what was done to the image: "noise" (gaussian, sigma 5 of 255), "jpeg" (quality 70), "shift" (one
            pixel to the right).
        purity: agreement within votes and within segments.
        seconds: all this took.
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
        """Every number under a name that can be read, but for the histograms."""
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
    """Explain every segment of some images and try the explanations out.

    Args:
        predictor: holds the release. What is exact (removal, flip sets) is so as far as its index is.
        dataset: its classes are matched with the release's by name.
        images: at most, evenly spread over the data set.
        seed: of the exemplars that are drawn and of the noise.

    Raises:
        ValueError: if images is below 1, or the data set is empty or has a class that the release does not know.
    """
    if images < 1 or not len(dataset):
        raise ValueError(
            f"images={images} of the {len(dataset)} of data set {dataset.name!r}: explanations need at least one"
        )
    card = predictor.release.card
    lookup = class_lookup(dataset.classes, card.classes, f"release {card.name}")
    chosen, tally, started = evenly_spread(len(dataset), images), _Tally(), time.perf_counter()
    for n in counted(len(chosen), "explaining"):
        sample, random = dataset[chosen[n]], np.random.default_rng([seed, n])
        tally.add(predictor, sample.image, lookup[sample.labels], random)
    return tally.report(time.perf_counter() - started)


@dataclass
class _Tally:
    """Lists over the images seen so far; each entry holds one image's segments, in their order."""

    labels: list[np.ndarray] = field(default_factory=list)  # [S] bool, recomputed as served
    flip_sets: list[np.ndarray] = field(default_factory=list)  # [S] bool, told rightly
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
        """image: [H, W, 3] uint8 RGB; labels: [H, W], classes of the release or IGNORE."""
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
        for s, told in enumerate(_told(predictor, prediction)):
            again, served = replay(json.loads(json.dumps(told))), prediction.vote.shares[s]
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
        """judged: [segments] bool."""
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


def _told(predictor: Predictor, prediction: Prediction) -> Iterator[dict[str, Any]]:
    """The explanation of each segment, from what the service records of it."""
    k, kappa = prediction.vote.weights.shape[1], predictor.release.card.retrieval.kappa
    for similarities, rows in zip(prediction.similarities, prediction.rows, strict=True):
        yield explain_vote(predictor.release, similarities, rows, k, kappa)


def _curve(top: np.ndarray, by_chance: np.ndarray, weights: np.ndarray) -> list[RemovalPoint]:
    """top, by_chance: [M, S] bool; weights: [S]."""
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
    """Chance that a wrong segment's value [S] is below that of a right one of its group; None without such pairs."""
    chance, pairs = 0.0, 0
    for group in np.unique(groups):
        wrong, good = values[(groups == group) & ~right], values[(groups == group) & right]
        if len(wrong) and len(good):
            chance += area_under_roc(-wrong, -good) * len(wrong) * len(good)
            pairs += len(wrong) * len(good)
    return _ratio(chance, pairs)


def _stability(seen: list[Steadiness]) -> StabilityScore:
    pixels = max(sum(one.pixels for one in seen), 1)  # 0 of images one pixel wide alone
    return StabilityScore(
        jaccard=sum(one.jaccard for one in seen) / pixels, label=sum(one.same for one in seen) / pixels
    )


def _by_weight(values: np.ndarray, weights: np.ndarray) -> float | None:
    """Mean of [S] by weights [S], None without any weight."""
    return _ratio(values @ weights, weights.sum())


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
