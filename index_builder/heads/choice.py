"""Choosing a head by cross-validation over images, or over strokes where one image is labelled."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from index_builder.heads.samples import Samples
from index_builder.scores import intersection_over_union
from segsort.features import FeatureGroup
from segsort.head import (
    Basis,
    FeatureStatistics,
    FitOptions,
    Head,
    Kind,
    columns_of,
    fit_by_sorting,
    identity_head,
    principal_basis,
)
from segsort.posterior_heads import PosteriorOptions, fit_posteriors
from segsort.retrieval import vote

Fit = Literal["auto", "none", "linear", "mlp", "forest", "softmax", "ensemble"]
DIMENSION = 48  # of the identity head, and so of linear heads
FOLDS = 3
BLEND = 0.4  # share of the coordinates beside posteriors
ANOTHER_NETWORK = 0.01  # of mIoU, which the maps of one more network must be worth, because it takes time to serve
UNPROVEN = 0.05  # of mIoU, by which a head must be better than posteriors of coarse maps beside coordinates of all
ONE_IMAGE = 0.1  # the same where one image is labelled
TRIAL_SORTING, TRIAL_POSTERIORS = (
    FitOptions(steps=80),
    PosteriorOptions(trees=20, iterations=20),
)  # cheaper, for comparing candidates
K, KAPPA = 20, 10.0  # of the vote on single pixels that scores a head
SCORE_DIGITS = 4  # decimals of scores, so that rounding never decides which of two heads is better
_FINE = 8  # largest stride of a fine map


class Candidate(NamedTuple):
    """A kind of head and the maps that it reads; of a forest also those of the linear head beside it, and its share."""

    kind: Kind
    groups: tuple[FeatureGroup, ...]
    companion: tuple[FeatureGroup, ...] = ()
    blend: float = 0.0

    def __str__(self) -> str:
        read = f"{self.kind} of {', '.join(group.name for group in self.groups)}"
        if not self.companion:
            return read
        return f"{read}; {self.blend:.0%} linear of {', '.join(group.name for group in self.companion)}"

    @property
    def reads(self) -> tuple[FeatureGroup, ...]:
        """All maps that it needs."""
        return tuple(dict.fromkeys((*self.groups, *self.companion)))

    @property
    def form(self) -> tuple[Kind, bool]:
        """Its kind, and whether the coordinates beside posteriors read more maps than these."""
        return self.kind, len(self.reads) > len(self.groups)


@dataclass(frozen=True)
class Chosen:
    """The result of a choice.

    Attributes:
        candidate: what was chosen.
        scores: mIoU of each candidate that was tried, over all folds; empty if nothing could be compared.
        folds: [N] fold of each sample, or None.
        seconds: how long it took.
    """

    candidate: Candidate
    scores: dict[str, float]
    folds: np.ndarray | None
    seconds: float


class Fitter:
    """Fits heads to samples.

    Args:
        groups: all groups of the samples' rows, in order.
        statistics: of the features of images of many kinds. A basis of the few labelled images would follow them too
            closely: on 3 images with strokes it costs up to 10 points of mIoU.
        seed: of every random choice.
        threads: cores to use.
        sorting: how linear heads and MLPs are fitted.
        posteriors: how forests are grown and softmax regressions fitted.
    """

    def __init__(
        self,
        groups: tuple[FeatureGroup, ...],
        statistics: FeatureStatistics,
        seed: int,
        threads: int,
        *,
        sorting: FitOptions = FitOptions(),  # noqa: B008  # immutable
        posteriors: PosteriorOptions = PosteriorOptions(),  # noqa: B008
    ) -> None:
        self.groups, self.seed, self.threads = groups, seed, threads
        self.sorting, self.posteriors = sorting, posteriors
        self._statistics = statistics
        self._bases: dict[tuple[FeatureGroup, ...], Basis] = {}

    def rows(self, samples: Samples, groups: Sequence[FeatureGroup]) -> Tensor:
        """Features of some groups: [N, F']."""
        return samples.rows[:, torch.from_numpy(columns_of(self.groups, groups))]

    def basis(self, groups: tuple[FeatureGroup, ...]) -> Basis:
        """The basis of the identity head over some groups."""
        if groups not in self._bases:
            chosen = self._statistics.columns(columns_of(self.groups, groups))
            self._bases[groups] = principal_basis(chosen, groups, DIMENSION)
        return self._bases[groups]

    def fit(self, candidate: Candidate, samples: Samples) -> tuple[Head, Tensor]:
        """Fit a head to samples: the head, and the embeddings [N, D] of the samples as exemplars.

        The embeddings that a forest gives its own samples come from the trees that did not see them.
        """
        if candidate.kind == "forest" or candidate.kind == "softmax" or candidate.kind == "ensemble":
            companion = self._sorted("linear", candidate.companion or candidate.groups, samples)
            rows, reads = self.rows(samples, candidate.reads), candidate.reads
            grown = fit_posteriors(
                candidate.kind,
                reads,
                companion,
                rows,
                samples.class_ids,
                trees_read=() if candidate.kind == "softmax" else candidate.groups,
                softmax_reads=() if candidate.kind == "forest" else candidate.groups,
                options=self.posteriors,
                seed=self.seed,
                threads=self.threads,
            )
            return grown.blended(candidate.blend)
        if candidate.kind == "identity":
            head = identity_head(candidate.groups, self.basis(candidate.groups))
        else:
            head = self._sorted(candidate.kind, candidate.groups, samples)
        return head, head.embed(self.rows(samples, candidate.groups))

    def _sorted(self, kind: Literal["linear", "mlp"], groups: tuple[FeatureGroup, ...], samples: Samples) -> Head:
        segments, rows = torch.from_numpy(samples.segments), self.rows(samples, groups)
        basis, class_ids = self.basis(groups), samples.class_ids
        return fit_by_sorting(kind, groups, basis, rows, class_ids, segments, options=self.sorting, seed=self.seed)


def candidates(groups: Sequence[FeatureGroup], fit: Fit) -> list[Candidate]:
    """What is tried, the most promising first: over all maps, and over those of the general networks alone.

    Posteriors are best made of coarse maps, which differ less between images than colours and textures do, and stand
    beside coordinates of all maps. Coarse maps are those of strides above 8 and the embedding of a network that was
    trained for one domain.
    """
    every = tuple(groups)
    general = tuple(group for group in groups if group.name != "streets")
    coarse = tuple(group for group in groups if group.stride > _FINE or group.name == "streets")
    deep = tuple(group for group in coarse if group.name != "streets")
    together = [(coarse or every, every), (deep or general, general), (every, every), (general, general)]
    found = {
        "linear": [Candidate("linear", one) for one in (every, general) if one],
        "none": [Candidate("identity", one) for one in (every, general) if one],
        "mlp": [Candidate("mlp", one) for one in (every, general) if one],
        **{
            kind: [Candidate(kind, a, b, BLEND) for a, b in together if a and b]
            for kind in ("ensemble", "forest", "softmax")
        },
    }
    tried = [*found["ensemble"], *found["linear"], *found["none"]] if fit == "auto" else found[fit]
    return list(dict.fromkeys(tried))


def named_candidate(groups: Sequence[FeatureGroup], name: str) -> Candidate | None:
    """The candidate over some maps whose description is `name`; None if there is no such candidate."""
    kinds: tuple[Fit, ...] = ("linear", "none", "mlp", "ensemble", "forest", "softmax")
    return next((one for kind in kinds for one in candidates(groups, kind) if str(one) == name), None)


def choose(
    fitter: Fitter,
    samples: Samples,
    fit: Fit,
    budget: float,
    progress: Callable[[int, int], None] | None = None,
) -> Chosen:
    """Try the candidates by cross-validation, until the budget is used.

    Args:
        fitter: fits heads.
        samples: labelled pixels.
        fit: the kinds that are tried.
        budget: seconds after which no further candidate is tried.
        progress: called with the number of candidates tried and their total.

    Returns:
        The best candidate. If nothing can be compared (one stroke a class, or one class), the identity head.
    """
    started = time.perf_counter()
    possible, images = candidates(fitter.groups, fit), len(np.unique(samples.images))
    if fit == "auto" and images == 1:
        possible = [possible[0], *(one for one in possible if one.kind == "identity")]
    folds = fold_of(samples)
    if folds is None or samples.classes < 2:
        return Chosen(_uncompared(possible), {}, None, time.perf_counter() - started)
    scores: dict[Candidate, float] = {}
    for number, candidate in enumerate(possible):
        if scores and time.perf_counter() - started > budget:
            break
        scores[candidate] = score(fitter, candidate, samples, folds)
        if progress is not None:
            progress(number + 1, len(possible))
    unproven = ONE_IMAGE if images == 1 else UNPROVEN
    best = max(scores, key=lambda one: scores[one] - _handicap(one, possible[0], unproven))
    named = {str(one): round(value, SCORE_DIGITS) for one, value in scores.items()}
    return Chosen(best, named, folds, time.perf_counter() - started)


def _handicap(candidate: Candidate, first: Candidate, unproven: float) -> float:
    """The mIoU by which a candidate must be better: one network more takes time to serve.

    Few labelled images do not show how others differ, so a small advantage over the most promising form is chance.
    """
    another = ANOTHER_NETWORK if any(group.name == "streets" for group in candidate.reads) else 0.0
    return another + (unproven if candidate.form != first.form else 0.0)


def _uncompared(possible: Sequence[Candidate]) -> Candidate:
    """What is used where nothing can be compared: the identity head, which cannot follow a few pixels too closely."""
    return next((one for one in possible if one.kind == "identity"), possible[0])


def score(
    fitter: Fitter, candidate: Candidate, samples: Samples, folds: np.ndarray, seen: np.ndarray | None = None
) -> float:
    """Cross-validated mIoU of a candidate over pixels, each labelled by the vote of those of the other folds.

    seen: [N] bool, samples that a head may be fitted to; the others are exemplars only. None: all of them.
    """
    classes = int(samples.class_ids.max()) + 1
    confusion = np.zeros((classes, classes))
    for fitted, held in splits(folds):
        known, asked = samples.subset(fitted), samples.subset(held)
        if known.classes < 2:
            predicted = np.full(len(asked.class_ids), int(known.class_ids[0]))
        else:
            learnt, rest = known, None
            if seen is not None:
                learnt, rest = known.subset(seen[fitted]), known.subset(~seen[fitted])
            kept = candidate if learnt.classes > 1 else Candidate("identity", candidate.reads)
            head, exemplars = fitter.fit(kept, learnt)
            class_ids = learnt.class_ids
            if rest is not None:
                exemplars = torch.cat([exemplars, head.embed(fitter.rows(rest, head.groups))])
                class_ids = torch.cat([class_ids, rest.class_ids])
            queries = head.embed(fitter.rows(asked, head.groups))
            predicted = labels_of(queries, exemplars, class_ids, classes)
        np.add.at(confusion, (asked.class_ids.numpy(), predicted), asked.weights)
    return float(np.nanmean(intersection_over_union(confusion)))


def score_head(fitter: Fitter, head: Head, samples: Samples, folds: np.ndarray) -> float:
    """mIoU over pixels of a head that is given, each pixel labelled by the vote of those of the other folds.

    If the head was fitted to these samples, the result is too kind.
    """
    classes = int(samples.class_ids.max()) + 1
    confusion = np.zeros((classes, classes))
    embeddings = head.embed(fitter.rows(samples, head.groups))
    for fitted, held in splits(folds):
        known, asked = torch.from_numpy(fitted), torch.from_numpy(held)
        predicted = labels_of(embeddings[asked], embeddings[known], samples.class_ids[known], classes)
        np.add.at(confusion, (samples.class_ids[asked].numpy(), predicted), samples.weights[held])
    return float(np.nanmean(intersection_over_union(confusion)))


def labels_of(queries: Tensor, exemplars: Tensor, class_ids: Tensor, classes: int) -> np.ndarray:
    """Label pixels by the vote of the nearest exemplars: [Q, D], [N, D], [N] -> [Q] int64."""
    found = []
    for block in torch.split(queries, 2048):
        near = (block @ exemplars.T).topk(min(K, len(exemplars)), dim=1)
        votes = vote(near.values.numpy(), class_ids[near.indices].numpy(), classes, KAPPA)
        found.append(votes.class_ids)
    return np.concatenate(found)


def splits(folds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each fold: [N] bool of the samples that are fitted, and of those that are held out."""
    for fold in np.unique(folds[folds >= 0]).tolist():
        yield (folds != fold), folds == fold


def fold_of(samples: Samples) -> np.ndarray | None:
    """Fold of each sample, 0..FOLDS-1: whole images, or whole strokes where there is one image.

    Images are dealt out so that each class is in as many folds as possible. Returns None if fewer than two folds have
    labels, or no class is in two of them.
    """
    units = samples.images if len(np.unique(samples.images)) > 1 else samples.parts
    class_ids = samples.class_ids.numpy()
    fold = np.full(len(units), -1)
    load = np.zeros((FOLDS, int(class_ids.max()) + 1))
    rarity = 1 / np.bincount(class_ids).clip(min=1)[class_ids]
    names = np.unique(units)
    order = sorted(names.tolist(), key=lambda unit: -rarity[units == unit].max())
    for unit in order:
        inside = units == unit
        present = np.unique(class_ids[inside])
        n = int(np.lexsort((load.sum(axis=1), load[:, present].sum(axis=1)))[0])
        fold[inside] = n
        load[n, present] += 1
    in_folds = (load > 0).sum(axis=0)
    return fold if (in_folds >= 2).any() and len(np.unique(fold)) > 1 else None
