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
    owner, start = _runs(labels)
    short = count <= np.iinfo(np.int16).max  # which numpy sorts in one pass
    order = np.argsort(owner.astype(np.int16) if short else owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(count + 1))
    text, ends = np.empty(7 * (2 * len(owner) + count), dtype=np.uint8), np.empty(count, dtype=np.int64)
    kernels.compress_runs(start, order, bounds, text, ends)
    whole = text[: ends[-1]].tobytes().decode("ascii") if count else ""
    return [whole[a:b] for a, b in pairwise([0, *ends.tolist()])], _boxes(owner, start, labels.shape[0], count)


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs of equal labels, columns first: whose each is [R], and where each starts, with the end [R+1]."""
    owner, start = np.empty(labels.size + 1, dtype=np.int32), np.empty(labels.size + 1, dtype=np.int64)
    runs = kernels.column_runs(labels, owner, start)
    return owner[:runs], start[: runs + 1]


def decode_rle(counts: str, size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool mask of COCO compressed run lengths; size is (H, W)."""
    return np.asarray(coco.decode({"size": list(size), "counts": counts.encode("ascii")}), dtype=bool)


def bounding_boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Smallest box around each segment: [H, W] int -> [count, 4] int32 (x, y, width, height), zeros where empty."""
    return _boxes(*_runs(labels), labels.shape[0], count)


def _boxes(owner: np.ndarray, start: np.ndarray, height: int, count: int) -> np.ndarray:
    """The same, of the runs of a label map of this height."""
    edges = np.empty((count, 4), dtype=np.int32)
    edges[:, :2], edges[:, 2:] = np.iinfo(np.int32).max, -1
    kernels.boxes_of_runs(owner, start, height, edges)
    edges[edges[:, 2] < 0] = (0, 0, -1, -1)
    edges[:, 2:] += 1 - edges[:, :2]
    return edges
