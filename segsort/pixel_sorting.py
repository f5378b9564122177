"""Pixel sorting: EM of a mixture of von Mises-Fisher densities over the pixels of each image (paper, section 3.1).

The steps, in the order in which they run:

- `sorting_features`: the embedding of each pixel with its location appended, as a unit vector
- `grid_labels`: the starting labels, which are the cells of a regular grid
- `m_step`: the mean direction of each segment
- `e_step`, or `soft_e_step`: the nearest mean of each pixel, or its posteriors
- `sort_hard`, or `sort_soft`: both steps in turn, up to a maximum number of iterations
- `sort_pixels`: all of these

A label is a segment number here, not a class. A pixel is one position of the embedding, whose stride is the network's.

Functions under `@loops.on_cpu(...)` have a compiled form with the same result up to rounding. It runs on a CPU, and
stops sorting when no pixel moves. The code here runs on other devices. The compiled forms are tested against it.

Embeddings are numpy arrays or tensors, and results are of the same kind. With numpy arrays, hard sorting runs without
PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeAlias

import numpy as np

from segsort import loops
from segsort.arrays import Array, as_float32, without_autocast
from segsort.sphere import normalize

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    from segsort import lazy_torch as torch


@dataclass(frozen=True)
class SortingOptions:
    """How pixels are sorted.

    Attributes:
        segments: K, the number of cells of the starting grid; sorting ends with at most K segments an image.
        iterations: maximum number of E- and M-steps. On a CPU, sorting stops earlier when no pixel moves.
        location_weight: length of the location of a pixel at the end of the longer side, half that side from the
            centre. The embedding to which the location is appended has length 1.
        assignment: "hard" assigns each pixel to one mean (spherical k-means); "soft" to all, by their posteriors.
        kappa: concentration of the vMF densities, used by soft assignment only.
        coarse_iterations: maximum number of E- and M-steps over every second pixel of every second row, before the
            others. Such a step costs a quarter. They bring the means close to their final values. The paper has none.
        precision: "int8" compares pixels with means in eight bits on a CPU with AVX-512 VNNI. One instruction then
            multiplies four times as many numbers. It changes only assignments between means that are almost equally
            near: the cosine of a pixel's mean is below the largest by at most 1 % of 1 - |c|^2, the mean squared
            distance of the pixels from their centre c. Where rounding cannot tell means apart, and without such a CPU,
            comparisons are in float32. Means are always computed in float32.
    """

    segments: int = 64
    iterations: int = 10
    location_weight: float = 1.0
    assignment: Literal["hard", "soft"] = "hard"
    kappa: float = 10.0
    coarse_iterations: int = 0
    precision: Literal["float32", "int8"] = "float32"

    def __post_init__(self) -> None:
        if self.segments < 1 or self.iterations < 1 or self.coarse_iterations < 0:
            raise ValueError(
                f"segments={self.segments}, iterations={self.iterations}, coarse_iterations={self.coarse_iterations}: "
                "the first two must be at least 1, the last at least 0"
            )
        if self.assignment not in ("hard", "soft"):
            raise ValueError(f"assignment={self.assignment!r} is unknown; choose 'hard' or 'soft'")
        if self.precision not in ("float32", "int8"):
            raise ValueError(f"precision={self.precision!r} is unknown; choose 'float32' or 'int8'")
        if self.location_weight < 0 or self.kappa <= 0:
            raise ValueError(
                f"location_weight={self.location_weight}, kappa={self.kappa}: "
                "location_weight must not be negative and kappa must be positive"
            )


class SortedPixels(NamedTuple, Generic[Array]):
    """Result of pixel sorting.

    labels: [B, h, w] int64, segment number of each pixel, 0..K-1, -1 where a pixel was left out.
    theta: [B, K, D+2] float32, means of the segments, zeros for empty segments.
    """

    labels: Array
    theta: Array


EM: TypeAlias = "Callable[[Tensor, Tensor, int, Tensor | None], tuple[Tensor, Tensor]]"


class Means(NamedTuple):
    """theta: [B, K, D] unit vectors, zeros for empty segments; sizes: [B, K], pixels of each, or sums of posteriors."""

    theta: Tensor
    sizes: Tensor


def sort_pixels(embeddings: Array, options: SortingOptions, valid: Array | None = None) -> SortedPixels[Array]:
    """Sort the pixels of each image into segments, starting from a grid.

    Args:
        embeddings: [B, D, h, w] unit vectors. No gradient flows through the result.
        options: number of segments, iterations, and how pixels are assigned.
        valid: [B, h, w] bool, False at padding and ignored pixels, which belong to no segment; None: all are valid.

    Returns:
        The segment number of each pixel and the means of the segments. Numbers of empty segments do not occur.

    Raises:
        ValueError: if `embeddings` is not 4-dimensional or `valid` has another shape.
    """
    _check_shapes(embeddings, valid)
    B, _, h, w = embeddings.shape
    with without_autocast(embeddings):  # cosines near 1 need float32
        features = sorting_features(as_float32(embeddings), options.location_weight)
        left_out = None if valid is None else ~valid.reshape(B, h * w)
        labels, theta = sort_features(features, (h, w), options, left_out)
    return SortedPixels(labels.reshape(B, h, w), theta)


def sort_features(
    features: Array, size: tuple[int, int], options: SortingOptions, left_out: Array | None = None
) -> tuple[Array, Array]:
    """Sort pixels whose location is already appended, starting from a grid.

    Args:
        features: [B, h*w, D+2] unit vectors, as of `sorting_features`.
        size: (h, w).
        options: number of segments, iterations, and how pixels are assigned.
        left_out: [B, h*w] bool, pixels that belong to no segment; None: all belong to one.

    Returns:
        Segment numbers [B, h*w] int64, -1 for pixels left out, and means [B, K, D+2].
    """
    if isinstance(features, np.ndarray):
        if options.assignment == "hard":
            return sort_hard(features, _grid(*size, options.segments), *_schedule(size, options), left_out)
        out = None if left_out is None else torch.from_numpy(left_out)
        labels, theta = sort_features(torch.from_numpy(features), size, options, out)
        return labels.numpy(), theta.numpy()
    grid = torch.from_numpy(_grid(*size, options.segments))
    if options.assignment == "hard":
        return sort_hard(features, grid, *_schedule(size, options), left_out)
    count, _, coarse_iterations, _ = _schedule(size, options)
    return sort_soft(features, grid, count, options.iterations, coarse_iterations, options.kappa, left_out)


def _schedule(size: tuple[int, int], options: SortingOptions) -> tuple[int, int, int, Literal["float32", "int8"]]:
    """K, at most one for each pixel, both numbers of iterations, and the precision, as `sort_hard` takes them."""
    count = min(options.segments, size[0] * size[1])
    return count, options.iterations, options.coarse_iterations, options.precision


@loops.on_cpu(loops.sorting_features)
def sorting_features(embeddings: Tensor, location_weight: float) -> Tensor:
    """Append the weighted location to embeddings, and normalise: [B, D, h, w] -> [B, h*w, D+2] unit vectors."""
    B, D, h, w = embeddings.shape
    location = location_features(h, w).to(embeddings) * location_weight
    joined = torch.cat([embeddings, location.expand(B, 2, h, w)], dim=1)
    return normalize(joined.flatten(2).transpose(1, 2).contiguous())


def location_features(height: int, width: int) -> Tensor:
    """(y, x) of each pixel's centre: [2, h, w]; the image's centre is 0, its longer half-side 1, in both directions."""
    half = max(height, width) / 2
    y, x = (torch.arange(length, device="cpu") + (0.5 - length / 2) for length in (height, width))
    return torch.stack(torch.meshgrid(y / half, x / half, indexing="ij"))


def grid_labels(height: int, width: int, segments: int) -> Tensor:
    """Grid cell of each pixel, in a regular grid of exactly `segments` cells: [h, w] int64.

    An image with fewer pixels has one cell for each pixel. Rows of the grid may hold different numbers of cells, so
    that any number of cells fits any aspect ratio.
    """
    return torch.from_numpy(_grid(height, width, segments).copy())


@lru_cache(maxsize=8)  # a service sees few sizes
def _grid(height: int, width: int, segments: int) -> np.ndarray:
    """`grid_labels` for callers that do not change the result."""
    segments = min(segments, height * width)
    rows = min(max(round((segments * height / width) ** 0.5), -(-segments // width), 1), height, segments)
    row = np.arange(height) * rows // height  # [h], row of the grid
    first = np.arange(rows + 1) * segments // rows  # [rows+1], first label of each row of the grid
    columns = np.diff(first)[row]  # [h], number of cells
    cell = np.arange(width)[None, :] * columns[:, None] // width
    cells: np.ndarray = first[row][:, None] + cell
    return cells


def m_step(features: Tensor, assigned: Tensor) -> Means:
    """M-step: the mean direction of each segment of a vMF mixture (paper, eq. 4).

    Sums are products with the membership matrix. Unlike atomic additions they are equal in every run.

    Args:
        features: [B, N, D] unit vectors.
        assigned: [B, N, K], how much of each pixel belongs to each segment: 0 or 1, or its posteriors.
    """
    return Means(normalize(assigned.transpose(1, 2) @ features), assigned.sum(dim=1))


def e_step(features: Tensor, means: Means, labels: Tensor) -> Tensor:
    """Hard E-step: assign each pixel to the mean of largest vMF density, which is the nearest (paper, section 3.1).

    All densities have the same kappa, so the largest cosine decides. A pixel stays where it is on a tie.

    Args:
        features: [B, N, D] unit vectors.
        means: of K segments; an empty one attracts no pixel.
        labels: [B, N] int64, segment number of each pixel before the step.

    Returns:
        [B, N] int64, segment number of each pixel after the step.
    """
    scores = cosines(features, means)
    best, nearest = scores.max(dim=2)
    own = scores.gather(2, labels[:, :, None])[:, :, 0]
    return torch.where(own == best, labels, nearest)


def soft_e_step(scores: Tensor, kappa: float) -> Tensor:
    """Soft E-step: posterior of each mean of a vMF mixture with equal weights and one kappa (paper, section 3.1).

    The normalising factor of the density is the same for all means and cancels.

    Args:
        scores: [B, N, K] cosines.
        kappa: concentration.

    Returns:
        [B, N, K], sums over K are 1.
    """
    return torch.softmax(kappa * scores, dim=2)


def cosines(features: Tensor, means: Means) -> Tensor:
    """Cosines of pixels [B, N, D] and means: [B, N, K]; -inf for an empty segment, so that it is never nearest."""
    bias = torch.where(means.sizes > 0, 0.0, float("-inf")).to(features)[:, None, :]
    return torch.baddbmm(bias, features, means.theta.transpose(1, 2))


# The body of `sort_hard` is the reference. On a CPU its compiled form runs.
@loops.on_cpu(loops.sort)
def sort_hard(
    features: Tensor,
    grid: Tensor,
    count: int,
    iterations: int,
    coarse_iterations: int = 0,
    precision: Literal["float32", "int8"] = "float32",
    left_out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Hard EM (spherical k-means) from starting labels.

    This code always runs all iterations, because a test whether pixels moved would synchronise the host with the GPU.
    The compiled form stops when no pixel moves. The result is the same: further steps would change nothing.

    Args:
        features: [B, h*w, D] unit vectors.
        grid: [h, w] int64, grid cell of each pixel, its starting label in every image, 0..count-1.
        count: K.
        iterations: E- and M-steps over all pixels.
        coarse_iterations: E- and M-steps over every second pixel of every second row, before the others.
        precision: used by the compiled form only.
        left_out: [B, h*w] bool, pixels that belong to no segment; None: all belong to one.

    Returns:
        Segment numbers [B, h*w] int64, -1 for pixels left out, and means [B, K, D].
    """

    def em(features: Tensor, labels: Tensor, iterations: int, left_out: Tensor | None) -> tuple[Tensor, Tensor]:
        means = m_step(features, _membership(features, labels, count, left_out))
        for _ in range(iterations):
            labels = e_step(features, means, labels)
            means = m_step(features, _membership(features, labels, count, left_out))
        return labels, means.theta

    return _coarse_to_fine(em, features, grid, iterations, coarse_iterations, left_out)


def sort_soft(
    features: Tensor,
    grid: Tensor,
    count: int,
    iterations: int,
    coarse_iterations: int,
    kappa: float,
    left_out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Soft EM from starting labels: each pixel contributes to all means, weighted by its posteriors.

    On a CPU it stops when the nearest mean of every pixel is the one before.

    Args:
        features: [B, h*w, D] unit vectors.
        grid: [h, w] int64, grid cell of each pixel, its starting label in every image, 0..count-1.
        count: K.
        iterations: maximum number of E- and M-steps over all pixels.
        coarse_iterations: maximum number over every second pixel of every second row, before the others.
        kappa: concentration of the vMF densities.
        left_out: [B, h*w] bool, pixels that belong to no segment; None: all belong to one.

    Returns:
        Number of the nearest mean of each pixel [B, h*w] int64, -1 for pixels left out, and means [B, K, D].
    """

    def em(features: Tensor, labels: Tensor, iterations: int, left_out: Tensor | None) -> tuple[Tensor, Tensor]:
        posteriors = _membership(features, labels, count, left_out)
        for step in range(iterations + 1):
            means = m_step(features, posteriors)
            scores = cosines(features, means)
            nearest = scores.argmax(dim=2)
            if step == iterations or (features.device.type == "cpu" and step and torch.equal(nearest, labels)):
                break
            labels, posteriors = nearest, soft_e_step(scores, kappa)
            if left_out is not None:
                posteriors = posteriors.masked_fill(left_out[:, :, None], 0)
        return nearest, means.theta

    return _coarse_to_fine(em, features, grid, iterations, coarse_iterations, left_out)


def _coarse_to_fine(
    em: EM, features: Tensor, grid: Tensor, iterations: int, coarse_iterations: int, left_out: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run EM over every second pixel of every second row, whose neighbours get its label, and then over all pixels.

    Args:
        em: of features [B, N, D], labels [B, N], a number of iterations and left_out [B, N] or None.
    """
    B, (h, w) = len(features), grid.shape
    labels = grid.to(features.device).expand(B, h, w)
    if coarse_iterations > 0:
        start, out = labels[:, ::2, ::2], None if left_out is None else left_out.reshape(B, h, w)[:, ::2, ::2]
        fewer = features.reshape(B, h, w, -1)[:, ::2, ::2].flatten(1, 2)
        found = em(fewer, start.flatten(1), coarse_iterations, None if out is None else out.flatten(1))[0]
        coarse = found.reshape(start.shape) if out is None else torch.where(out, start, found.reshape(start.shape))
        labels = coarse.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)[:, :h, :w]
    labels, theta = em(features, labels.flatten(1), iterations, left_out)
    return labels if left_out is None else labels.masked_fill(left_out, -1), theta


def _membership(features: Tensor, labels: Tensor, count: int, left_out: Tensor | None) -> Tensor:
    """1 where a pixel belongs to a segment, else 0: labels [B, N] -> [B, N, K] of the features' kind."""
    member = features.new_zeros(*labels.shape, count).scatter_(2, labels[:, :, None], 1)
    return member if left_out is None else member.masked_fill(left_out[:, :, None], 0)


def _check_shapes(embeddings: Array, valid: Array | None) -> None:
    if embeddings.ndim != 4 or 0 in embeddings.shape:
        raise ValueError(
            f"embeddings has shape {tuple(embeddings.shape)}; it must be [B, D, h, w] with no empty side: "
            "add a batch axis"
        )
    if valid is not None and valid.shape != (embeddings.shape[0], *embeddings.shape[2:]):
        raise ValueError(
            f"valid has shape {tuple(valid.shape)}; it must be [B, h, w] like embeddings {tuple(embeddings.shape)}"
        )
