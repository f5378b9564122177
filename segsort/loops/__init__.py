"""The door to the compiled loops: the only module of `segsort.loops` that other packages import.

Each function here stands for loops that numba compiles for this processor. The loops and numba are loaded when the
first of these functions is called, so that importing this module costs nothing.

They take and give numpy arrays. A step of the method is written in plain torch, and `on_cpu` names the function here
that does its work on a CPU: see `segsort.loops.choosing`.
"""

from contextlib import AbstractContextManager
from typing import Literal

import numpy as np

from segsort.loops.choosing import on_cpu, takes
from segsort.loops.threads import at_most, run_in_background, set_thread_limit, thread_limit

__all__ = [
    "at_most", "begin_compiling", "bounding_boxes", "check_finite", "column_runs", "cosines_of", "encode_masks",
    "insert_nearest", "merge_small", "multiplies_bfloat16", "multiplies_bytes", "nearest_rows", "normalise_planes",
    "on_cpu", "outline_labels", "portable_cosines", "prototypes", "resize_planes", "run_in_background",
    "set_thread_limit", "sort", "sorting_features", "sorts_in_bytes", "split", "takes", "thread_limit",
]  # fmt: skip


def sorting_features(embeddings: np.ndarray, location_weight: float) -> np.ndarray:
    """Compiled form of `segsort.pixel_sorting.sorting_features`: [B, D, h, w] float32 -> [B, h*w, D+2] float32."""
    from segsort.loops import location

    return _stacked([location.append(one, location_weight) for one in embeddings])


def sort(
    features: np.ndarray,
    grid: np.ndarray,
    count: int,
    iterations: int,
    coarse_iterations: int = 0,
    precision: Literal["float32", "int8"] = "float32",
    left_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Compiled form of `segsort.pixel_sorting.sort_hard`.

    Args:
        features: [B, h*w, D] float32 unit vectors.
        grid: [h, w] int64 starting labels, 0..count-1.
        count: K, the number of means.
        iterations: E- and M-steps at most; it stops when no pixel moves.
        coarse_iterations: E- and M-steps at most over every second pixel of every second row, before the others.
        precision: "int8" compares pixels with means in eight bits where `sorts_in_bytes()`.
        left_out: [B, h*w] bool, pixels that belong to no segment; None: all belong to one.

    Returns:
        Labels [B, h*w] int64, -1 for pixels left out, and means [B, K, D] float32, zero for empty segments.
    """
    from segsort.loops import sort_image

    schedule = sort_image.Schedule(count, iterations, coarse_iterations, precision)
    found = [
        sort_image.sort(one, grid, schedule, None if left_out is None else left_out[b])
        for b, one in enumerate(features)
    ]
    return _stacked([labels for labels, _ in found]), _stacked([theta for _, theta in found])


def split(
    features: np.ndarray, labels: np.ndarray, segments: int, weights: np.ndarray, offsets: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compiled form of `segsort.splitting.split`.

    Args:
        features: [N, D+2] float32 unit vectors, embeddings with their location appended.
        labels: [N] int64, segment number of each pixel, 0..segments-1.
        segments: K.
        weights: [C, D] float32, of a linear classifier of embeddings.
        offsets: [C] float32.
        least: smallest part that becomes a segment, in pixels.

    Returns:
        New segment numbers [N] int64, and the mean directions [S, D+2] float32 of the segments.
    """
    from segsort.loops import splitting

    return splitting.split(features, labels, segments, weights, offsets, least)


def multiplies_bytes() -> bool:
    """Whether this processor multiplies bytes by an instruction of x86 or ARM, as networks in bytes need it."""
    from segsort.loops import processor

    return processor.multiplies_bytes()


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions that multiply bfloat16. Without them, it takes ten times as long."""
    from segsort.loops import processor

    return processor.multiplies_bfloat16()


def sorts_in_bytes() -> bool:
    """Whether this processor multiplies bytes (AVX-512 VNNI), which the precision "int8" of `sort` needs."""
    from segsort.loops import kmeans_bytes

    return kmeans_bytes.supported()


def outline_labels(features: np.ndarray, theta: np.ndarray, cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Compiled form of `segsort.segments.outline`.

    Args:
        features: [h*w, D] float32 unit vectors of the embedding cells.
        theta: [K, D] float32 means of the segments.
        cells: [h, w] int64, segment number of each embedding cell.
        size: (H, W) of the answer, in pixels.

    Returns:
        [H, W] int32 segment number of each pixel.
    """
    from segsort.loops import outline

    return outline.labels_of(features, theta, cells, size)


def prototypes(embeddings: np.ndarray, features: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Compiled form of `segsort.segments.prototypes`.

    Args:
        embeddings: [D, h, w] float32 unit vectors; only their shape is read here.
        features: [h*w, D+2] float32, the embeddings with any location appended.
        labels: [H, W] int32 segment number of each pixel, 0..count-1; -1: none.
        count: S, the number of segments.

    Returns:
        [S, D] float32 unit vectors.
    """
    from segsort.loops import directions
    from segsort.sphere import unit_rows

    return unit_rows(directions.sums(features, (embeddings.shape[1], embeddings.shape[2]), labels, count))


def merge_small(labels: np.ndarray, min_pixels: float, numbered: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Merge each connected component of fewer than `min_pixels` pixels into its best neighbour.

    A neighbour of at least `min_pixels` pixels is better than a smaller one, then one with a longer common border.

    Args:
        labels: [H, W] int32 segment numbers, 0 or more, H, W >= 1.
        min_pixels: the smallest component that stays. The largest component of the image always stays.
        numbered: number the remaining labels 0..K-1 in their order, and write the result into `labels` itself.

    Returns:
        The new labels [H, W] int32, and the number of pixels of each label [K] int64.
    """
    from segsort.loops import components

    return components.merge(labels, min_pixels, numbered)


def encode_masks(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """COCO's compressed run lengths and the bounding box of each segment of a label map.

    Args:
        labels: [H, W] int32 segment numbers; those outside 0..count-1 belong to no segment.
        count: S, the number of segments.

    Returns:
        The texts of all segments one after the other, ASCII [n] uint8; the end of each text [S] int64; boxes [S, 4]
        int32 as (x, y, width, height), zeros for a segment without pixels.
    """
    from segsort.loops import run_lengths

    return run_lengths.encode_with_boxes(labels, count)


def column_runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal labels [H, W] int32, down the columns; a run may go on at the top of the next column.

    Returns:
        Label of each run [R] int32, and the pixel x * H + y at which each starts, with the end H * W [R+1] int64.
    """
    from segsort.loops import run_lengths

    return run_lengths.column_runs(labels)


def bounding_boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Smallest box around each segment: [H, W] int -> [count, 4] int32 (x, y, width, height), zeros where empty."""
    from segsort.loops import run_lengths

    return run_lengths.boxes_of(labels, count)


def nearest_rows(
    rows: np.ndarray, queries: np.ndarray, k: int, gone: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The exact nearest rows of each query, by comparison with every row.

    Args:
        rows: [N, D] float32 unit vectors, contiguous.
        queries: [Q, D] float32 unit vectors, contiguous.
        k: how many; all that are not gone, if these are fewer.
        gone: [N] bool, rows that are never found; None: any row may be found.

    Returns:
        Cosines [Q, k'] float32, best first, and rows [Q, k'] int64. Equal cosines are in the order of their rows.

    Raises:
        ValueError: if a query has values that are not finite.
    """
    from segsort.loops import nearest

    return nearest.search(rows, queries, k, gone)


def check_finite(queries: np.ndarray) -> None:
    """Check that all values of queries [Q, D] are finite.

    Raises:
        ValueError: naming the first query with another value.
    """
    from segsort.loops import nearest

    nearest.check_finite(queries)


def insert_nearest(
    found: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    first: int,
    queries: np.ndarray,
    k: int,
    gone: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Update the exact nearest rows of each query when more rows follow those that `nearest_rows` searched.

    Args:
        found: cosines and rows [Q, k'] of the earlier search for k. k' is below k only if it had no more rows.
        rows: [n, D] float32 unit vectors, contiguous: the rows that follow.
        first: number of the first of them.
        queries: [Q, D] float32 unit vectors, contiguous.
        k: how many.
        gone: [n] bool, which of the n are never found; None: any may be found.

    Returns:
        Cosines [Q, k''] float32, best first, and rows [Q, k''] int64, as of one search over all rows.
    """
    from segsort.loops import nearest

    return nearest.insert(found, rows, first, queries, k, gone)


def cosines_of(rows: np.ndarray, queries: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Cosines of each query with rows that were found for it.

    A pair of vectors has the same cosine to the last bit wherever it is computed here.

    Args:
        rows: [N, D] float32 unit vectors, contiguous.
        queries: [Q, D] float32 unit vectors, contiguous.
        found: [Q, k] int64, rows of each query.

    Returns:
        [Q, k] float32.
    """
    from segsort.loops import nearest

    return nearest.cosines(rows, queries, found)


def portable_cosines(rows: np.ndarray, queries: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Cosines of each query with rows that were found for it, the same to the last bit on every machine.

    They differ from those of a search by some units in the last place.

    Args:
        rows: [N, D] float32 unit vectors, contiguous.
        queries: [Q, D] float32 unit vectors, contiguous.
        found: [Q, k] int64, rows of each query.

    Returns:
        [Q, k] float32.
    """
    from segsort.loops import nearest

    return nearest.portable_cosines(rows, queries, found)


def normalise_planes(image: np.ndarray, mean: np.ndarray, scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(image - mean) * scale of each channel, padded by repeating the last row and column.

    Args:
        image: [C, H, W] uint8.
        mean: [C] float32.
        scale: [C] float32.
        size: (H', W') with padding, at least (H, W).

    Returns:
        [1, C, H', W'] float32.
    """
    from segsort.loops import planes

    return planes.normalise(image, mean, scale, size)


def resize_planes(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image, bilinear with antialiasing: the bytes are those of PyTorch's `interpolate(antialias=True)`.

    Args:
        image: [H, W, 3] uint8, contiguous, H, W >= 1.
        size: (h, w), at least 1.

    Returns:
        [3, h, w] uint8.
    """
    from segsort.loops import resizing

    return resizing.resize(image, size)


def begin_compiling(processes: int, on_device: bool = False) -> AbstractContextManager[object]:
    """Begin to compile the loops that a first answer needs, unless an earlier process has compiled all loops.

    Progress is logged by the logger "segsort.loops".

    Args:
        processes: how many to use, this one included; at most four are.
        on_device: whether pixels are sorted on a device, where fewer loops are needed.

    Returns:
        A context. At its end it waits until these loops are compiled, and lets a thread compile the others. If its
        block fails, it ends the other processes and does not wait.
    """
    from segsort.loops import compiling

    return compiling.begin(processes, on_device)


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """One array of equal ones; a single one is not copied."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
