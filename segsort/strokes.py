"""Strokes: the pieces of pixels that a person marked, and the parts of a segment that are most like them.

`pieces_of_strokes` groups marked pixels by the segments that pixel sorting found. No marked pixel is lost.
`parts_like` sorts the other pixels of a segment that strokes cross, and assigns each piece to a stroke or to the rest.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from segsort.masks import bounding_boxes
from segsort.pixel_sorting import SortingOptions, sort_pixels
from segsort.segments import LabelledSegments, Segments, check_mask_size
from segsort.sphere import mean_direction, unit_rows

PIECES = 16  # pieces at most that the rest of a crossed segment is sorted into
_ROUNDS = 10  # assignments of pieces to strokes or to the rest, each with a new mean of the rest
_AT_ONCE = 1 << 20  # pixels that are assigned at once


class Region(NamedTuple):
    """Some pixels of an image, in a window of it.

    pixels: [H', W'] bool; top, left: position of the window in the image; size: (H, W) of the image.
    """

    pixels: np.ndarray
    top: int
    left: int
    size: tuple[int, int]


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


def pieces_of_strokes(segments: Segments, embeddings: Tensor, mask: np.ndarray, ignore: int) -> LabelledSegments:
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
    _, h, w = embeddings.shape
    marked = np.flatnonzero(mask != ignore)
    values = mask.ravel()[marked].astype(np.int64)
    classes = int(values.max(initial=0)) + 1
    keys, piece = np.unique(segments.labels.ravel()[marked].astype(np.int64) * classes + values, return_inverse=True)
    areas, class_ids = np.bincount(piece, minlength=len(keys)), keys % classes
    sums = _sums_below(embeddings, marked, piece, len(keys), mask.shape)
    joined = _join_small(sums, areas, class_ids, mask.size / (h * w))
    kept, number = np.unique(joined, return_inverse=True)
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels.ravel()[marked] = number[piece]
    return LabelledSegments(
        labels, unit_rows(sums[kept]), class_ids[kept], areas[kept], bounding_boxes(labels, len(kept))
    )


def parts_like(
    region: Region, embeddings: Tensor, prototypes: np.ndarray, class_ids: np.ndarray, options: SortingOptions
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
        [H', W'] int64, in the size of `region.pixels`: the class of each of these pixels, -1 for the rest and outside
        of the segment.
    """
    parts = np.full(region.pixels.shape, -1, dtype=np.int64)
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
    pieces = sort_pixels(cropped[None], wanted, torch.from_numpy(valid)[None].to(cropped.device)).labels[0]
    classes = _classes_of_pieces(cropped, pieces, prototypes, class_ids)
    cells = np.where(valid, classes[pieces.cpu().numpy()], -1)
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    _outline(parts, region.pixels, cells[tuple(nearest)], rows, columns)
    _return_small(parts, region.pixels, region.size[0] * region.size[1] / (h * w))
    return parts


def _sums_below(
    embeddings: Tensor, pixels: np.ndarray, piece: np.ndarray, count: int, size: tuple[int, int]
) -> np.ndarray:
    """The sum of the embeddings below the pixels of each piece: [count, D] float64.

    Args:
        embeddings: [D, h, w].
        pixels: [n] int64, y * W + x of each pixel.
        piece: [n] int64, its piece, 0..count-1.
        count: number of pieces.
        size: (H, W).
    """
    (_, h, w), (H, W) = embeddings.shape, size
    y, x = pixels // W, pixels % W
    pairs, times = np.unique((piece * h + y * h // H) * w + x * w // W, return_counts=True)
    below = embeddings.flatten(1).T[torch.from_numpy(pairs % (h * w)).to(embeddings.device)].cpu().double().numpy()
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


def _classes_of_pieces(embeddings: Tensor, pieces: Tensor, prototypes: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """The class of each piece of a segment, -1 for the rest of the segment.

    Args:
        embeddings: [D, h, w].
        pieces: [h, w] int64 piece of each cell, -1: none.
        prototypes, class_ids: of the strokes, as of `parts_like`.
    """
    rows, labels = embeddings.flatten(1).T.double(), pieces.flatten()
    count = int(labels.max()) + 1
    directions = mean_direction(rows, labels, count).cpu().numpy()
    sizes = np.bincount(labels[labels >= 0].cpu().numpy(), minlength=count)[:, None]
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
        parts: [H', W'] int64; changed in place at `pixels`.
        pixels: [H', W'] bool.
        classes: class of each cell above the window, -1 for the rest.
        rows, columns: the cells.
    """
    values, place = np.unique(classes, return_inverse=True)
    place = place.reshape(classes.shape)
    width = pixels.shape[1]
    for some in _bands(np.flatnonzero(pixels)):
        y, down = rows.before[some // width], rows.share[some // width]
        x, along = columns.before[some % width], columns.share[some % width]
        below, right = np.minimum(y + 1, len(rows) - 1), np.minimum(x + 1, len(columns) - 1)
        corners = ((y, x), (y, right), (below, x), (below, right))
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
    classes, areas = np.unique(parts[pixels], return_counts=True)
    for class_id, area in zip(classes.tolist(), areas.tolist(), strict=True):
        if class_id >= 0 and area < least:
            parts[parts == class_id] = -1
    rest = pixels & (parts < 0)
    classes, areas = np.unique(parts[pixels & ~rest], return_counts=True)
    if len(classes) and rest.sum() < least:
        parts[rest] = classes[areas.argmax()]
