"""Labelled samples of three classes that a few of many features tell apart, and heads fitted to them."""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from segsort.features import FeatureGroup
from segsort.head import FeatureStatistics, FitOptions, Head, fit_by_sorting, identity_head, principal_basis
from segsort.posterior_heads import Grown, PosteriorOptions, fit_posteriors
from segsort.retrieval import vote

CLASSES = 3
SEEN = 6  # features that depend on the class; all others are noise
GROUPS = (FeatureGroup("fine", SEEN + 20, 4), FeatureGroup("coarse", 20, 16))
FEATURES = sum(group.channels for group in GROUPS)
QUICK = FitOptions(steps=25, anchors=64)


class Labelled(NamedTuple):
    rows: Tensor
    class_ids: Tensor

    def each(self, count: int) -> "Labelled":
        """The first `count` samples of each class."""
        at = torch.cat([torch.nonzero(self.class_ids == c)[:count, 0] for c in range(CLASSES)])
        return Labelled(self.rows[at], self.class_ids[at])


def drawn(seed: int, count: int) -> Labelled:
    """Features of samples of three classes: a few tell the classes apart, many more are noise of larger variance."""
    random = np.random.default_rng(seed)
    class_ids = random.integers(0, CLASSES, count)
    seen = 2 * np.eye(SEEN)[class_ids] + random.normal(0, 0.4, (count, SEEN))
    mixed = np.random.default_rng(3).normal(size=(FEATURES - SEEN, FEATURES - SEEN))
    noise = random.normal(size=(count, FEATURES - SEEN)) @ mixed + 5
    return Labelled(torch.from_numpy(np.hstack([seen, noise]).astype(np.float32)), torch.from_numpy(class_ids))


STATISTICS = FeatureStatistics.of(drawn(5, 2000).rows)
BASIS = principal_basis(STATISTICS, GROUPS, 48)
IDENTITY = identity_head(GROUPS, BASIS)


def fit_forest(
    groups: tuple[FeatureGroup, ...],
    read: tuple[FeatureGroup, ...],
    companion: Head,
    rows: Tensor,
    class_ids: Tensor,
    options: PosteriorOptions | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Grown:
    return fit_posteriors(
        "forest", groups, companion, rows, class_ids, trees_read=read, options=options, seed=seed, threads=threads
    )


def accuracy(head: Head, exemplars: Tensor, known: Labelled, asked: Labelled) -> float:
    """Share of the samples `asked` that the vote of the exemplars labels correctly."""
    nearest = (head.embed(asked.rows) @ exemplars.T).topk(min(20, len(exemplars)), dim=1)
    votes = vote(nearest.values.numpy(), known.class_ids[nearest.indices].numpy(), CLASSES, 10.0)
    return float((votes.class_ids == asked.class_ids.numpy()).mean())


def fitted(kind: str, known: Labelled, options: FitOptions | None = None, seed: int = 0) -> Head:
    """A head fitted to samples, each of which is a segment of its own."""
    segments = torch.arange(len(known.rows))
    assert kind in ("linear", "mlp")
    return fit_by_sorting(kind, GROUPS, BASIS, known.rows, known.class_ids, segments, options=options, seed=seed)  # type: ignore[arg-type]


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosine of each pair of rows: [N, D] -> [N, N]."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(np.ndarray, unit @ unit.T)
