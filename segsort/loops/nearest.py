"""Inner loops of the exact search, compiled by numba; each has a naive oracle in the tests."""

from typing import Any

import numpy as np
from numba import njit

from segsort.loops.kmeans import ORDERED, PIECE, block_of, dot
from segsort.loops.sharing import add, wait

GROUP = 16  # rows of which only the largest cosine is remembered


@njit(cache=True, nogil=True, fastmath=ORDERED)
def group_maxima(
    rows: np.ndarray, queries: np.ndarray, gone: np.ndarray, maxima: np.ndarray, counters: np.ndarray
) -> None:
    """Largest inner product of each group of rows with each query: rows [N, D], queries [D, Q], maxima [N/GROUP, Q].

    gone: [N] bool, rows that count as -2, less than any cosine; or [0], none. Threads share the rows by the counters 0
    and 1; all are done when this ends.
    """
    N, Q = len(rows), queries.shape[1]
    block, pieces = block_of(rows.shape[1], Q), -(-N // PIECE)
    scores = np.empty((block, Q), rows.dtype)
    while True:
        piece = add(counters, 0, 1)
        if piece >= pieces:
            break
        last = min((piece + 1) * PIECE, N)
        for start in range(piece * PIECE, last, block):
            count = min(block, last - start)
            np.dot(rows[start : start + count], queries, scores[:count])
            if len(gone):
                for i in range(count):
                    if gone[start + i]:
                        for q in range(Q):
                            scores[i, q] = -2
            for first in range(0, count, GROUP):
                largest = maxima[(start + first) // GROUP]
                for q in range(Q):
                    largest[q] = scores[first, q]
                for i in range(first + 1, min(first + GROUP, count)):
                    for q in range(Q):
                        if scores[i, q] > largest[q]:
                            largest[q] = scores[i, q]
        add(counters, 1, 1)
    wait(counters, 1, pieces)


@njit(cache=True, nogil=True)
def _cosine(a: np.ndarray, b: np.ndarray) -> Any:
    """Of unit vectors; the same two have the same one to the last bit wherever it is asked for."""
    return min(max(dot(a, b), np.float32(-1)), np.float32(1))


@njit(cache=True, nogil=True)
def cosines_of(rows: np.ndarray, queries: np.ndarray, found: np.ndarray, cosines: np.ndarray) -> None:
    """Cosines of queries [Q, D] with their own rows of [N, D], found [Q, k], into [Q, k]; all are unit vectors."""
    for q in range(len(queries)):
        for i in range(found.shape[1]):
            cosines[q, i] = _cosine(rows[found[q, i]], queries[q])


@njit(cache=True, nogil=True, fastmath=ORDERED)
def _bound(values: np.ndarray, k: int) -> Any:
    """A value that at least k of `values` reach, and few more: the interval they lie in, halved again and again."""
    low, high = values[0], values[0]
    for i in range(len(values)):
        low = min(low, values[i])
    for i in range(len(values)):
        high = max(high, values[i])
    for _ in range(14):
        middle, reached = np.float32(0.5) * (low + high), np.int32(0)
        for i in range(len(values)):
            reached += np.int32(values[i] >= middle)
        if reached >= k:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _insert(score: Any, row: int, best: np.ndarray, found: np.ndarray) -> None:
    """Put a row among the nearest, [k] each, behind those that are as near."""
    at = len(best)
    while at > 0 and best[at - 1] < score:
        at -= 1
    if at < len(best):
        for i in range(len(best) - 1, at, -1):
            best[i], found[i] = best[i - 1], found[i - 1]
        best[at], found[at] = score, row


@njit(cache=True, nogil=True)
def _sort_falling(scores: np.ndarray, rows: np.ndarray, count: int) -> int:
    """Sort the first `count` of scores[0], and rows[0] with them, [2, N] each, by falling score, stably.

    By merging, from one half of the arrays to the other and back; says in which it ends. (What numba has for it takes
    longer to compile than all the rest.)
    """
    source, width = 0, 1
    while width < count:
        target = 1 - source
        for first in range(0, count, 2 * width):
            middle, last = min(first + width, count), min(first + 2 * width, count)
            a, b = first, middle
            for to in range(first, last):
                if b == last or (a < middle and scores[source, a] >= scores[source, b]):
                    scores[target, to], rows[target, to] = scores[source, a], rows[source, a]
                    a += 1
                else:
                    scores[target, to], rows[target, to] = scores[source, b], rows[source, b]
                    b += 1
        source, width = target, 2 * width
    return source


@njit(cache=True, nogil=True)
def nearest_rows(
    rows: np.ndarray,
    queries: np.ndarray,
    gone: np.ndarray,
    maxima: np.ndarray,
    best: np.ndarray,
    found: np.ndarray,
    counters: np.ndarray,
) -> None:
    """The k largest cosines of each query into `best` [Q, k], and their rows into `found` [Q, k]: exact.

    rows: [N, D] float32, of which at least k are not gone; queries: [Q, D]; gone: [N] bool, or [0] where none is;
    maxima: of `group_maxima`. Equal cosines come in the order of their rows. The k-th best is at least the k-th
    largest maximum of a group, so that only groups that reach it are looked into. Threads share the queries by counter
    2.
    """
    N, (groups, Q), k = len(rows), maxima.shape, found.shape[1]
    column = np.empty(groups, np.float32)
    candidates, scores = np.empty((2, N), np.int64), np.empty((2, N), np.float32)  # and room to sort them
    while True:
        q = add(counters, 2, 1)
        if q >= Q:
            return
        for g in range(groups):
            column[g] = maxima[g, q]
        bound = np.float32(-np.inf)
        if groups > k:
            bound = _bound(column, k) - np.float32(1e-6)  # products round differently one by one than many at once
        count = 0
        for g in range(groups):
            if column[g] < bound:
                continue
            for row in range(g * GROUP, min((g + 1) * GROUP, N)):
                if len(gone) and gone[row]:
                    continue
                score = _cosine(rows[row], queries[q])
                if score >= bound:
                    candidates[0, count], scores[0, count] = row, score
                    count += 1
        at = _sort_falling(scores, candidates, count)
        for i in range(k):
            best[q, i], found[q, i] = scores[at, i], candidates[at, i]


@njit(cache=True, nogil=True)
def insert_rows(
    rows: np.ndarray,
    queries: np.ndarray,
    gone: np.ndarray,
    maxima: np.ndarray,
    first: int,
    best: np.ndarray,
    found: np.ndarray,
) -> None:
    """Put rows that come after others at their places among the nearest: as `nearest_rows` over all of them at once.

    rows: [n, D], numbered from `first` on; queries, gone, maxima: as there. best, found: [Q, k], the nearest of the
    rows before; where these are fewer than k, -2 and any number.
    """
    n, (groups, Q), k = len(rows), maxima.shape, found.shape[1]
    for q in range(Q):
        for g in range(groups):
            if maxima[g, q] < best[q, k - 1] - np.float32(1e-6):  # rounds differently, as in nearest_rows
                continue
            for row in range(g * GROUP, min((g + 1) * GROUP, n)):
                if len(gone) and gone[row]:
                    continue
                _insert(_cosine(rows[row], queries[q]), first + row, best[q], found[q])
