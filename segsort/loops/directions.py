"""Prototypes: mean directions of the embeddings that segments cover, without location."""

from typing import NamedTuple

import numpy as np

from segsort.cells import cells_below, centres_of_cells
from segsort.loops import threads
from segsort.loops.blocks import UNORDERED
from segsort.loops.cache import loop
from segsort.loops.location import ROWS_A_THREAD
from segsort.loops.sharing import add, counters


class Covered(NamedTuple):
    """Arrays that threads share while they add up the cells whose centres segments cover.

    Attributes:
        vectors: [h*w, D+2] float32, embeddings of the cells with their location appended.
        labels: [H, W] int32, segment of each pixel, negative: none.
        rows, columns: [h] and [w] int64, the pixels at the centres of the cells.
        sums: [T, S, D] float64, of each of T threads: sums of unit embeddings.
        sizes: [T, S] int64, of each of T threads: numbers of cells.
        taken: one counter, of rows of cells.
    """

    vectors: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    sums: np.ndarray
    sizes: np.ndarray
    taken: np.ndarray


def sums(vectors: np.ndarray, size: tuple[int, int], labels: np.ndarray, count: int) -> np.ndarray:
    """Sum of the embeddings of each segment.

    The cells whose centres a segment covers are summed. If it covers no centre, the cells below its pixels are summed.

    Args:
        vectors: [h*w, D+2] float32, unit embeddings with any location appended.
        size: (h, w).
        labels: [H, W] int32, segment of each pixel, 0..count-1; -1: none.
        count: S.

    Returns:
        [S, D] float64, sums of unit vectors.
    """
    (h, w), (H, W), D = size, labels.shape, vectors.shape[1] - 2
    several = threads.useful(h * w, ROWS_A_THREAD)
    work = Covered(
        vectors, labels, centres_of_cells(h, H), centres_of_cells(w, W), np.zeros((several, count, D)),
        np.zeros((several, count), dtype=np.int64), counters(1),
    )  # fmt: skip
    threads.together(lambda number: add_at_centres(work, number), several)
    total, sizes = work.sums.sum(axis=0), work.sizes.sum(axis=0)
    for segment in np.flatnonzero(sizes == 0):
        cells = cells_below(labels, int(segment), size)
        add_directions(vectors[cells], np.full(len(cells), segment, dtype=labels.dtype), total, sizes)
    return np.asarray(total)


@loop(fastmath=UNORDERED)
def add_directions(rows: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> None:
    """Add the embeddings in rows [N, D+2], scaled to unit length again, to the sums of their groups.

    Args:
        rows: [N, D+2] float32; the last two columns, the location, are ignored.
        labels: [N] int32, group of each row; a row with a negative label is left out.
        sums: [S, D] float64, changed.
        sizes: [S] int64, numbers of rows, changed.
    """
    D = sums.shape[1]
    for i in range(len(labels)):
        group = labels[i]
        if group < 0:
            continue
        sizes[group] += 1
        row, total, squares = rows[i], sums[group], np.float32(0)
        for d in range(D):
            squares += row[d] * row[d]
        scale = np.float32(1) / max(np.sqrt(squares), np.float32(1e-12))
        for d in range(D):
            total[d] += row[d] * scale


@loop()
def add_at_centres(work: Covered, number: int) -> None:
    """Add each embedding cell to the sum of the segment at its centre; threads share the rows of cells."""
    h, w = len(work.rows), len(work.columns)
    below = np.empty(w, work.labels.dtype)
    while True:
        y = add(work.taken, 0, 1)
        if y >= h:
            return
        for x in range(w):
            below[x] = work.labels[work.rows[y], work.columns[x]]
        add_directions(work.vectors[y * w : (y + 1) * w], below, work.sums[number], work.sizes[number])
