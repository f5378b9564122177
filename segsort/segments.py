"""Segments of an image at its own resolution, from pixel embeddings.

`segment_image` consists of two steps. `outline_images` sorts the pixels at the network's stride, splits segments of
several classes if that is asked for, and then gives every pixel of the image a segment number. `merge_outlined` merges
small connected components into neighbours and computes the prototypes.

An embedding cell is one position of the embedding. A label is a segment number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from segsort import loops
from segsort.arrays import AnyArray, Array, as_float32, on_host, vectors_of_cells
from segsort.cells import cells_below, centres_of_cells
from segsort.pixel_sorting import SortingOptions, sort_features, sorting_features
from segsort.sphere import unit_rows
from segsort.splitting import Splitting, split

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    from segsort import lazy_torch as torch

_AT_ONCE = 1 << 20  # pixels whose outlines are found at once: 16 cosines each, and as many temporary values


class Segments(NamedTuple):
    """Segments that cover an image.

    labels: [H, W] int32, segment number of each pixel, 0..S-1.
    prototypes: [S, D] float32 unit vectors.
    areas: [S] int64, pixels of each segment.
    """

    labels: np.ndarray
    prototypes: np.ndarray
    areas: np.ndarray


class Outlined(NamedTuple):
    """Segments of an image before small connected components are merged.

    labels: [H, W] int32, segment number of each pixel.
    embeddings: [D, h, w] unit vectors.
    features: [h*w, D+2], the embeddings with their location appended, which were sorted.
    """

    labels: np.ndarray
    embeddings: AnyArray
    features: AnyArray


def segment_image(
    embeddings: AnyArray,
    size: tuple[int, int],
    options: SortingOptions,
    min_area: float,
    splitting: Splitting | None = None,
) -> Segments:
    """Sort one image's pixels, and outline its segments at the image's own resolution.

    EM runs at the network's stride. Then each pixel of the image is assigned to the nearest of the segments of the four
    embedding cells around it, by embeddings interpolated to its position.

    Args:
        embeddings: [D, h, w] unit vectors.
        size: (H, W) of the answer, in pixels.
        options: how pixels are sorted.
        min_area: a connected component smaller than this share of the image is merged: see `merge_small`.
        splitting: how segments of several classes are split; None: not at all.

    Raises:
        ValueError: if `embeddings` is not [D, h, w] or not finite, or `size` is not positive.
    """
    if embeddings.ndim != 3:
        raise ValueError(f"embeddings has shape {tuple(embeddings.shape)}; it must be [D, h, w]: pass one image")
    return merge_outlined(outline_images(embeddings[None], [size], options, splitting)[0], min_area)


def outline_images(
    embeddings: AnyArray,
    sizes: Sequence[tuple[int, int]],
    options: SortingOptions,
    splitting: Splitting | None = None,
) -> list[Outlined]:
    """Sort the pixels of several images and outline their segments, the first part of `segment_image`.

    On a GPU, only the segment numbers are copied to the host.

    Args:
        embeddings: [B, D, h, w] unit vectors.
        sizes: (H, W) of each answer, in pixels.
        options: how pixels are sorted.
        splitting: how segments of several classes are split; None: not at all.

    Raises:
        ValueError: if there is not one positive size for each image.
    """
    if embeddings.ndim != 4 or len(sizes) != len(embeddings) or min(min(size) for size in sizes) < 1:
        raise ValueError(
            f"embeddings has shape {tuple(embeddings.shape)}, the sizes are {list(sizes)}; they must be [B, D, h, w] "
            "and (H, W) with H, W >= 1 for each of the B images"
        )
    cells = (embeddings.shape[2], embeddings.shape[3])
    features = sorting_features(as_float32(cast("Tensor", embeddings)), options.location_weight)  # or an array
    assigned, theta = sort_features(features, cells, options)
    found = []
    for b, size in enumerate(sizes):
        kept = (assigned[b], theta[b])
        if splitting is not None:  # a GPU has to say how many parts there are
            kept = _split(features[b], assigned[b], len(theta[b]), splitting)
        found.append(outline(features[b], kept[1], kept[0].reshape(cells), size))
    # without splitting, the host does not synchronise with a GPU up to here
    return [
        Outlined(on_host(labels).astype(np.int32, copy=False), embeddings[b], features[b])
        for b, labels in enumerate(found)
    ]


def _split(features: Array, labels: Array, segments: int, splitting: Splitting) -> tuple[Array, Array]:
    """`split` for arrays or tensors."""
    weights, offsets = splitting.directions
    if isinstance(features, np.ndarray):
        return split(features, labels, segments, weights, offsets, splitting.least)
    return split(features, labels, segments, torch.from_numpy(weights), torch.from_numpy(offsets), splitting.least)


def merge_outlined(outlined: Outlined, min_area: float) -> Segments:
    """Merge small connected components and compute the prototypes, the second part of `segment_image`.

    It changes the labels of `outlined`, which must not be used again.

    Args:
        outlined: of one image.
        min_area: components smaller than this share of the image are merged: see `merge_small`.

    Raises:
        ValueError: if the embeddings are not finite.
    """
    labels, areas = loops.merge_small(outlined.labels, max(min_area * outlined.labels.size, 1), numbered=True)
    embeddings, features = cast("tuple[Tensor, Tensor]", (outlined.embeddings, outlined.features))  # or two arrays
    directions = prototypes(embeddings, features, labels, len(areas))
    if not np.isfinite(directions).all():
        raise ValueError("the embeddings of this image are not finite; check the network")
    return Segments(labels, directions, areas)


@loops.on_cpu(loops.outline_labels)
def outline(features: Tensor, theta: Tensor, cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Assign every pixel of the image to the nearest of the segments of the four embedding cells around it.

    The unit vectors of the four cells are interpolated bilinearly. A cosine is linear in them, up to a positive length
    that is the same for all segments. Therefore cosines are interpolated instead.

    Args:
        features: [h*w, D] unit vectors of the embedding cells, with location.
        theta: [K, D] means of the segments.
        cells: [h, w] int64, segment number of each embedding cell.
        size: (H, W) of the image, in pixels.

    Returns:
        [H, W] segment number of each pixel, int16 if all numbers fit, else int32.
    """
    (h, w), (H, W) = cells.shape, size
    near = _quads(torch.arange(h * w, device=cells.device).reshape(h, w))  # [h, w, 4] the four cells
    candidates = _quads(cells)  # [h, w, 4] their segments
    scores = features @ theta.T  # [h*w, K]
    corners = scores[near[:, :, None, :], candidates[:, :, :, None]]  # [h, w, 4 candidates, 4 cells]
    above, down = _places(H, h, cells.device)
    left, along = _places(W, w, cells.device)
    kind = torch.int16 if len(theta) <= torch.iinfo(torch.int16).max else torch.int32
    labels = torch.empty(size, dtype=kind, device=cells.device)
    for rows in _bands(H, W):
        quad = (above[rows, None], left[None, :])
        c, u, v = corners[quad], along[None, :, None], down[rows, None, None]  # c [R, W, 4, 4]
        upper = c[..., 0] + u * (c[..., 1] - c[..., 0])
        lower = c[..., 2] + u * (c[..., 3] - c[..., 2])
        best = (upper + v * (lower - upper)).argmax(dim=2, keepdim=True)
        labels[rows] = candidates[quad].gather(2, best)[:, :, 0].to(kind)
    return labels


def _quads(cells: Tensor) -> Tensor:
    """Each value with its neighbours to the right, below and diagonal: [h, w] -> [h, w, 4]; the border is repeated."""
    h, w = cells.shape
    y = torch.arange(1, h + 1, device=cells.device).clamp(max=h - 1)
    x = torch.arange(1, w + 1, device=cells.device).clamp(max=w - 1)
    return torch.stack([cells, cells[:, x], cells[y], cells[y][:, x]], dim=2)


def _places(length: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Position of each of `length` pixel centres between `cells` cell centres along a side.

    Returns:
        The cell before each pixel [length] int64, and the share of the way to the next cell [length] float32, 0..1.
    """
    at = (torch.arange(length, dtype=torch.float64, device=device) + 0.5) * cells / length - 0.5
    at = at.clamp(0, cells - 1)
    before = at.long()
    return before, (at - before).float()


def _bands(height: int, width: int) -> Iterator[slice]:
    """Rows of an image in bands of at most `_AT_ONCE` pixels, or one row."""
    rows = max(1, _AT_ONCE // width)
    for first in range(0, height, rows):
        yield slice(first, first + rows)


@loops.on_cpu(loops.prototypes, gives_tensors=False)
def prototypes(embeddings: Tensor, features: Tensor, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean direction of the embeddings that each segment covers.

    An embedding cell belongs to the segment at its centre. A segment too thin to cover the centre of a cell takes the
    cells below its pixels instead, once for each pixel. On a GPU, only the sums are copied to the host.

    Args:
        embeddings: [D, h, w] unit vectors.
        features: [h*w, D+2], the embeddings with any location appended; used by the compiled form only.
        labels: [H, W] int32 segment number of each pixel, 0..count-1; -1: none.
        count: S.

    Returns:
        [S, D] float32 unit vectors.
    """
    (D, h, w), (H, W), device = embeddings.shape, labels.shape, embeddings.device
    centres = labels[
        centres_of_cells(h, H)[:, None], centres_of_cells(w, W)
    ].ravel()  # [h*w] segment number of each cell
    thin = np.setdiff1d(np.arange(count), centres).tolist()
    below = [cells_below(labels, segment, (h, w)) for segment in thin]
    cell = np.concatenate([np.arange(h * w), *below])
    segment = np.concatenate([centres, np.repeat(thin, [len(cells) for cells in below])]).astype(np.int64)
    groups = torch.from_numpy(np.where(segment < 0, count, segment)).to(device)  # the last group takes what is in none
    rows = embeddings.flatten(1).T[torch.from_numpy(cell).to(device)].double()
    sums = rows.new_zeros(count + 1, D).index_add_(0, groups, rows)
    return unit_rows(on_host(sums[:count]))


def prototypes_of_labels(embeddings: AnyArray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean direction of the embeddings that each segment covers, where no location was appended yet.

    Args:
        embeddings: [D, h, w] unit vectors.
        labels: [H, W] int32 segment number of each pixel, 0..count-1; -1: none.
        count: S.

    Returns:
        [S, D] float32 unit vectors, as of `prototypes`.
    """
    of_one_kind = cast("Tensor", embeddings)  # or an array
    features = sorting_features(as_float32(of_one_kind)[None], 0)
    return prototypes(of_one_kind, features[0], labels, count)


def prototypes_in_window(
    embeddings: AnyArray, labels: np.ndarray, corner: tuple[int, int], size: tuple[int, int], count: int
) -> np.ndarray:
    """Mean directions of the embeddings below segments in a part of an image, as of `prototypes`.

    Args:
        embeddings: [D, h, w] unit vectors of the whole image.
        labels: [H', W'] int, segment number of each pixel of the part, 0..count-1; negative: none.
        corner: row and column of the part in the image.
        size: (H, W) of the image.
        count: S; each has a pixel.

    Returns:
        [S, D] float32 unit vectors.
    """
    _, h, w = embeddings.shape
    rows, columns = (
        centres_of_cells(cells, pixels) - start for cells, pixels, start in zip((h, w), size, corner, strict=True)
    )
    inside = [
        np.flatnonzero((at >= 0) & (at < length)) for at, length in zip((rows, columns), labels.shape, strict=True)
    ]
    centres = labels[rows[inside[0]]][:, columns[inside[1]]].ravel().astype(np.int64)
    cell = (inside[0][:, None] * w + inside[1]).ravel()
    for segment in np.setdiff1d(np.arange(count), centres).tolist():
        y, x = np.nonzero(labels == segment)
        below = ((y + corner[0]) * h // size[0]) * w + (x + corner[1]) * w // size[1]
        cell, centres = np.append(cell, below), np.append(centres, np.full(len(below), segment))
    cell, centres = cell[centres >= 0], centres[centres >= 0]
    sums = np.zeros((count, len(embeddings)))
    np.add.at(sums, centres, vectors_of_cells(embeddings, cell))
    return unit_rows(sums)


def merge_small(labels: np.ndarray, min_pixels: float) -> np.ndarray:
    """Merge each connected component of fewer than `min_pixels` pixels into its best neighbour.

    A neighbour of at least `min_pixels` pixels is better than a smaller one. Among those, the neighbour with the
    longest common border is best. Components are connected by the sides of pixels.

    Args:
        labels: [H, W] int32 segment numbers, non-negative, H, W >= 1.
        min_pixels: the smallest component that stays. The largest component of the image always stays.

    Returns:
        [H, W] int32, a copy of `labels`. A merged component has the number of the component that it was merged into.

    Raises:
        ValueError: if there are no labels, or negative ones.
    """
    if labels.size == 0 or labels.min() < 0:
        raise ValueError(
            f"labels have shape {labels.shape} and begin at {labels.min(initial=0)}; give at least one pixel, and "
            "number the segments from 0 on"
        )
    return loops.merge_small(labels, min_pixels)[0]
