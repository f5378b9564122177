"""Pixel sorting: EM of a mixture of von Mises-Fisher densities over the pixels of each image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from segsort.loops import kmeans as kernels
from segsort.loops import kmeans_bytes as byte_kernels
from segsort.loops import on_device, threads
from segsort.sphere import normalize

ROWS_A_THREAD = 1500  # pixels below which a thread more costs more than it saves


@dataclass(frozen=True)
class SortingOptions:
    """How pixels are sorted.

    Attributes:
        segments: K, the number of cells of the starting grid; sorting ends with at most K segments an image.
        iterations: E- and M-steps at most; sorting stops before when no pixel moves.
        location_weight: length of the location feature half an image away from the centre, beside a unit embedding.
        assignment: "hard" is spherical k-means; "soft" weighs every mean by its posterior.
        kappa: concentration of the vMF densities, used by soft assignment alone.
        coarse_iterations: iterations at most before the others, over every second pixel of every second row alone: a
            quarter of the work, and means that are nearly there when all pixels join. The paper has none.
        precision: in which hard assignment compares pixels with means on a CPU. "int8" is four times as fast where the
            processor multiplies bytes (AVX-512 VNNI): what changes are assignments between means that are all but
            equally near. Elsewhere, and on a GPU, "int8" is float32 too. Means are always taken of float32.
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
            raise ValueError(f"assignment={self.assignment!r} is not known; choose 'hard' or 'soft'")
        if self.precision not in ("float32", "int8"):
            raise ValueError(f"precision={self.precision!r} is not known; choose 'float32' or 'int8'")
        if self.location_weight < 0 or self.kappa <= 0:
            raise ValueError(
                f"location_weight={self.location_weight}, kappa={self.kappa}: "
                "location_weight must not be negative and kappa must be positive"
            )


class SortedPixels(NamedTuple):
    """labels: [B, h, w] int64, -1 where a pixel was left out; theta: [B, K, D+2] means, zeros for empty segments."""

    labels: Tensor
    theta: Tensor


def grid_labels(height: int, width: int, segments: int) -> Tensor:
    """Cells of a regular grid with exactly `segments` cells (fewer if the image has fewer pixels): [h, w] int64.

    The rows of the grid need not hold equally many cells, so that any number of cells fits any aspect ratio.
    """
    return _grid(height, width, segments).clone()


@lru_cache(maxsize=8)  # images of a service are of few sizes
def _grid(height: int, width: int, segments: int) -> Tensor:
    """The same, for whoever does not change it."""
    segments = min(segments, height * width)
    rows = min(max(round((segments * height / width) ** 0.5), -(-segments // width), 1), height, segments)
    row = np.arange(height) * rows // height  # [h]
    first = np.arange(rows + 1) * segments // rows  # first label of each grid row
    columns = np.diff(first)[row]  # [h], cells in the grid row of each pixel row
    cell = np.arange(width)[None, :] * columns[:, None] // width
    return torch.from_numpy((first[row][:, None] + cell).astype(np.int64))


def location_features(height: int, width: int) -> Tensor:
    """(y, x) of each pixel's centre: [2, h, w]; the image's centre is 0, its longer half-side 1, in both directions."""
    y, x = (torch.from_numpy(centres) for centres in _centres(height, width, 1.0))
    return torch.stack(torch.meshgrid(y, x, indexing="ij"))


@lru_cache(maxsize=8)
def _centres(height: int, width: int, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """y of each row and x of each column, weighted, float32: for whoever does not change them."""
    half = np.float32(max(height, width) / 2)
    y, x = (np.arange(length, dtype=np.float32) + np.float32(0.5 - length / 2) for length in (height, width))
    return y / half * np.float32(weight), x / half * np.float32(weight)


def sorting_features(embeddings: Tensor, location_weight: float) -> Tensor:
    """Embeddings with weighted location appended, as unit vectors: [B, D, h, w] -> [B, h*w, D+2]."""
    B, D, h, w = embeddings.shape
    if on_device.compiled(embeddings) and embeddings.dtype == torch.float32 and not embeddings.requires_grad:
        return _stacked([_with_location(one, location_weight) for one in embeddings])
    location = location_features(h, w).to(embeddings) * location_weight
    joined = torch.cat([embeddings, location.expand(B, 2, h, w)], dim=1)
    return normalize(joined.flatten(2).transpose(1, 2).contiguous())


def _stacked(tensors: list[Tensor]) -> Tensor:
    """As torch.stack; a single one is not copied."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)


def _with_location(embeddings: Tensor, location_weight: float) -> Tensor:
    """The same for one image: [D, h, w] -> [h*w, D+2]."""
    D, h, w = embeddings.shape
    planes, (down, along) = np.ascontiguousarray(embeddings.numpy()).reshape(D, h * w), _centres(h, w, location_weight)
    rows, counters = np.empty((h * w, D + 2), dtype=np.float32), threads.counters(1)

    def turn(number: int) -> None:
        kernels.sorting_rows(planes, down, along, rows, counters)

    threads.together(turn, threads.useful(h * w, ROWS_A_THREAD))
    return torch.from_numpy(rows)


def sort_pixels(embeddings: Tensor, options: SortingOptions, valid: Tensor | None = None) -> SortedPixels:
    """Sort the pixels of each image into segments, starting from a grid (paper, section 3.1).

    Args:
        embeddings: [B, D, h, w] unit vectors. No gradient flows through the result.
        options: number of segments, iterations, and how pixels are assigned.
        valid: [B, h, w] bool, False at padding and ignored pixels, which are never clustered; None: all are valid.

    Returns:
        The segment of each pixel and the means of the segments. Labels of empty segments simply do not occur.

    Raises:
        ValueError: if `embeddings` is not 4-dimensional or `valid` has another shape.
    """
    _check_shapes(embeddings, valid)
    B, _, h, w = embeddings.shape
    with torch.no_grad(), torch.autocast(embeddings.device.type, enabled=False):  # cosines near 1 need float32
        features = sorting_features(embeddings.detach().float(), options.location_weight)
        left_out = None if valid is None else ~valid.reshape(B, h * w)
        labels, theta = sort_features(features, (h, w), options, left_out)
    return SortedPixels(labels.reshape(B, h, w), theta)


def sort_features(
    features: Tensor, size: tuple[int, int], options: SortingOptions, left_out: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As `sort_pixels`, of what `sorting_features` gave: features [B, h*w, D+2], size (h, w), left_out [B, h*w] bool.

    Returns:
        Labels [B, h*w] int64 and means [B, K, D+2].
    """
    grid, count = _grid(*size, options.segments), min(options.segments, size[0] * size[1])
    if on_device.compiled(features) and options.assignment == "hard":
        found = [
            _sort_on_cpu(
                features[b].numpy(), grid.numpy(), None if left_out is None else left_out[b].numpy(), count, options
            )
            for b in range(len(features))
        ]
        return _stacked([torch.from_numpy(z) for z, _ in found]), _stacked([torch.from_numpy(t) for _, t in found])
    labels = grid.to(features.device).expand(len(features), *size)
    if options.coarse_iterations > 0:
        labels = _sort_coarsely(features, labels, left_out, count, options)
    labels, theta = _sort(features, labels.flatten(1), left_out, count, options)
    return labels if left_out is None else labels.masked_fill(left_out, -1), theta


def _sort_coarsely(
    features: Tensor, labels: Tensor, left_out: Tensor | None, count: int, options: SortingOptions
) -> Tensor:
    """Sort every second pixel of every second row; its neighbours follow it. labels [B, h, w] -> [B, h, w].

    Hard assignment comes here on a device alone; `_sort_on_cpu` does the same.
    """
    B, h, w = labels.shape
    fewer = features.reshape(B, h, w, -1)[:, ::2, ::2].flatten(1, 2)
    start, out = labels[:, ::2, ::2], None if left_out is None else left_out.reshape(B, h, w)[:, ::2, ::2].flatten(1)
    once = replace(options, iterations=options.coarse_iterations)
    found = _sort(fewer, start.flatten(1), out, count, once)[0].reshape(start.shape)
    if out is not None:
        found = torch.where(out.reshape(start.shape), start, found)
    return found.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)[:, :h, :w]


def _sort(
    features: Tensor, labels: Tensor, left_out: Tensor | None, count: int, options: SortingOptions
) -> tuple[Tensor, Tensor]:
    """EM from starting labels: features [B, N, D], labels [B, N] -> labels [B, N], theta [B, count, D].

    Hard assignment comes here on a device alone.
    """
    if options.assignment == "hard":
        return on_device.sort_hard(features, labels, left_out, count, options.iterations)
    return _sort_soft(features, labels, left_out, count, options)


def _check_shapes(embeddings: Tensor, valid: Tensor | None) -> None:
    if embeddings.dim() != 4 or 0 in embeddings.shape:
        raise ValueError(
            f"embeddings has shape {tuple(embeddings.shape)}; it must be [B, D, h, w] with no empty side: "
            "add a batch axis"
        )
    if valid is not None and valid.shape != (embeddings.shape[0], *embeddings.shape[2:]):
        raise ValueError(
            f"valid has shape {tuple(valid.shape)}; it must be [B, h, w] like embeddings {tuple(embeddings.shape)}"
        )


def _sort_on_cpu(
    features: np.ndarray, grid: np.ndarray, left_out: np.ndarray | None, count: int, options: SortingOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Spherical k-means of one image: features [N, D], grid [h, w], left_out [N] -> labels [N], theta [count, D].

    In numpy alone: torch's operations would wake its threads, which stay awake and in the way.
    """
    labels = grid
    if options.coarse_iterations > 0:  # as _sort_coarsely
        (h, w), start = grid.shape, grid[::2, ::2]
        fewer = np.ascontiguousarray(features.reshape(h, w, -1)[::2, ::2]).reshape(start.size, -1)
        out = None if left_out is None else left_out.reshape(h, w)[::2, ::2]
        some = None if out is None else out.ravel()
        found = _sort_rows(fewer, start.flatten(), some, count, options.coarse_iterations, options.precision)[0]
        coarse = found.reshape(start.shape) if out is None else np.where(out, start, found.reshape(start.shape))
        labels = coarse.repeat(2, axis=1).repeat(2, axis=0)[:h, :w]
    return _sort_rows(features, labels.flatten(), left_out, count, options.iterations, options.precision)


def _sort_rows(
    features: np.ndarray,
    labels: np.ndarray,
    left_out: np.ndarray | None,
    count: int,
    iterations: int,
    precision: Literal["float32", "int8"],
) -> tuple[np.ndarray, np.ndarray]:
    """The same from starting labels [N], which may be changed, by correcting the sums by the rows that moved. It stops
    when none did.
    """
    kept = None if left_out is None else np.flatnonzero(~left_out)
    rows, moving = (features, labels) if kept is None else (features[kept], labels[kept])
    columns = np.empty((rows.shape[1], count), dtype=np.float32)
    if precision == "int8" and byte_kernels.supported():
        _sort_bytes(rows, moving, columns, iterations)
    else:
        _sort_floats(rows, moving, columns, iterations)
    theta = np.ascontiguousarray(columns.T)
    if kept is None:
        return moving, theta
    everywhere = np.full(len(features), -1, dtype=np.int64)
    everywhere[kept] = moving
    return everywhere, theta


def _sort_floats(rows: np.ndarray, labels: np.ndarray, theta: np.ndarray, iterations: int) -> None:
    """Rows [N, D] from labels [N], which change; theta [D, K]: room for the means."""
    without = np.empty(theta.shape[1], dtype=np.bool_)

    def sort(sums: np.ndarray, sizes: np.ndarray, counters: np.ndarray, number: int) -> None:
        kernels.sort_rows(rows, labels, theta, sums, sizes, without, iterations, counters, number)

    _share(sort, rows, theta, iterations)


def _sort_bytes(rows: np.ndarray, labels: np.ndarray, theta: np.ndarray, iterations: int) -> None:
    """The same in eight bits."""
    N, K, depth = len(rows), theta.shape[1], byte_kernels.words(rows.shape[1])
    means = -(-K // byte_kernels.MEANS) * byte_kernels.MEANS
    packed = np.empty((-(-N // byte_kernels.ROWS), depth, byte_kernels.ROWS), dtype=np.int32)
    packed_theta, bias = np.zeros((means, 4 * depth), dtype=np.int8), np.empty(means, dtype=np.int32)
    scale = np.empty(1, dtype=np.float32)

    def sort(sums: np.ndarray, sizes: np.ndarray, counters: np.ndarray, number: int) -> None:
        byte_kernels.sort_rows(
            rows, labels, theta, sums, sizes, packed, packed_theta, bias, scale, iterations, counters, number
        )

    _share(sort, rows, theta, iterations)


def _share(
    sort: Callable[[np.ndarray, np.ndarray, np.ndarray, int], None],
    rows: np.ndarray,
    theta: np.ndarray,
    iterations: int,
) -> None:
    """Run `sort` in as many threads as the rows are worth, with the sums, sizes and counters that they share."""
    (N, D), K = rows.shape, theta.shape[1]
    several = threads.useful(N, ROWS_A_THREAD)
    sums, sizes = np.zeros((several, K, D)), np.zeros((several, K), dtype=np.int64)
    counters = threads.counters(kernels.FIRST + 2 * iterations)

    def work(number: int) -> None:
        try:
            sort(sums, sizes, counters, number)
        except BaseException:  # the others wait for nobody who has failed
            kernels.leave(counters, iterations)
            raise

    threads.together(work, several)


def _sort_soft(
    features: Tensor, labels: Tensor, left_out: Tensor | None, count: int, options: SortingOptions
) -> tuple[Tensor, Tensor]:
    """EM with posteriors instead of hard assignments; shapes as in `_sort`."""
    posterior = one_hot(labels, count).to(features)  # [B, N, K]
    for step in range(options.iterations + 1):
        if left_out is not None:
            posterior = posterior.masked_fill(left_out[:, :, None], 0)
        theta = normalize(posterior.transpose(1, 2) @ features)
        cosines = on_device.cosines(features, theta, posterior.sum(dim=1))
        nearest = cosines.argmax(dim=2)
        if step == options.iterations or (on_device.compiled(features) and step and torch.equal(nearest, labels)):
            break
        labels, posterior = nearest, torch.softmax(options.kappa * cosines, dim=2)
    return nearest, theta
