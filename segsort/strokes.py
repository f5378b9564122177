"""Strokes: the pieces of pixels that a person marked, and the parts of a segment that are most like them.

`pieces_of_strokes` groups marked pixels by the segments that pixel sorting found. No marked pixel is lost.
`parts_like` sorts the other pixels of a segment that strokes cross, and assigns each piece to a stroke or to the rest.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from segsort.arrays import vectors_of_cells
from segsort.labelled_segments import LabelledSegments, check_mask_size
from segsort.masks import bounding_boxes
from segsort.pixel_sorting import SortingOptions, sort_pixels
from segsort.segments import Segments
from segsort.sphere import unit_rows

PIECES = 16  # pieces at most that the rest of a crossed segment is sorted into
_ROUNDS = 10  # assignments of pieces to strokes or to the rest, each with a new mean of the rest
_AT_ONCE = 1 << 20  # pixels that are assigned at once
_FEW = 1 << 22  # largest key that is numbered by a table


class Region(NamedTuple):
    """Some pixels of an image, in a window of it.

    pixels: [H', W'] bool; top, left: position of the window in the image; size: (H, W) of the image.
    """

    pixels: np.ndarray
    top: int
    left: int
    size: tuple[int, int]


class Pixels(NamedTuple):
    """Some pixels of an image. rows, columns: [n] int64; size: (H, W) of the image."""

    rows: np.ndarray
    columns: np.ndarray
    size: tuple[int, int]


class Pieces(NamedTuple):
    """Pieces of marked pixels.

    numbers: [n] int64, the piece of each pixel, 0..P-1; prototypes: [P, D] float32 unit vectors; class_ids: [P] int64;
    areas: [P] int64, pixels.
    """

    numbers: np.ndarray
    prototypes: np.ndarray
    class_ids: np.ndarray
    areas: np.ndarray


class _Cells(NamedTuple):
    """The embedding cells above a window along one axis.

    first: the first of them; centres: [n] int64, position in the window of the pixel at the centre of each, perhaps
    outside of it; before: [pixels] int64, the cell before the centre of each pixel of the window, counted from `first`;
    share: [pixels], share of the way from that cell's centre to the next one's.
    """

    first: int
    centres: np.ndarray
    before: np.ndarray
    share: np.ndarray

    @classmethod
    def above(cls, region: Region, axis: int, count: int) -> "_Cells":
        """The cells above a region; count: of the whole image."""
        start, pixels, length = (region.top, region.left)[axis], region.pixels.shape[axis], region.size[axis]
        first, last = start * count // length, (start + pixels - 1) * count // length
        cells = np.arange(first, last + 1)
        at = (np.arange(start, start + pixels) + 0.5) * count / length - 0.5
        at = np.clip(at - first, 0, len(cells) - 1)
        before = at.astype(np.int64)
        return cls(first, (cells * 2 + 1) * length // (2 * count) - start, before, at - before)

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def centred(self) -> np.ndarray:
        """[n'] int64, the cells whose centre is in the window."""
        return np.flatnonzero((self.centres >= 0) & (self.centres < len(self.before)))


def pieces_of_strokes(segments: Segments, embeddings: np.ndarray, mask: np.ndarray, ignore: int) -> LabelledSegments:
    """Group marked pixels into pieces. Every marked pixel belongs to one piece.

    A piece holds the marked pixels of one segment that have one class. A piece smaller than an embedding cell joins the
    piece of its class with the largest cosine. The prototype of a piece is the mean direction of the embeddings below
    its pixels, each pixel counted once.

    Args:
        segments: of the image.
        embeddings: [D, h, w] unit vectors of the image.
        mask: [H, W] int, class of each marked pixel, 0 or above, in the size of `segments.labels`.
        ignore: value of `mask` of the pixels that are not marked.

    Raises:
        ValueError: if the mask has another size than the segments.
    """
    check_mask_size(segments, mask)
    marked = np.flatnonzero(mask != ignore)
    values = mask.ravel()[marked].astype(np.int64)
    pixels = Pixels(marked // mask.shape[1], marked % mask.shape[1], mask.shape)
    found = pieces_of_pixels(embeddings, pixels, segments.labels.ravel()[marked], values)
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels.ravel()[marked] = found.numbers
    boxes = bounding_boxes(labels, len(found.areas))
    return LabelledSegments(labels, found.prototypes, found.class_ids, found.areas, boxes)


def pieces_of_pixels(embeddings: np.ndarray, pixels: Pixels, segments: np.ndarray, classes: np.ndarray) -> Pieces:
    """Group marked pixels into pieces, see `pieces_of_strokes`.

    Args:
        embeddings: [D, h, w] unit vectors of the image.
        pixels: the n marked pixels.
        segments: [n] int, the segment of each, 0 or above.
        classes: [n] int, the class of each, 0 or above.
    """
    (_, h, w), (H, W) = embeddings.shape, pixels.size
    count = int(classes.max(initial=0)) + 1
    keys, piece = _numbered(segments.astype(np.int64) * count + classes)
    areas, class_ids = np.bincount(piece, minlength=len(keys)), keys % count
    sums = _sums_below(embeddings, pixels, piece, len(keys))
    joined = _join_small(sums, areas, class_ids, H * W / (h * w))
    kept, number = np.unique(joined, return_inverse=True)
    return Pieces(number[piece], unit_rows(sums[kept]), class_ids[kept], areas[kept])


def parts_like(
    region: Region, embeddings: np.ndarray, prototypes: np.ndarray, class_ids: np.ndarray, options: SortingOptions
) -> np.ndarray:
    """Find the parts of a segment that are more like one of the strokes across it than like the rest of it.

    The segment's embedding cells are sorted into at most `PIECES` pieces. A piece belongs to the class of the stroke
    with the largest cosine, if this cosine exceeds the one to the mean direction of the rest. The rest is what belongs
    to no stroke, at first the whole segment. Both steps are repeated until nothing changes. A part smaller than an
    embedding cell stays with the rest; a smaller rest joins the largest part.

    Args:
        region: the pixels of the segment that are not marked.
        embeddings: [D, h, w] unit vectors of the image.
        prototypes: [M, D] float32 unit vectors, of the strokes across the segment, M >= 1.
        class_ids: [M] int, their classes, 0 or above.
        options: how pixels are sorted; `segments` and `precision` are replaced.

    Returns:
        [H', W'] int32, in the size of `region.pixels`: the class of each of these pixels, -1 for the rest and outside
        of the segment.
    """
    parts = np.full(region.pixels.shape, -1, dtype=np.int32)
    _, h, w = embeddings.shape
    if not region.pixels.any():
        return parts
    rows, columns = (_Cells.above(region, axis, (h, w)[axis]) for axis in range(2))
    valid = np.zeros((len(rows), len(columns)), dtype=bool)
    inside = np.ix_(rows.centred, columns.centred)
    valid[inside] = region.pixels[rows.centres[rows.centred][:, None], columns.centres[columns.centred]]
    if valid.sum() < 2:
        return parts
    cropped = embeddings[:, rows.first : rows.first + len(rows), columns.first : columns.first + len(columns)]
    wanted = replace(options, segments=min(PIECES, valid.size), precision="float32")
    pieces = sort_pixels(cropped[None], wanted, valid[None]).labels[0]
    classes = _classes_of_pieces(cropped, pieces, prototypes, class_ids)
    cells = np.where(valid, classes[pieces], -1)
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    _outline(parts, region.pixels, cells[tuple(nearest)], rows, columns)
    _return_small(parts, region.pixels, region.size[0] * region.size[1] / (h * w))
    return parts


def _numbered(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, which are 0 or above, in ascending order, and the place of each key among them.

    Small keys are numbered without sorting.
    """
    most = int(keys.max(initial=-1)) + 1
    if most > _FEW:
        found, places = np.unique(keys, return_inverse=True)
        return found, places
    numbers = np.zeros(most, dtype=np.int64)
    numbers[keys] = 1
    found = np.flatnonzero(numbers)
    numbers[found] = np.arange(len(found))
    return found, numbers[keys]


def _sums_below(embeddings: np.ndarray, pixels: Pixels, piece: np.ndarray, count: int) -> np.ndarray:
    """The sum of the embeddings below the pixels of each piece: [count, D] float64.

    Args:
        embeddings: [D, h, w].
        pixels: n pixels.
        piece: [n] int64, its piece, 0..count-1.
        count: number of pieces.
    """
    (_, h, w), (H, W) = embeddings.shape, pixels.size
    pairs, places = _numbered((piece * h + pixels.rows * h // H) * w + pixels.columns * w // W)
    times = np.bincount(places, minlength=len(pairs))
    below = vectors_of_cells(embeddings, pairs % (h * w))
    sums = np.zeros((count, below.shape[1]))
    np.add.at(sums, pairs // (h * w), below * times[:, None])
    return sums


def _join_small(sums: np.ndarray, areas: np.ndarray, class_ids: np.ndarray, least: float) -> np.ndarray:
    """Join each piece of fewer than `least` pixels, the smallest first, with the most similar piece of its class.

    Args:
        sums: [n, D] sum of the embeddings of each piece; changed in place to those of the joined pieces.
        areas: [n] pixels of each piece; changed in place too.
        class_ids: [n] class of each piece.
        least: pixels.

    Returns:
        [n] int64, the piece that each piece is part of.
    """
    joined = np.arange(len(areas))
    for class_id in np.unique(class_ids):
        alive = np.flatnonzero(class_ids == class_id)
        while len(alive) > 1:
            small = alive[areas[alive].argmin()]
            if areas[small] >= least:
                break
            alive = alive[alive != small]
            directions = unit_rows(sums[alive])
            other = alive[(directions @ unit_rows(sums[small][None])[0]).argmax()]
            sums[other] += sums[small]
            areas[other] += areas[small]
            joined[joined == small] = other
    return joined


def _classes_of_pieces(
    embeddings: np.ndarray, pieces: np.ndarray, prototypes: np.ndarray, class_ids: np.ndarray
) -> np.ndarray:
    """The class of each piece of a segment, -1 for the rest of the segment.

    Args:
        embeddings: [D, h, w].
        pieces: [h, w] int64 piece of each cell, -1: none.
        prototypes, class_ids: of the strokes, as of `parts_like`.
    """
    labels, count = pieces.ravel(), int(pieces.max()) + 1
    inside = np.flatnonzero(labels >= 0)
    sums = np.zeros((count, len(embeddings)))
    np.add.at(sums, labels[inside], vectors_of_cells(embeddings, inside))
    directions = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    sizes = np.bincount(labels[inside], minlength=count)[:, None]
    cosines = directions @ prototypes.astype(np.float64).T
    best, classes = cosines.max(axis=1), class_ids[cosines.argmax(axis=1)]
    rest = np.ones(count, dtype=bool)
    for _ in range(_ROUNDS):
        mean = unit_rows((directions * sizes * rest[:, None]).sum(axis=0, keepdims=True))[0]
        stays = directions @ mean >= best
        if not stays.any() or (stays == rest).all():
            rest = stays
            break
        rest = stays
    return np.where(rest, -1, classes)


def _outline(parts: np.ndarray, pixels: np.ndarray, classes: np.ndarray, rows: _Cells, columns: _Cells) -> None:
    """Give each pixel the class with the largest weight among the four cells around it, interpolated bilinearly.

    Args:
        parts: [H', W'] int32; changed in place at `pixels`.
        pixels: [H', W'] bool.
        classes: class of each cell above the window, -1 for the rest.
        rows, columns: the cells.
    """
    values, place = np.unique(classes, return_inverse=True)
    place = place.reshape(classes.shape)
    below, right = (np.minimum(np.arange(len(cells)) + 1, len(cells) - 1) for cells in (rows, columns))
    even = (place == place[below]) & (place == place[:, right]) & (place == place[below][:, right])  # all four cells
    np.copyto(parts, values.astype(np.int32)[place][rows.before][:, columns.before], where=pixels)
    width = pixels.shape[1]
    for some in _bands(np.flatnonzero(pixels & ~even[rows.before][:, columns.before])):
        y, down = rows.before[some // width], rows.share[some // width]
        x, along = columns.before[some % width], columns.share[some % width]
        corners = ((y, x), (y, right[x]), (below[y], x), (below[y], right[x]))
        shares = ((1 - down) * (1 - along), (1 - down) * along, down * (1 - along), down * along)
        weights = np.zeros((len(values), len(some)))
        for value in range(len(values)):
            for at, share in zip(corners, shares, strict=True):
                weights[value] += np.where(place[at] == value, share, 0)
        parts.ravel()[some] = values[weights.argmax(axis=0)]


def _bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(pixels), _AT_ONCE):
        yield pixels[start : start + _AT_ONCE]


def _return_small(parts: np.ndarray, pixels: np.ndarray, least: float) -> None:
    """Return parts of fewer than `least` pixels to the rest, or a smaller rest to the largest part, in place."""
    areas = np.bincount(parts[pixels] + 1)  # of the rest, and of each class
    small = [class_id for class_id in range(len(areas) - 1) if 0 < areas[class_id + 1] < least]
    for class_id in small:
        parts[parts == class_id] = -1
        areas[0] += areas[class_id + 1]
        areas[class_id + 1] = 0
    if 0 < areas[0] < least and areas[1:].any():
        parts[pixels & (parts < 0)] = int(areas[1:].argmax())
