"""Labelled segments: segments of an image that are split along the classes of a mask.

A label is a segment number, except in a mask, where it is a class.
"""

from typing import NamedTuple

import numpy as np

from segsort.arrays import AnyArray
from segsort.masks import bounding_boxes
from segsort.segments import Segments, prototypes_of_labels


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
    segments: Segments, embeddings: AnyArray, mask: np.ndarray, ignore: int, min_area: float, min_share: float = 0.0
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
        prototypes=prototypes_of_labels(embeddings, labels, count),
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
