"""Masks of a whole label map at once: COCO run-length encoding and bounding boxes."""

from itertools import pairwise

import numpy as np
from pycocotools import mask as coco

from segsort import kernels


def encode_rle(labels: np.ndarray, count: int) -> list[str]:
    """COCO compressed run lengths of every segment, found in one pass over the label map.

    Args:
        labels: [H, W] int, 0..count-1; a negative label belongs to no segment.
        count: number of segments.

    Returns:
        `counts` of each segment as pycocotools' `encode` gives them, columns first.
    """
    return encode_with_boxes(labels, count)[0]


def encode_with_boxes(labels: np.ndarray, count: int) -> tuple[list[str], np.ndarray]:
    """What `encode_rle` and `bounding_boxes` give, in one pass over the label map."""
    runs = labels.size + 1
    owner, start = np.empty(runs, dtype=np.int32), np.empty(runs, dtype=np.int64)
    runs = kernels.column_runs(labels, owner, start)
    edges = _no_edges(count)
    kernels.boxes_of_runs(owner, start[: runs + 1], labels.shape[0], edges)
    short = count <= np.iinfo(np.int16).max  # which numpy sorts in one pass
    order = np.argsort(owner[:runs].astype(np.int16) if short else owner[:runs], kind="stable")
    bounds = np.searchsorted(owner[:runs][order], np.arange(count + 1))
    text, ends = np.empty(7 * (2 * runs + count), dtype=np.uint8), np.empty(count, dtype=np.int64)
    kernels.compress_runs(start[: runs + 1], order, bounds, text, ends)
    whole = text[: ends[-1]].tobytes().decode("ascii") if count else ""
    return [whole[a:b] for a, b in pairwise([0, *ends.tolist()])], _boxes(edges)


def decode_rle(counts: str, size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool mask of COCO compressed run lengths; size is (H, W)."""
    return np.asarray(coco.decode({"size": list(size), "counts": counts.encode("ascii")}), dtype=bool)


def bounding_boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Smallest box around each segment: [H, W] int -> [count, 4] int32 (x, y, width, height), zeros where empty."""
    edges = _no_edges(count)
    kernels.boxes(labels, edges)
    return _boxes(edges)


def _no_edges(count: int) -> np.ndarray:
    """First and last column and row of segments of which nothing has been seen: [count, 4]."""
    edges = np.empty((count, 4), dtype=np.int32)
    edges[:, :2], edges[:, 2:] = np.iinfo(np.int32).max, -1
    return edges


def _boxes(edges: np.ndarray) -> np.ndarray:
    """Edges, which are changed, as (x, y, width, height)."""
    edges[edges[:, 2] < 0] = (0, 0, -1, -1)
    edges[:, 2:] += 1 - edges[:, :2]
    return edges
