"""Masks of a whole label map at once: COCO run-length encoding and bounding boxes."""

from itertools import pairwise

import numpy as np
from pycocotools import mask as coco

from segsort import loops


def encode_rle(labels: np.ndarray, count: int) -> list[str]:
    """COCO compressed run lengths of every segment, found in one pass over the label map.

    Args:
        labels: [H, W] int segment numbers, 0..count-1; a negative number belongs to no segment.
        count: number of segments.

    Returns:
        `counts` of each segment as pycocotools' `encode` gives them, columns first.
    """
    return encode_with_boxes(labels, count)[0]


def encode_with_boxes(labels: np.ndarray, count: int) -> tuple[list[str], np.ndarray]:
    """COCO compressed run lengths and bounding box of every segment, found in one pass over the label map.

    Args:
        labels: [H, W] int segment numbers, 0..count-1; a negative number belongs to no segment.
        count: number of segments.

    Returns:
        `counts` of each segment as pycocotools' `encode` gives them, and boxes [count, 4] int32 (x, y, width, height),
        zeros for a segment without pixels.
    """
    text, ends, boxes = loops.encode_masks(labels, count)
    whole = text.tobytes().decode("ascii")
    return [whole[a:b] for a, b in pairwise([0, *ends.tolist()])], boxes


def decode_rle(counts: str, size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool mask of COCO compressed run lengths; size is (H, W)."""
    return np.asarray(coco.decode({"size": list(size), "counts": counts.encode("ascii")}), dtype=bool)


def bounding_boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Smallest box around each segment: [H, W] int -> [count, 4] int32 (x, y, width, height), zeros where empty."""
    return loops.bounding_boxes(labels, count)
