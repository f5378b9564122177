"""Heads made of class posteriors: a random forest, a softmax regression, and both together.

The square roots of the posteriors of a pixel are a unit vector. The exemplars that are nearest to a pixel in this space
are those that the classifier confuses it with. So a label is still retrieved, and is about as good as the classifier.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from segsort.features import FeatureGroup
from segsort.head import Head, Kind, Trees, columns_of, joined_embedding

_FINE = 8  # largest stride of maps whose features trees split on one by one
_LEAST = 1e-6  # smallest standard deviation of a feature


class PosteriorOptions(NamedTuple):
    """How a forest is grown, and a softmax regression fitted.

    trees: how many; depth: maximum; leaf: least samples of a leaf; share: of the samples that each tree sees; blend:
    see `Head`; coarse: number of principal components that stand for the maps of strides above 8; regularity: inverse
    strength of the L2 penalty of the regression; iterations: of its optimiser, at most; regressed: samples, at most.
    """

    trees: int = 24
    depth: int = 10
    leaf: int = 2
    share: float = 0.5
    blend: float = 0.2
    coarse: int = 48
    regularity: float = 0.003
    iterations: int = 60
    regressed: int = 6000


class Grown(NamedTuple):
    """A head, and its samples as parts of it that did not see them would embed them.

    posteriors: [N, C]; coordinates: [N, K], of the head beside the posteriors.
    """

    head: Head
    posteriors: Tensor
    coordinates: Tensor

    def blended(self, blend: float) -> tuple[Head, Tensor]:
        """The head with another share of the coordinates, and the embeddings [N, D] of its samples."""
        return replace(self.head, blend=blend), joined_embedding(self.posteriors, self.coordinates, blend)


class _Part(NamedTuple):
    """Rows of the affine layer, [n, F] and [n], and the posteriors [N, C] of the samples."""

    weight: np.ndarray
    bias: np.ndarray
    posteriors: np.ndarray


def fit_posteriors(
    kind: Kind,
    groups: tuple[FeatureGroup, ...],
    companion: Head,
    rows: Tensor,
    class_ids: Tensor,
    *,
    trees_read: Sequence[FeatureGroup] = (),
    softmax_reads: Sequence[FeatureGroup] = (),
    options: PosteriorOptions | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Grown:
    """Fit a head of class posteriors to labelled pixels.

    Args:
        kind: "forest", "softmax" or "ensemble".
        groups: of the features.
        companion: an identity or linear head over some of the groups, whose coordinates stand beside the posteriors.
        rows: [N, F] float32 features of labelled pixels.
        class_ids: [N] int64.
        trees_read, softmax_reads: the groups that each part reads; none: the part is left out.
        options: None: the defaults.
        seed: of every random choice.
        threads: number of trees that are grown at once.

    Raises:
        ValueError: if there are fewer than two classes, or no part.
    """
    options = options or PosteriorOptions()
    names = np.unique(class_ids.numpy())
    if len(names) < 2:
        raise ValueError("the labelled pixels have one class; a head is fitted to two or more: label another class")
    if not trees_read and not softmax_reads:
        raise ValueError("trees_read and softmax_reads are both empty; give the groups of one of them, or of both")
    parts: list[_Part] = []
    trees: Trees | None = None
    if trees_read:
        grown, trees = _grow(groups, trees_read, rows, class_ids, options, seed, threads)
        parts.append(grown)
    if softmax_reads:
        parts.append(_regress(groups, softmax_reads, rows, class_ids, options, seed))
    tail = np.zeros((len(companion.weight), rows.shape[1]), dtype=np.float32)
    tail[:, columns_of(groups, companion.groups)] = companion.weight
    head = Head(
        kind,
        groups,
        np.concatenate([*(part.weight for part in parts), tail]),
        np.concatenate([*(part.bias for part in parts), companion.bias]),
        logits=len(names) if softmax_reads else 0,
        tail=len(tail),
        trees=trees,
        blend=options.blend,
    )
    coordinates = rows @ torch.from_numpy(tail).T + torch.from_numpy(companion.bias)
    return Grown(head, torch.from_numpy(np.mean([part.posteriors for part in parts], axis=0)), coordinates)


def _grow(
    groups: Sequence[FeatureGroup],
    read: Sequence[FeatureGroup],
    rows: Tensor,
    class_ids: Tensor,
    options: PosteriorOptions,
    seed: int,
    threads: int,
) -> tuple[_Part, Trees]:
    """Grow a forest. Samples have the posteriors of the trees that did not see them."""
    from sklearn.ensemble import RandomForestClassifier

    weight, bias = _tree_inputs(groups, read, rows, options.coarse)
    samples = (rows @ torch.from_numpy(weight).T + torch.from_numpy(bias)).numpy()
    forest = RandomForestClassifier(
        options.trees, max_depth=options.depth, min_samples_leaf=options.leaf, oob_score=True, n_jobs=threads,
        max_samples=max(options.share, min(1.0, 200 / len(samples))), random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a sample that every tree saw has no out-of-bag posterior
        forest.fit(samples, class_ids.numpy())
    unseen = np.nan_to_num(forest.oob_decision_function_)
    unseen = np.where(unseen.sum(axis=1, keepdims=True) > 0, unseen, 1 / unseen.shape[1]).astype(np.float32)
    return _Part(weight, bias, unseen), _flat([one.tree_ for one in forest.estimators_])


def _regress(
    groups: Sequence[FeatureGroup],
    read: Sequence[FeatureGroup],
    rows: Tensor,
    class_ids: Tensor,
    options: PosteriorOptions,
    seed: int,
) -> _Part:
    """Fit a softmax regression. It is so regular that samples have about the posteriors of unseen pixels."""
    from sklearn.linear_model import LogisticRegression

    columns = torch.from_numpy(columns_of(groups, read))
    values = rows[:, columns]
    mean, scale = values.mean(0), values.std(0).clamp(min=_LEAST)
    standard = ((values - mean) / scale).numpy()
    chosen = np.random.default_rng(seed).permutation(len(standard))[: options.regressed]
    if len(np.unique(class_ids.numpy()[chosen])) < len(np.unique(class_ids.numpy())):
        chosen = np.arange(len(standard))  # a rare class was not drawn
    probe = LogisticRegression(C=options.regularity, max_iter=options.iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged, after so few iterations
        probe.fit(standard[chosen], class_ids.numpy()[chosen])
    coefficients, intercept = probe.coef_, probe.intercept_
    if len(coefficients) == 1:  # of two classes, scikit-learn gives the logit of the second
        coefficients, intercept = (
            np.stack([-coefficients[0], coefficients[0]]) / 2,
            np.array([-intercept[0], intercept[0]]) / 2,
        )
    folded = coefficients / scale.numpy()
    weight = np.zeros((len(folded), rows.shape[1]), dtype=np.float32)
    weight[:, columns.numpy()] = folded
    bias = (intercept - folded @ mean.numpy()).astype(np.float32)
    return _Part(weight, bias, probe.predict_proba(standard).astype(np.float32))


def _tree_inputs(
    groups: Sequence[FeatureGroup], split_on: Sequence[FeatureGroup], rows: Tensor, coarse: int
) -> tuple[np.ndarray, np.ndarray]:
    """What trees split on, as an affine layer: fine features one by one, coarse ones as principal components."""
    no_columns = np.zeros(0, dtype=np.int64)
    fine = np.concatenate([no_columns, *(columns_of(groups, [g]) for g in split_on if g.stride <= _FINE)])
    many = np.concatenate([no_columns, *(columns_of(groups, [g]) for g in split_on if g.stride > _FINE)])
    weight = np.zeros((len(fine) + min(coarse, len(many)), rows.shape[1]), dtype=np.float32)
    weight[np.arange(len(fine)), fine] = 1
    bias = np.zeros(len(weight), dtype=np.float32)
    if len(many):
        values = rows[:, torch.from_numpy(many)].double()
        mean = values.mean(0)
        _, directions = torch.linalg.eigh((values - mean).T @ (values - mean))
        components = directions[:, directions.shape[1] - (len(weight) - len(fine)) :].T.float().numpy()
        weight[len(fine) :, many] = components
        bias[len(fine) :] = -components @ mean.float().numpy()
    return weight, bias


def _flat(trees: Sequence[Any]) -> Trees:
    """scikit-learn's trees one after another. A sample goes left if its value is at most the threshold.

    Thresholds are rounded down to 32 bits, so that every value of 32 bits goes to the side that scikit-learn sends it.
    """
    values = [tree.value[:, 0, :] for tree in trees]
    exact = np.concatenate([tree.threshold for tree in trees])
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return Trees(
        starts=np.cumsum([0, *(tree.node_count for tree in trees)]),
        feature=np.concatenate([np.where(tree.children_left < 0, -1, tree.feature) for tree in trees]),
        threshold=threshold,
        left=np.concatenate([np.maximum(tree.children_left, 0) for tree in trees]),
        right=np.concatenate([np.maximum(tree.children_right, 0) for tree in trees]),
        values=np.concatenate([one / one.sum(axis=1, keepdims=True) for one in values]).astype(np.float32),
    )
