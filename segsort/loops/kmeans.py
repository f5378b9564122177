"""Spherical k-means over the pixels of one image, which threads share: hard EM from starting labels.

`sort_rows` computes what `segsort.pixel_sorting.sort_hard` computes from given starting labels. Two things make it
faster. It corrects the sums of the groups by the rows that moved, instead of adding up all rows again. It stops when no
row moved.
"""

from typing import Any, NamedTuple

import numpy as np

from segsort.loops.blocks import ORDERED, PIECE, block_of
from segsort.loops.cache import loop
from segsort.loops.sharing import add, counters, read, share, wait

OPENED, MOVED, STOPPED, ADDED, ADDING, FIRST = range(
    6
)  # counters; from FIRST on two for each iteration: taken and done


class Sorting(NamedTuple):
    """Arrays that threads share while they sort N rows into K groups.

    Attributes:
        rows: [N, D] float32 unit vectors.
        labels: [N] int64, the group of each row; starting labels at first, the result at the end.
        theta: [D, K] float32, the means.
        sums: [T, K, D] float64, what each of T threads adds to the sums of the groups.
        sizes: [T, K] int64, what each of T threads adds to the numbers of rows.
        empty: [K] bool, the groups without rows.
        counters: see `FIRST`.
    """

    rows: np.ndarray
    labels: np.ndarray
    theta: np.ndarray
    sums: np.ndarray
    sizes: np.ndarray
    empty: np.ndarray
    counters: np.ndarray

    @classmethod
    def allocate(cls, rows: np.ndarray, labels: np.ndarray, count: int, iterations: int, threads: int) -> "Sorting":
        """Allocate all arrays that `threads` threads need."""
        D = rows.shape[1]
        return cls(
            rows, labels, np.empty((D, count), dtype=np.float32), np.zeros((threads, count, D)),
            np.zeros((threads, count), dtype=np.int64), np.empty(count, dtype=np.bool_),
            counters(FIRST + 2 * iterations),
        )  # fmt: skip


def sort(rows: np.ndarray, labels: np.ndarray, count: int, iterations: int, threads: int) -> np.ndarray:
    """Sort rows [N, D] float32 from labels [N] int64, which are changed: means [count, D] float32."""
    work = Sorting.allocate(rows, labels, count, iterations, threads)
    share(lambda number: sort_rows(work, iterations, number), threads, lambda: stop(work.counters, iterations))
    return np.ascontiguousarray(work.theta.T)


@loop()
def add_rows(rows: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> None:
    """Add rows [N, D] to the sums [K, D] of their groups, and count them in sizes [K]; labels [N]."""
    for i in range(len(labels)):
        group = labels[i]
        sizes[group] += 1
        for d in range(rows.shape[1]):
            sums[group, d] += rows[i, d]


@loop()
def means(sums: np.ndarray, sizes: np.ndarray, theta: np.ndarray) -> None:
    """M-step: directions of the sums [K, D] into the columns of theta [D, K]; zeros for a group without rows."""
    K, D = sums.shape
    for k in range(K):
        squares = 0.0
        for d in range(D):
            if sizes[k] == 0:
                sums[k, d] = 0  # rounding leaves something in a group that was emptied, which is no direction
            squares += sums[k, d] * sums[k, d]
        scale = 1 / max(np.sqrt(squares), 1e-12)
        for d in range(D):
            theta[d, k] = sums[k, d] * scale


@loop(fastmath=ORDERED, inner=True)
def _move_to_nearest(work: Sorting, first: int, last: int, empty: np.ndarray, cosines: np.ndarray, number: int) -> int:
    """E-step of the rows first..last-1: move each to the group of the nearest mean; returns how many moved.

    A row stays where it is on a tie. Most rows stay, so that for each row it is first checked whether any mean is
    nearer than its own.

    Args:
        work: the sorting; its labels, and the thread's own sums and sizes, are changed.
        first, last: the rows.
        empty: the groups without rows, which attract none.
        cosines: [_, K] float32, scratch memory for a block of rows.
        number: of the thread.
    """
    labels, theta, sums, sizes = work.labels, work.theta, work.sums[number], work.sizes[number]
    block, K = cosines.shape
    D, moved = work.rows.shape[1], 0
    for start in range(first, last, block):
        count = min(block, last - start)
        rows = work.rows[start : start + count]
        np.dot(rows, theta, cosines[:count])
        for i in range(count):
            row = cosines[i]
            for group in empty:
                row[group] = -np.inf
            source = labels[start + i]
            own, nearer = row[source], False
            for k in range(K):
                nearer |= row[k] > own
            if not nearer:
                continue
            top = row[0]
            for k in range(1, K):
                if row[k] > top:
                    top = row[k]
            target = 0
            while target < K - 1 and row[target] != top:
                target += 1
            labels[start + i] = target
            moved += 1
            sizes[source] -= 1
            sizes[target] += 1
            for d in range(D):
                sums[source, d] -= rows[i, d]
                sums[target, d] += rows[i, d]
    return moved


@loop(inner=True)
def _add_up(sums: np.ndarray, sizes: np.ndarray) -> None:
    """Add the sums [T, K, D] and sizes [T, K] of all threads to those of thread 0, and set the others to zero."""
    for other in range(1, len(sums)):
        for group in range(sizes.shape[1]):
            sizes[0, group] += sizes[other, group]
            sizes[other, group] = 0
            for d in range(sums.shape[2]):
                sums[0, group, d] += sums[other, group, d]
                sums[other, group, d] = 0


@loop()
def add_pieces(work: Sorting, number: int) -> None:
    """Add all rows to the sums of their groups; threads share the rows.

    Thread 0 returns when its sums hold all rows.
    """
    rows, labels, counters = work.rows, work.labels, work.counters
    pieces = -(-len(rows) // PIECE)
    piece = add(counters, ADDING, 1)
    while piece < pieces:
        some = slice(piece * PIECE, min((piece + 1) * PIECE, len(rows)))
        add_rows(rows[some], labels[some], work.sums[number], work.sizes[number])
        add(counters, ADDED, 1)
        piece = add(counters, ADDING, 1)
    if number == 0:
        wait(counters, ADDED, pieces)
        _add_up(work.sums, work.sizes)


@loop()
def is_open(counters: np.ndarray, iteration: int) -> bool:
    """Wait until thread 0 opens an iteration; False if it has ended the sorting."""
    wait(counters, OPENED, iteration + 1)
    return bool(read(counters, STOPPED) == 0)


@loop(inner=True)
def gather(work: Sorting, pieces: int, iteration: int) -> Any:
    """Wait for all pieces of an iteration, add up the sums of all threads, and return how many rows moved."""
    wait(work.counters, FIRST + 2 * iteration + 1, pieces)
    _add_up(work.sums, work.sizes)
    return add(work.counters, MOVED, -read(work.counters, MOVED))


@loop()
def stop(counters: np.ndarray, iterations: int) -> None:
    """Mark the sorting as stopped, so that all threads return that wait for another iteration.

    Thread 0 calls it after the last iteration, and `share` after a failure.
    """
    add(counters, STOPPED, 1)
    add(counters, OPENED, iterations)


@loop()
def sort_rows(work: Sorting, iterations: int, number: int) -> None:
    """Run spherical k-means until no row moves. Each of the threads calls this with its number.

    Thread 0 leads: it computes the means (M-step) and opens an iteration. All threads share the E-step.
    """
    rows, counters, K = work.rows, work.counters, work.theta.shape[1]
    pieces = -(-len(rows) // PIECE)
    cosines, empty = np.empty((block_of(rows.shape[1], K), K), rows.dtype), np.empty(K, np.int64)  # rule 2 of `sharing`
    add_pieces(work, number)
    for iteration in range(iterations):
        taken, done = FIRST + 2 * iteration, FIRST + 2 * iteration + 1
        if number == 0:
            means(work.sums[0], work.sizes[0], work.theta)
            for group in range(K):
                work.empty[group] = work.sizes[0, group] == 0
            add(counters, OPENED, 1)
        elif not is_open(counters, iteration):
            return
        piece, without_rows = add(counters, taken, 1), 0
        if piece < pieces:  # until this piece is done, thread 0 waits and changes nothing
            for group in range(K):
                if work.empty[group]:
                    empty[without_rows] = group
                    without_rows += 1
        while piece < pieces:
            last = min((piece + 1) * PIECE, len(rows))
            moved = _move_to_nearest(work, piece * PIECE, last, empty[:without_rows], cosines, number)
            add(counters, MOVED, moved)
            add(counters, done, 1)
            piece = add(counters, taken, 1)
        if number == 0 and gather(work, pieces, iteration) == 0:
            break
    if number == 0:
        means(work.sums[0], work.sizes[0], work.theta)
        stop(counters, iterations)
