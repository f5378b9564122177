"""Masks of a whole label map at once: COCO run-length encoding and bounding boxes."""

from itertools import pairwise

import numpy as np
from pycocotools import mask as coco


def encode_rle(labels: np.ndarray, count: int) -> list[str]:
    """COCO compressed run lengths of every segment, found in one pass over the label map.

    Args:
        labels: [H, W] int, 0..count-1; a negative label belongs to no segment.
        count: number of segments.

    Returns:
        `counts` of each segment as COCO writes them (columns first); a segment with no pixel gets one empty run.
    """
    height, width = labels.shape
    column_order = np.ravel(labels, order="F")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(column_order)) + 1])
    ends = np.append(starts[1:], column_order.size)
    owner = column_order[starts]
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(count + 1))
    runs = [_run_lengths(starts[order[a:b]], ends[order[a:b]], labels.size) for a, b in pairwise(bounds)]
    encoded = coco.frPyObjects([{"size": [height, width], "counts": counts} for counts in runs], height, width)
    return [rle["counts"].decode("ascii") for rle in encoded]


def _run_lengths(starts: np.ndarray, ends: np.ndarray, size: int) -> list[int]:
    """Lengths of alternating runs, zeros first, from where the runs of ones start and end."""
    edges = np.empty(2 * len(starts) + 2, dtype=np.int64)
    edges[0], edges[-1] = 0, size
    edges[1:-1:2], edges[2:-1:2] = starts, ends
    lengths: list[int] = np.diff(edges).tolist()
    return lengths


def decode_rle(counts: str, size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool mask of COCO compressed run lengths; size is (H, W)."""
    return np.asarray(coco.decode({"size": list(size), "counts": counts.encode("ascii")}), dtype=bool)


def bounding_boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Smallest box around each segment: [H, W] int -> [count, 4] int32 (x, y, width, height), zeros where empty."""
    height, width = labels.shape
    boxes = np.zeros((count, 4), dtype=np.int32)
    for axis, length in ((1, width), (0, height)):
        present = np.zeros((count + 1, length), dtype=bool)  # the last row takes negative labels
        present[labels, np.arange(length)[None, :] if axis == 1 else np.arange(length)[:, None]] = True
        present = present[:count]
        some = present.any(axis=1)
        first = present.argmax(axis=1)
        last = length - present[:, ::-1].argmax(axis=1)
        column = 0 if axis == 1 else 1
        boxes[:, column] = np.where(some, first, 0)
        boxes[:, column + 2] = np.where(some, last - first, 0)
    return boxes
