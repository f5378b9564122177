"""Splitting: strokes on the image of a recorded answer divide the segments that they cross."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from segsort.masks import encode_with_boxes
from segsort.pixel_sorting import SortingOptions, sorting_features
from segsort.segments import LabelledSegments, prototypes
from segsort.strokes import Region, parts_like
from service.answering.answers import Shapes


class Split(NamedTuple):
    """The segments of an answer after strokes divided some of them.

    shapes: of the new segments: those that no stroke crosses, then the parts of the others, then the strokes' pieces;
    origins: [S] for each, the number of the segment of the answer that most of its pixels belonged to.
    """

    shapes: Shapes
    origins: np.ndarray


def split_by_strokes(shapes: Shapes, strokes: LabelledSegments, embeddings: Tensor, options: SortingOptions) -> Split:
    """Divide the segments of an answer that strokes cross.

    Each piece of a stroke becomes a segment. The other pixels of a crossed segment are divided into the parts that are
    most like its strokes, one for each class, and the rest. Segments that no stroke crosses stay as they are.

    Args:
        shapes: of the answer.
        strokes: the pieces of the strokes, in the size of the answer.
        embeddings: [D, h, w] unit vectors of the answer's image.
        options: how pixels are sorted.
    """
    marked = strokes.labels >= 0
    crossings = np.zeros((len(shapes.counts), len(strokes.areas)), dtype=np.int64)
    divided, origins = np.full(shapes.size, -1, dtype=np.int32), list[int]()
    for n in _candidates(shapes, strokes):
        window, mask = _window(shapes.boxes[n]), shapes.mask(n)
        inside = mask[window]
        under = strokes.labels[window][inside]
        crossings[n] = np.bincount(under[under >= 0], minlength=len(strokes.areas))
        across = np.flatnonzero(crossings[n])
        if not len(across):
            continue
        region = Region(inside & ~marked[window], window[0].start, window[1].start, shapes.size)
        found = parts_like(region, embeddings, strokes.prototypes[across], strokes.class_ids[across], options)
        for part in np.unique(found[region.pixels]).tolist():
            divided[window][region.pixels & (found == part)] = len(origins)
            origins.append(n)
    features = sorting_features(embeddings[None].float(), 0)[0]
    new = prototypes(embeddings, features, divided, len(origins)) if origins else strokes.prototypes[:0]
    divided[marked] = strokes.labels[marked] + len(origins)
    counts, boxes = encode_with_boxes(divided, len(origins) + len(strokes.areas))
    areas = np.bincount(divided[divided >= 0], minlength=len(counts)).tolist()
    kept = np.flatnonzero(~crossings.any(axis=1))
    joined = Shapes(
        shapes.size,
        [shapes.counts[n] for n in kept] + counts,
        [shapes.boxes[n] for n in kept] + boxes.tolist(),
        [shapes.areas[n] for n in kept] + areas,
        np.concatenate([shapes.prototypes[kept], new, strokes.prototypes]),
    )
    return Split(joined, np.concatenate([kept, np.array(origins, dtype=np.int64), crossings.argmax(axis=0)]))


def _candidates(shapes: Shapes, strokes: LabelledSegments) -> list[int]:
    """The segments whose box meets the box of a piece of a stroke."""
    low, high = np.array(shapes.boxes)[:, :2], np.array(shapes.boxes)[:, :2] + np.array(shapes.boxes)[:, 2:]
    first, last = strokes.bboxes[:, :2], strokes.bboxes[:, :2] + strokes.bboxes[:, 2:]
    meets = (low[:, None] < last[None]).all(axis=2) & (first[None] < high[:, None]).all(axis=2)
    return np.flatnonzero(meets.any(axis=1)).tolist()


def _window(box: list[int]) -> tuple[slice, slice]:
    """Rows and columns of a box (x, y, width, height)."""
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)
