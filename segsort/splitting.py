"""Segments are split where their pixels look like several classes.

Pixel sorting knows no classes. Where two classes have similar embeddings, or one is thin, a segment may cover both, and
its one label is wrong for a part of it. `split` divides such a segment. The parts are segments like any other: each has
a prototype and is labelled by its own nearest exemplars. What a pixel looks like never decides a label.

What a pixel looks like is found by linear discriminant analysis of labelled prototypes. One product with [C, D]
weights replaces the comparison of every pixel with every exemplar, which would take as long as the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from segsort import loops
from segsort.sphere import mean_direction

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    from segsort import lazy_torch as torch

_RIDGE = 1e-3  # share of the mean variance that is added to every direction, so that the covariance can be inverted
_AT_ONCE = 1 << 20  # prototypes in 64 bits at a time


class ClassDirections(NamedTuple):
    """A linear classifier of embeddings: the class with the largest weights @ embedding + offset.

    weights: [C, D] float32; offsets: [C] float32, -inf for a class without prototypes.
    """

    weights: np.ndarray
    offsets: np.ndarray


class Splitting(NamedTuple):
    """How segments are split: see `split`.

    directions: what a pixel looks like; least: smallest part that becomes a segment, in pixels of the network's stride.
    """

    directions: ClassDirections
    least: int


def class_directions(prototypes: np.ndarray, class_ids: np.ndarray, num_classes: int) -> ClassDirections:
    """Linear discriminant analysis with one covariance for all classes and equal priors.

    Equal priors, because the frequency of exemplars is not the frequency of pixels.

    Args:
        prototypes: [N, D] unit vectors, N >= 1.
        class_ids: [N] int, 0..num_classes-1.
        num_classes: C.
    """
    N, D = prototypes.shape
    counts = np.bincount(class_ids, minlength=num_classes)
    sums, scatter = np.zeros((num_classes, D)), np.zeros((D, D))
    parts = [slice(start, start + _AT_ONCE) for start in range(0, N, _AT_ONCE)]
    for part in parts:
        np.add.at(sums, class_ids[part], prototypes[part].astype(np.float64))
    means = sums / np.maximum(counts, 1)[:, None]
    for part in parts:
        within = prototypes[part].astype(np.float64) - means[class_ids[part]]
        scatter += within.T @ within
    covariance = scatter / N
    covariance += (_RIDGE * max(np.trace(covariance), 1e-6) / D) * np.eye(D)
    weights = np.linalg.solve(covariance, means.T).T
    offsets = np.where(counts > 0, -(weights * means).sum(axis=1) / 2, -np.inf)
    return ClassDirections(weights.astype(np.float32), offsets.astype(np.float32))


@loops.on_cpu(loops.split)
def split(
    features: Tensor, labels: Tensor, segments: int, weights: Tensor, offsets: Tensor, least: int
) -> tuple[Tensor, Tensor]:
    """Split the segments of one image where their pixels look like several classes.

    The pixels of a segment that look like one class are a part. A part of at least `least` pixels becomes a segment. A
    smaller one joins the largest part of its segment, the first of equals.

    Args:
        features: [N, D+2] float32 unit vectors, embeddings with their location appended, of N pixels.
        labels: [N] int64, segment number of each pixel, 0..segments-1.
        segments: K.
        weights: [C, D] float32, see `ClassDirections`.
        offsets: [C] float32.
        least: smallest part that becomes a segment, in pixels.

    Returns:
        New segment numbers [N] int64, in the order of the old ones, and the mean directions [S, D+2] of the segments.
    """
    C, D = weights.shape
    embeddings = torch.nn.functional.normalize(features[:, :D], dim=1, eps=1e-12)
    looks = (embeddings @ weights.T.to(features) + offsets.to(features)).argmax(dim=1)
    sizes = torch.bincount(labels * C + looks, minlength=segments * C).reshape(segments, C)
    largest = sizes.argmax(dim=1, keepdim=True)
    joined = torch.where(sizes >= least, torch.arange(C, device=sizes.device), largest)
    part = labels * C + joined.flatten()[labels * C + looks]
    numbers, found = torch.unique(part, return_inverse=True)
    return found, mean_direction(features, found, len(numbers))
