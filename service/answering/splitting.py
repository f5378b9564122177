"""Splitting: strokes on the image of a recorded answer divide the segments that they cross."""

from typing import NamedTuple

import numpy as np

from segsort.labelled_segments import LabelledSegments
from segsort.pixel_sorting import SortingOptions
from segsort.runs import Encoded, encode_positions, encode_window, mask_in_box, numbers_at
from segsort.segments import prototypes_in_window
from segsort.strokes import Pieces, Region, parts_like
from service.answering.answers import Shapes


class MarkedPixels(NamedTuple):
    """The pixels under strokes on the image of an answer.

    positions: [n] int64, x * H + y of each, ascending; segments: [n] int64, the segment of the answer that each belongs
    to; pieces: the pieces that they form; masks: of the pieces.
    """

    positions: np.ndarray
    segments: np.ndarray
    pieces: Pieces
    masks: Encoded

    @classmethod
    def of_map(cls, shapes: Shapes, strokes: LabelledSegments) -> "MarkedPixels":
        """The pieces of strokes that are drawn into a map of the whole image."""
        numbers = np.ascontiguousarray(strokes.labels.T).ravel()
        positions = np.flatnonzero(numbers >= 0)
        pieces = Pieces(numbers[positions], strokes.prototypes, strokes.class_ids, strokes.areas)
        masks = encode_positions(positions, pieces.numbers, len(strokes.areas), shapes.size)
        return cls(positions, segments_at(shapes, positions), pieces, masks)


def segments_at(shapes: Shapes, positions: np.ndarray) -> np.ndarray:
    """The segment of an answer that each of some pixels belongs to; positions: [n] int64, x * H + y, ascending."""
    rows, columns = positions % shapes.size[0], positions // shapes.size[0]
    first = np.array([columns.min(), rows.min()])
    last = np.array([columns.max(), rows.max()])
    boxes = np.array(shapes.boxes)
    near = ((boxes[:, :2] <= last) & (boxes[:, :2] + boxes[:, 2:] > first)).all(axis=1)
    candidates = np.flatnonzero(near)
    return np.asarray(candidates[numbers_at([shapes.counts[n] for n in candidates], positions)])


class Split(NamedTuple):
    """The segments of an answer after strokes divided some of them.

    shapes: of the new segments: those that no stroke crosses, then the parts of the others, then the strokes' pieces;
    origins: [S] for each, the number of the segment of the answer that most of its pixels belonged to.
    """

    shapes: Shapes
    origins: np.ndarray


def split_by_strokes(shapes: Shapes, marked: MarkedPixels, embeddings: np.ndarray, options: SortingOptions) -> Split:
    """Divide the segments of an answer that strokes cross.

    Each piece of a stroke becomes a segment. The other pixels of a crossed segment are divided into the parts that are
    most like its strokes, one for each class, and the rest. Segments that no stroke crosses stay as they are.

    Args:
        shapes: of the answer.
        marked: the pixels under the strokes.
        embeddings: [D, h, w] unit vectors of the answer's image.
        options: how pixels are sorted.
    """
    pieces, count = marked.pieces, len(marked.pieces.areas)
    crossings = np.bincount(marked.segments * count + pieces.numbers, minlength=len(shapes.counts) * count)
    crossings = crossings.reshape(len(shapes.counts), count)
    parts, origins = [shapes.prototypes[:0]], list[int]()
    masks = Encoded([], np.zeros((0, 4), dtype=np.int32), np.zeros(0, dtype=np.int64))
    for n in np.flatnonzero(crossings.any(axis=1)).tolist():
        region, corner = _unmarked(shapes, n, marked)
        across = np.flatnonzero(crossings[n])
        found = parts_like(region, embeddings, pieces.prototypes[across], pieces.class_ids[across], options)
        labels, number = _numbered(region.pixels, found)
        parts.append(prototypes_in_window(embeddings, labels, corner, shapes.size, number))
        masks = _joined(masks, encode_window(labels, corner, number, shapes.size))
        origins += [n] * number
    masks, kept = _joined(masks, marked.masks), np.flatnonzero(~crossings.any(axis=1))
    joined = Shapes(
        shapes.size,
        [shapes.counts[n] for n in kept] + masks.counts,
        [shapes.boxes[n] for n in kept] + masks.boxes.tolist(),
        [shapes.areas[n] for n in kept] + masks.areas.tolist(),
        np.concatenate([shapes.prototypes[kept], *parts, pieces.prototypes]),
    )
    return Split(joined, np.concatenate([kept, np.array(origins, dtype=np.int64), crossings.argmax(axis=0)]))


def _unmarked(shapes: Shapes, n: int, marked: MarkedPixels) -> tuple[Region, tuple[int, int]]:
    """The pixels of a segment that no stroke covers, in its box, and the row and column of the box."""
    x, y, _, _ = shapes.boxes[n]
    inside = mask_in_box(shapes.counts[n], shapes.size, shapes.boxes[n])
    under = marked.positions[marked.segments == n]
    inside[under % shapes.size[0] - y, under // shapes.size[0] - x] = False
    return Region(inside, y, x, shapes.size), (y, x)


def _numbered(pixels: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, int]:
    """The parts of a segment, numbered from 0, -1 outside of it, and how many there are.

    Args:
        pixels: [H', W'] bool, of the segment.
        parts: [H', W'] int, the part of each of these pixels, -1 or above.
    """
    present = np.bincount(parts[pixels] + 1, minlength=1) > 0
    numbers = np.where(present, np.cumsum(present) - 1, -1).astype(np.int32)
    return np.where(pixels, numbers[parts + 1], np.int32(-1)), int(present.sum())


def _joined(one: Encoded, other: Encoded) -> Encoded:
    boxes, areas = np.concatenate([one.boxes, other.boxes]), np.concatenate([one.areas, other.areas])
    return Encoded(one.counts + other.counts, boxes, areas)
