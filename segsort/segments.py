"""Segments of an image at its own resolution, from pixel embeddings, and labelled segments from a mask.

`segment_image` consists of two steps. `outline_images` sorts the pixels at the network's stride, and then gives every
pixel of the image a segment number. `merge_outlined` merges small connected components into neighbours and computes the
prototypes. `split_by_label` splits segments along the classes of a mask.

An embedding cell is one position of the embedding. A label is a segment number, except in a mask, where it is a class.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segsort import loops
from segsort.cells import cells_below, centres_of_cells
from segsort.masks import bounding_boxes
from segsort.pixel_sorting import SortingOptions, sort_features, sorting_features
from segsort.sphere import unit_rows

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


class LabelledSegments(NamedTuple):
    """Segments split by class: each part holds the pixels of one segment that have one class.

    labels: [H, W] int32, part number of each pixel, -1 where a pixel is ignored or its part is too small.
    prototypes: [S, D] float32 unit vectors.
    class_ids: [S] int64.
    areas: [S] int64, pixels of each part.
    bboxes: [S, 4] int32, (x, y, width, height).
    """

    labels: np.ndarray
    prototypes: np.ndarray
    class_ids: np.ndarray
    areas: np.ndarray
    bboxes: np.ndarray


class Outlined(NamedTuple):
    """Segments of an image before small connected components are merged.

    labels: [H, W] int32, segment number of each pixel.
    embeddings: [D, h, w] unit vectors.
    features: [h*w, D+2], the embeddings with their location appended, which were sorted.
    """

    labels: np.ndarray
    embeddings: Tensor
    features: Tensor


def segment_image(embeddings: Tensor, size: tuple[int, int], options: SortingOptions, min_area: float) -> Segments:
    """Sort one image's pixels, and outline its segments at the image's own resolution.

    EM runs at the network's stride. Then each pixel of the image is assigned to the nearest of the segments of the four
    embedding cells around it, by embeddings interpolated to its position.

    Args:
        embeddings: [D, h, w] unit vectors.
        size: (H, W) of the answer, in pixels.
        options: how pixels are sorted.
        min_area: a connected component smaller than this share of the image is merged: see `merge_small`.

    Raises:
        ValueError: if `embeddings` is not [D, h, w] or not finite, or `size` is not positive.
    """
    if embeddings.dim() != 3:
        raise ValueError(f"embeddings has shape {tuple(embeddings.shape)}; it must be [D, h, w]: pass one image")
    return merge_outlined(outline_images(embeddings[None], [size], options)[0], min_area)


def outline_images(embeddings: Tensor, sizes: Sequence[tuple[int, int]], options: SortingOptions) -> list[Outlined]:
    """Sort the pixels of several images and outline their segments, the first part of `segment_image`.

    On a GPU, only the segment numbers are copied to the host.

    Args:
        embeddings: [B, D, h, w] unit vectors.
        sizes: (H, W) of each answer, in pixels.
        options: how pixels are sorted.

    Raises:
        ValueError: if there is not one positive size for each image.
    """
    if embeddings.dim() != 4 or len(sizes) != len(embeddings) or min(min(size) for size in sizes) < 1:
        raise ValueError(
            f"embeddings has shape {tuple(embeddings.shape)}, the sizes are {list(sizes)}; they must be [B, D, h, w] "
            "and (H, W) with H, W >= 1 for each of the B images"
        )
    cells = (embeddings.shape[2], embeddings.shape[3])
    with torch.no_grad():
        features = sorting_features(embeddings.float(), options.location_weight)
        assigned, theta = sort_features(features, cells, options)
        found = [outline(features[b], theta[b], assigned[b].reshape(cells), size) for b, size in enumerate(sizes)]
        # up to here, the host does not synchronise with a GPU
        return [
            Outlined(labels.cpu().numpy().astype(np.int32, copy=False), embeddings[b], features[b])
            for b, labels in enumerate(found)
        ]


def merge_outlined(outlined: Outlined, min_area: float) -> Segments:
    """Merge small connected components and compute the prototypes, the second part of `segment_image`.

    It changes the labels of `outlined`, which must not be used again.

    Args:
        outlined: of one image.
        min_area: components smaller than this share of the image are merged: see `merge_small`.

    Raises:
        ValueError: if the embeddings are not finite.
    """
    with torch.no_grad():
        labels, areas = loops.merge_small(outlined.labels, max(min_area * outlined.labels.size, 1), numbered=True)
        directions = prototypes(outlined.embeddings, outlined.features, labels, len(areas))
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


@loops.on_cpu(loops.prototypes)
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
    return unit_rows(sums[:count].cpu().numpy())


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


def check_mask_size(segments: Segments, mask: np.ndarray) -> None:
    """Refuse a mask [h, w] of another size than the segments of its image.

    Raises:
        ValueError: if the sizes differ.
    """
    if mask.shape != segments.labels.shape:
        raise ValueError(
            f"mask has size {mask.shape}, the image's segments have {segments.labels.shape}; "
            "pass a mask of the same height and width as the image"
        )


def split_by_label(
    segments: Segments, embeddings: Tensor, mask: np.ndarray, ignore: int, min_area: float, min_share: float = 0.0
) -> LabelledSegments:
    """Split segments along a mask of classes: each part holds the pixels of one segment that have one class.

    Args:
        segments: of the image.
        embeddings: [D, h, w] unit vectors of the image.
        mask: [H, W] int, class id of each pixel, in the size of `segments.labels`.
        ignore: value of `mask` that is no class.
        min_area: parts smaller than this share of the labelled pixels are left out. In a sparse mask, whose labels are
            thin strokes, parts of a few pixels stay.
        min_share: parts with less than this share of the labelled pixels of their segment are left out, except for the
            largest part of each class. They show where a segment crosses a border rather than what their class is like.
            In a sparse mask, which labels less than half of the image, every part was marked on purpose and stays.

    Raises:
        ValueError: if the mask has another size than the segments.
    """
    check_mask_size(segments, mask)
    classed = mask != ignore
    classes = int(mask.max(initial=0, where=classed)) + 1
    key = segments.labels.astype(np.int64) * classes + np.where(classed, mask, 0)
    pairs = np.arange(len(segments.areas) * classes) if len(segments.areas) * classes <= 4 * mask.size else None
    if pairs is None:  # class ids are large and few occur
        pairs, key = np.unique(key, return_inverse=True)
    areas = np.bincount(key[classed], minlength=len(pairs))
    kept = (areas > 0) & (areas >= min_area * int(classed.sum()))
    if min_share > 0 and 2 * int(classed.sum()) >= mask.size:
        kept &= _has_share(areas, pairs // classes, pairs % classes, min_share)
    row = np.where(kept, np.cumsum(kept) - 1, -1)
    labels, values = np.where(classed, row[key], -1).astype(np.int32), np.flatnonzero(kept)
    count = len(values)
    return LabelledSegments(
        labels=labels,
        prototypes=prototypes(embeddings, sorting_features(embeddings[None].float(), 0)[0], labels, count),
        class_ids=pairs[values] % classes,
        areas=areas[values],
        bboxes=bounding_boxes(labels, count),
    )


def _has_share(areas: np.ndarray, segments: np.ndarray, class_ids: np.ndarray, share: float) -> np.ndarray:
    """Whether each part has a share of the area of its segment or is the largest part of its class: [P] bool."""
    _, segment = np.unique(segments, return_inverse=True)
    found = np.asarray(areas >= share * np.bincount(segment, areas)[segment])
    by_class = np.lexsort((-areas, class_ids))  # within a class, the largest part first
    _, first = np.unique(class_ids[by_class], return_index=True)
    found[by_class[first]] = True
    return found
