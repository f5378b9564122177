"""The head: a small map from features to the unit sphere, fitted by segment sorting in seconds.

Every head begins with one affine layer over the features of all groups, into which standardisation, group weights and a
projection are folded. An affine layer can be applied to each map at its own stride, and the results upsampled and
summed, which is much cheaper than upsampling the maps. Kinds of head:

- `identity`: the projection alone (principal components of the standardised features); fitted without labels
- `linear`: an affine layer fitted by the vMF-NCA loss
- `mlp`: an affine layer, ReLU, and a linear layer, fitted by the vMF-NCA loss
- `forest`: a random forest on the output of the affine layer. The embedding holds the square roots of its class
  posteriors, beside the coordinates of an identity or linear head.
- `softmax`: the same with the posteriors of a softmax regression
- `ensemble`: the same with the mean posteriors of a forest and a softmax regression

The loss is that of the paper (eq. 6): labelled pixels are attracted by prototypes of their class and repelled by all
others. Prototypes are those of sorted segments or strokes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segsort.features import FeatureGroup
from segsort.segment_sorting import vmf_nca_loss
from segsort.sphere import mean_direction, normalize

Kind = Literal["identity", "linear", "mlp", "forest", "softmax", "ensemble"]
_LEAST = 1e-6  # smallest standard deviation of a feature, and posterior of a class


class Trees(NamedTuple):
    """The trees of a random forest, one after another in flat arrays.

    starts: [T + 1] int64, first node of each tree; feature: [n] int64, -1 at leaves; threshold: [n] float32, a value up
    to which a sample goes left; left, right: [n] int64, node within the tree; values: [n, C] float32, posteriors.
    """

    starts: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray

    def posteriors(self, samples: np.ndarray, trees: np.ndarray | None = None) -> np.ndarray:
        """Mean posteriors of the trees: [N, P] float32 -> [N, C] float32.

        trees: [N, T] bool, trees that count for each sample; None: all of them.
        """
        N, total = len(samples), np.zeros((len(samples), self.values.shape[1]), dtype=np.float32)
        count = np.zeros(N, dtype=np.float32)
        rows = np.arange(N)
        for t in range(len(self.starts) - 1):
            chosen = rows if trees is None else rows[trees[:, t]]
            first = int(self.starts[t])
            node = np.full(len(chosen), first)
            while True:
                feature = self.feature[node]
                inner = feature >= 0
                if not inner.any():
                    break
                goes_left = samples[chosen[inner], feature[inner]] <= self.threshold[node[inner]]
                step = np.where(goes_left, self.left[node[inner]], self.right[node[inner]])
                node[inner] = first + step
            total[chosen] += self.values[node]
            count[chosen] += 1
        return cast(np.ndarray, total / np.maximum(count, 1)[:, None])


@dataclass(frozen=True)
class Head:
    """A fitted head.

    Attributes:
        kind: see the top of this module.
        groups: the maps that it reads, in order; their channels together are the F features.
        weight: [M, F] float32, bias: [M] float32, the affine layer.
        logits: number of its outputs before the tail that are the logits of a softmax regression, C or 0.
        tail: number of its last outputs that are coordinates. They bypass the ReLU of an MLP, and stand beside the
            posteriors of trees and softmax; 0 for other kinds.
        second: [D, M] float32, the last layer of an MLP; None for other kinds.
        trees: of a forest or ensemble; None for other kinds. They read the outputs before the logits.
        blend: the share of the coordinates in a cosine, 0..1, where they stand beside posteriors.
    """

    kind: Kind
    groups: tuple[FeatureGroup, ...]
    weight: np.ndarray
    bias: np.ndarray
    logits: int = 0
    tail: int = 0
    second: np.ndarray | None = None
    trees: Trees | None = None
    blend: float = 0.0

    @property
    def dimension(self) -> int:
        """D of the embedding."""
        if self.trees is not None:
            return int(self.trees.values.shape[1]) + self.tail
        if self.logits:
            return self.logits + self.tail
        return len(self.weight) if self.second is None else len(self.second)

    def embed(self, rows: Tensor) -> Tensor:
        """Features [N, F] of single pixels -> embeddings [N, D], unit vectors."""
        return self.finish(F.linear(rows, torch.from_numpy(self.weight), torch.from_numpy(self.bias)))

    def finish(self, hidden: Tensor, posteriors: Tensor | None = None) -> Tensor:
        """Output of the affine layer [N, M] -> embeddings [N, D], unit vectors.

        posteriors: [N, C], where they are known already; None: computed by trees and softmax.
        """
        before, after = hidden[:, : hidden.shape[1] - self.tail], hidden[:, hidden.shape[1] - self.tail :]
        if self.trees is not None or self.logits:
            found = self._posteriors(before) if posteriors is None else posteriors
            return joined_embedding(found, after, self.blend)
        if self.second is not None:
            hidden = F.linear(torch.cat([F.relu(before), after], dim=1), torch.from_numpy(self.second))
        return normalize(hidden, dim=1)

    def _posteriors(self, before: Tensor) -> Tensor:
        """Mean posteriors of trees and softmax: outputs before the tail [N, P + C] -> [N, C]."""
        inputs, logits = before[:, : before.shape[1] - self.logits], before[:, before.shape[1] - self.logits :]
        found = [] if self.trees is None else [torch.from_numpy(self.trees.posteriors(inputs.numpy()))]
        return torch.stack([*found, *([logits.softmax(dim=1)] if self.logits else [])]).mean(0)


def joined_embedding(posteriors: Tensor, coordinates: Tensor, blend: float) -> Tensor:
    """Square roots of posteriors [N, C] beside the direction of coordinates [N, K], not all 0: unit vectors [N, C + K].

    A cosine of two is (1 - blend) * their Bhattacharyya coefficient + blend * the cosine of their coordinates. A
    posterior of 0 counts as a millionth.
    """
    roots = normalize((posteriors + _LEAST).sqrt(), dim=1)
    if not coordinates.shape[1]:
        return roots
    return torch.cat([(1 - blend) ** 0.5 * roots, blend**0.5 * normalize(coordinates, dim=1)], dim=1)


class FitOptions(NamedTuple):
    """How a linear head or an MLP is fitted.

    steps: of the optimiser; rate: its learning rate; kappa: of the loss; dropout: share of the inputs that are dropped;
    decay: factor of the squared length of all weights, which pulls the head towards the identity head; hidden: units of
    an MLP; anchors: pixels a step; references: prototypes a step.
    """

    steps: int = 120
    rate: float = 3e-3
    kappa: float = 10.0
    dropout: float = 0.2
    decay: float = 1e-3
    hidden: int = 128
    anchors: int = 256
    references: int = 1024


class FeatureStatistics(NamedTuple):
    """First and second moments of features: mean [F], scale [F] (standard deviations), correlation [F, F], float32.

    The scale of a feature that never changed is infinite, so that the feature has no weight.
    """

    mean: np.ndarray
    scale: np.ndarray
    correlation: np.ndarray

    @classmethod
    def of(cls, rows: Tensor) -> "FeatureStatistics":
        """Statistics of features [N, F].

        Raises:
            ValueError: if there are fewer than two rows.
        """
        if len(rows) < 2:
            raise ValueError(f"{len(rows)} rows of features; statistics need two or more")
        mean, scale = rows.mean(0), rows.std(0)
        scale = torch.where(scale > _LEAST, scale, torch.inf)
        standard = ((rows - mean) / scale).double()
        return cls(mean.numpy(), scale.numpy(), (standard.T @ standard / len(rows)).float().numpy())

    def columns(self, chosen: np.ndarray) -> "FeatureStatistics":
        """Statistics of some of the features, by their columns."""
        return FeatureStatistics(self.mean[chosen], self.scale[chosen], self.correlation[np.ix_(chosen, chosen)])


class Basis(NamedTuple):
    """Principal components of standardised features: values = (rows - mean) @ directions, [F] and [F, K] float32."""

    mean: np.ndarray
    directions: np.ndarray


def principal_basis(
    statistics: FeatureStatistics, groups: Sequence[FeatureGroup], dimension: int, whitening: float = 0.25
) -> Basis:
    """Compute the basis of the identity head.

    Features are standardised, and each group is weighted so that all groups have one total variance. The components
    are then scaled by their variance to the power of -whitening, so that small ones count more than they would.

    Args:
        statistics: of features of many images; labels are not needed.
        groups: of the features.
        dimension: maximum number of components; there are not more than features.
        whitening: 0 keeps the variances, 0.5 makes all equal.
    """
    weight = np.concatenate([np.full(group.channels, group.channels**-0.5) for group in groups])
    weighted = torch.from_numpy(statistics.correlation.astype(np.float64) * weight[:, None] * weight)
    variances, directions = torch.linalg.eigh(weighted)
    kept = min(dimension, len(weight))
    variances, directions = variances[-kept:].flip(0), directions[:, -kept:].flip(1)
    largest = variances[0].clamp(min=_LEAST)
    relative = (variances / largest).clamp(min=1e-4)
    scaled = directions * relative**-whitening / largest.sqrt()
    folded = (weight / statistics.scale)[:, None] * scaled.numpy()
    return Basis(statistics.mean.astype(np.float32), folded.astype(np.float32))


def identity_head(groups: tuple[FeatureGroup, ...], basis: Basis) -> Head:
    """The head that fits nothing: coordinates in a basis, as unit vectors."""
    return Head("identity", groups, *_affine(basis))


def fit_by_sorting(
    kind: Literal["linear", "mlp"],
    groups: tuple[FeatureGroup, ...],
    basis: Basis,
    rows: Tensor,
    class_ids: Tensor,
    segments: Tensor,
    *,
    options: FitOptions | None = None,
    seed: int = 0,
) -> Head:
    """Fit a head by the vMF-NCA loss of pixels against prototypes of segments.

    The head starts as the identity head, and what is fitted is its difference from it, which `decay` keeps small. With
    few samples, it therefore stays near the identity head. Each step draws pixels, rare classes more often than their
    share (by the square root), and takes the prototypes of the segments of other pixels that it draws.

    Args:
        kind: "linear" or "mlp".
        groups: of the features.
        basis: of the identity head.
        rows: [N, F] float32 features of labelled pixels.
        class_ids: [N] int64.
        segments: [N] int64, segment or stroke of each pixel, 0..S-1. Each has pixels of one class.
        options: None: the defaults.
        seed: of every random choice.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    options = options or FitOptions()
    if len(np.unique(class_ids.numpy())) < 2:
        raise ValueError("the labelled pixels have one class; a head is fitted to two or more: label another class")
    random = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(basis.directions).T @ (rows - torch.from_numpy(basis.mean)).T
    x = x.T.contiguous()
    scale = float(x.norm(dim=1).mean().clamp(min=_LEAST))
    x = x / scale
    segment_class = torch.full((int(segments.max()) + 1,), -1, dtype=torch.int64)
    segment_class[segments] = class_ids
    with torch.enable_grad():
        difference = _Difference(x.shape[1], options.hidden if kind == "mlp" else 0, random)
        _fit(difference, x, class_ids, segments, segment_class, options, random)
    return _as_head(kind, groups, basis, difference, scale)


class _Difference(nn.Module):
    """What is added to the coordinates x [N, K]: linear(x), and for an MLP second(ReLU(first(x)))."""

    def __init__(self, size: int, hidden: int, random: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Parameter(torch.zeros(size, size))
        self.first = nn.Parameter(torch.randn(hidden, size, generator=random)) if hidden else None
        self.bias = nn.Parameter(torch.zeros(hidden)) if hidden else None
        self.second = nn.Parameter(torch.zeros(size, hidden)) if hidden else None

    def forward(self, x: Tensor) -> Tensor:
        moved = x + x @ self.linear.T
        if self.first is not None and self.second is not None:
            moved = moved + F.relu(F.linear(x, self.first, self.bias)) @ self.second.T
        return normalize(moved, dim=1)

    def penalty(self) -> Tensor:
        """Sum of the squared weights that make the difference."""
        total = (self.linear**2).sum()
        return total if self.second is None else total + (self.second**2).sum()


def _fit(
    difference: _Difference,
    x: Tensor,
    class_ids: Tensor,
    segments: Tensor,
    segment_class: Tensor,
    options: FitOptions,
    random: torch.Generator,
) -> None:
    """Optimise the difference with Adam, its rate rising over a tenth of the steps and falling after."""
    weights = torch.bincount(class_ids).clamp(min=1).float().rsqrt()[class_ids]
    optimiser = torch.optim.Adam(difference.parameters(), lr=options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, total_steps=options.steps + 1, pct_start=0.1
    )
    N, anchors = len(x), min(options.anchors, len(x))
    for _ in range(options.steps):
        pixels = torch.multinomial(weights, anchors, replacement=True, generator=random)
        others = torch.randperm(N, generator=random)[: options.references]
        drawn = x[torch.cat([pixels, others])]
        kept = (torch.rand(drawn.shape, generator=random) >= options.dropout) / (1 - options.dropout)
        vectors = difference(drawn * kept)
        present, row = torch.unique(segments[others], return_inverse=True)
        prototypes = mean_direction(vectors[anchors:], row, len(present))
        row_of = torch.full((len(segment_class),), -1, dtype=torch.int64)
        row_of[present] = torch.arange(len(present))
        loss = vmf_nca_loss(
            vectors[:anchors], class_ids[pixels], row_of[segments[pixels]], prototypes, segment_class[present],
            options.kappa,
        ).mean()  # fmt: skip
        optimiser.zero_grad()
        (loss + options.decay * difference.penalty()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _as_head(
    kind: Literal["linear", "mlp"],
    groups: tuple[FeatureGroup, ...],
    basis: Basis,
    difference: _Difference,
    scale: float,
) -> Head:
    """Fold basis and scale into the weights of the head."""
    weight, bias = _affine(basis)
    linear = np.eye(len(weight), dtype=np.float32) + difference.linear.detach().numpy()
    if difference.first is None or difference.second is None or difference.bias is None:
        return Head(kind, groups, linear @ weight, linear @ bias)
    first, second = difference.first.detach().numpy() / scale, difference.second.detach().numpy()
    return Head(
        kind,
        groups,
        np.concatenate([first @ weight, weight]),
        np.concatenate([first @ bias + difference.bias.detach().numpy(), bias]),
        tail=len(weight),
        second=np.concatenate([second * scale, linear], axis=1),
    )


def _affine(basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """The basis as weight [K, F] and bias [K] of an affine layer."""
    return basis.directions.T.copy(), -(basis.mean @ basis.directions)


def columns_of(groups: Sequence[FeatureGroup], chosen: Sequence[FeatureGroup]) -> np.ndarray:
    """Columns of some groups among the features of all: [F'] int64, in the order of `chosen`."""
    starts = dict(zip(groups, np.cumsum([0, *(group.channels for group in groups)]).tolist(), strict=False))
    return np.concatenate([np.arange(starts[group], starts[group] + group.channels) for group in chosen])
