"""From pixel embeddings to segments at an image's own resolution, and to labelled segments where a mask is known."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segsort.loops import kmeans as kernels
from segsort.loops import on_device, threads
from segsort.loops import pieces as run_kernels
from segsort.masks import bounding_boxes
from segsort.pixel_sorting import ROWS_A_THREAD, SortingOptions, sort_features, sorting_features
from segsort.sphere import unit_rows

PIXELS_A_THREAD = 50_000  # of an answer, below which a thread more costs more than it saves


class Segments(NamedTuple):
    """labels: [H, W] int32, 0..S-1, tiling the image; prototypes: [S, D] float32 unit; areas: [S] int64, pixels."""

    labels: np.ndarray
    prototypes: np.ndarray
    areas: np.ndarray


class LabelledSegments(NamedTuple):
    """Pieces of segments that lie in one class each.

    labels: [H, W] int32, -1 where a pixel is ignored or its piece too small; prototypes: [S, D] float32 unit vectors;
    class_ids: [S] int64; areas: [S] int64, pixels; bboxes: [S, 4] int32, (x, y, width, height).
    """

    labels: np.ndarray
    prototypes: np.ndarray
    class_ids: np.ndarray
    areas: np.ndarray
    bboxes: np.ndarray


class Outlined(NamedTuple):
    """An image's pixels sorted, before its pieces are joined.

    labels: [H, W] int32, segments; embeddings: [D, h, w] unit vectors; features: [h*w, D+2], what was sorted.
    """

    labels: np.ndarray
    embeddings: Tensor
    features: Tensor


def segment_image(embeddings: Tensor, size: tuple[int, int], options: SortingOptions, min_area: float) -> Segments:
    """Sort one image's pixels and give its segments crisp outlines at the image's own resolution.

    EM runs at the network's stride. Pixels between cells of different segments are then assigned once more, by
    embeddings interpolated to their position, among the segments of the four cells around them.

    Args:
        embeddings: [D, h, w] unit vectors.
        size: (H, W) of the answer, in pixels.
        options: how pixels are sorted.
        min_area: a connected piece smaller than this share of the image joins the neighbour with the longest border.

    Raises:
        ValueError: if `embeddings` is not [D, h, w] or `size` is not positive.
    """
    if embeddings.dim() != 3:
        raise ValueError(f"embeddings has shape {tuple(embeddings.shape)}; it must be [D, h, w]: pass one image")
    return join_pieces(outline_images(embeddings[None], [size], options)[0], min_area)


def outline_images(embeddings: Tensor, sizes: Sequence[tuple[int, int]], options: SortingOptions) -> list[Outlined]:
    """The first part of `segment_image`, of several images at once: on a device, its labels alone come down.

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
        found = [_outline(assigned[b].reshape(cells), features[b], theta[b], size) for b, size in enumerate(sizes)]
        # on a device nothing is waited for, until now
        return [
            Outlined(labels.cpu().numpy().astype(np.int32, copy=False), embeddings[b], features[b])
            for b, labels in enumerate(found)
        ]


def join_pieces(outlined: Outlined, min_area: float) -> Segments:
    """The second part of `segment_image`: pieces below `min_area` join others, and prototypes are taken. `outlined` is
    used up: its labels are changed.

    Raises:
        ValueError: if the embeddings are not finite.
    """
    with torch.no_grad():
        labels, areas = _join_specks(outlined.labels, max(min_area * outlined.labels.size, 1), numbered=True)
        prototypes = _prototypes(labels, len(areas), outlined.embeddings, outlined.features)
    if not np.isfinite(prototypes).all():
        raise ValueError("the embeddings are not finite, so that nothing can be said of this image; check the network")
    return Segments(labels, prototypes, areas)


def _outline(cells: Tensor, features: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Assign every pixel of the answer: cells [h, w], features [h*w, D+2], theta [K, D+2], size (H, W) -> [H, W] int.

    A cosine is linear in the embedding, so interpolating cosines is interpolating embeddings, up to a positive length
    that is the same for all segments.
    """
    if not on_device.compiled(features):
        return on_device.outline(cells, features, theta, size)
    coarse, rows, means = cells.numpy().astype(np.int32), features.numpy(), theta.numpy()
    labels, counters = np.empty(size, dtype=np.int32), threads.counters(1)

    def assign(number: int) -> None:
        kernels.outline(coarse, rows, means, labels, counters)

    threads.together(assign, threads.useful(len(rows), ROWS_A_THREAD))
    return torch.from_numpy(labels)


def join_specks(labels: np.ndarray, min_pixels: float) -> np.ndarray:
    """Give connected pieces of fewer than `min_pixels` pixels to the neighbouring piece with the longest common border.

    Args:
        labels: [H, W] int32, non-negative, H, W >= 1.
        min_pixels: the smallest piece left alone. The largest piece of the image is never joined to another.

    Returns:
        [H, W] int32 with the labels that were there.

    Raises:
        ValueError: if there are no labels, or negative ones.
    """
    if labels.size == 0 or labels.min() < 0:
        raise ValueError(
            f"labels have shape {labels.shape} and begin at {labels.min(initial=0)}; give at least one pixel, and "
            "number the segments from 0 on"
        )
    return _join_specks(labels, min_pixels)[0]


def _join_specks(labels: np.ndarray, min_pixels: float, numbered: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """As `join_specks`; with the pixels of each label: [K] int64. If numbered, those that are left become 0..K-1, and
    `labels` itself is changed.
    """
    pieces, counters = run_kernels.Pieces.room(labels), threads.counters(run_kernels.COUNTERS)
    several = threads.useful(labels.size, PIXELS_A_THREAD)

    def find(number: int) -> None:
        try:
            run_kernels.find_pieces(labels, pieces, float(min_pixels), counters, number)
        except BaseException:  # the others wait for nobody who has failed
            run_kernels.leave(counters)
            raise

    threads.together(find, several)
    after, pixels = run_kernels.join_small(pieces, numbered)
    joined, filled = labels if numbered else labels.copy(), threads.counters(1)
    threads.together(lambda _: run_kernels.fill_runs(joined, pieces, after, filled), several)
    return joined, pixels


def _prototypes(labels: np.ndarray, count: int, embeddings: Tensor, features: Tensor) -> np.ndarray:
    """[H, W] int32 (-1: none), [D, h, w] -> [count, D] float32: mean direction of the cells whose centres it covers.

    A segment too thin to cover the centre of a cell takes the embeddings at its own pixels instead. features: of the
    embeddings, [h*w, D+2], with whatever location.
    """
    D, h, w = embeddings.shape
    H, W = labels.shape
    rows, columns = _centres_of_cells(h, H), _centres_of_cells(w, W)
    if not on_device.compiled(embeddings):
        return _prototypes_on_device(labels, labels[rows[:, None], columns].ravel(), count, embeddings)
    vectors, several, counters = features.numpy(), threads.useful(h * w, ROWS_A_THREAD), threads.counters(1)
    all_sums, all_sizes = np.zeros((several, count, D)), np.zeros((several, count), dtype=np.int64)

    def add(number: int) -> None:
        kernels.add_at_centres(vectors, labels, rows, columns, all_sums[number], all_sizes[number], counters)

    threads.together(add, several)
    sums, sizes = all_sums.sum(axis=0), all_sizes.sum(axis=0)
    for segment in np.flatnonzero(sizes == 0):
        cells = _cells_below(labels, int(segment), (h, w))
        kernels.add_directions(vectors[cells], np.full(len(cells), segment, dtype=labels.dtype), sums, sizes)
    return unit_rows(sums)


@lru_cache(maxsize=16)
def _centres_of_cells(cells: int, pixels: int) -> np.ndarray:
    """The pixel at the centre of each cell along one side: [cells] int64, for whoever does not change it."""
    return (np.arange(cells) * 2 + 1) * pixels // (2 * cells)


def _prototypes_on_device(labels: np.ndarray, centres: np.ndarray, count: int, embeddings: Tensor) -> np.ndarray:
    """As `_prototypes`, of the labels [h*w] at the centres of the cells, which go up, so that embeddings need not come
    down.
    """
    size = (embeddings.shape[1], embeddings.shape[2])
    thin = np.setdiff1d(np.arange(count), centres).tolist()
    below = [_cells_below(labels, segment, size) for segment in thin]
    cell = np.concatenate([np.arange(len(centres)), *below])
    segment = np.concatenate([centres, np.repeat(thin, [len(cells) for cells in below])]).astype(np.int64)
    return unit_rows(on_device.sum_by_segment(embeddings.float().flatten(1), cell, segment, count))


def _cells_below(labels: np.ndarray, segment: int, size: tuple[int, int]) -> np.ndarray:
    """The cell, of (h, w), that each pixel of a segment lies in: labels [H, W] -> [n] int64."""
    (h, w), (H, W) = size, labels.shape
    y, x = np.nonzero(labels == segment)
    return np.asarray((y * h // H) * w + x * w // W)


def split_by_label(
    segments: Segments, embeddings: Tensor, mask: np.ndarray, ignore: int, min_area: float
) -> LabelledSegments:
    """Split segments along a label mask: each piece lies in one segment and has one class.

    Args:
        segments: of the image, S of them.
        embeddings: [D, h, w] unit vectors of the image.
        mask: [H, W] int, class of each pixel, in the size of `segments.labels`.
        ignore: value of `mask` that is no class.
        min_area: pieces smaller than this share of the image are left out.

    Raises:
        ValueError: if the mask has another size than the segments.
    """
    if mask.shape != segments.labels.shape:
        raise ValueError(
            f"mask has size {mask.shape}, the image's segments have {segments.labels.shape}; "
            "pass a mask of the same height and width as the image"
        )
    classed = mask != ignore
    spans = int(mask.max(initial=0, where=classed)) + 1
    key = segments.labels.astype(np.int64) * spans + np.where(classed, mask, 0)
    pairs = np.arange(len(segments.areas) * spans) if len(segments.areas) * spans <= 4 * mask.size else None
    if pairs is None:  # classes by large numbers, of which few occur
        pairs, key = np.unique(key, return_inverse=True)
    areas = np.bincount(key[classed], minlength=len(pairs))
    kept = (areas > 0) & (areas >= min_area * mask.size)
    row = np.where(kept, np.cumsum(kept) - 1, -1)
    labels, values = np.where(classed, row[key], -1).astype(np.int32), np.flatnonzero(kept)
    count = len(values)
    return LabelledSegments(
        labels=labels,
        prototypes=_prototypes(labels, count, embeddings, sorting_features(embeddings[None].float(), 0)[0]),
        class_ids=pairs[values] % spans,
        areas=areas[values],
        bboxes=bounding_boxes(labels, count),
    )
