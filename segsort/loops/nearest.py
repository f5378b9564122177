"""The exact nearest neighbours among unit vectors, by comparison with every row."""

from typing import Any, NamedTuple

import numpy as np

from segsort.loops import threads
from segsort.loops.blocks import ORDERED, PIECE, block_of, dot
from segsort.loops.cache import loop
from segsort.loops.sharing import add, counters, wait

GROUP = 16  # rows of which only the largest cosine is remembered
GROUPED, GROUPING, SEARCHED = range(3)  # counters: pieces of rows done, pieces taken, queries taken
_ALL = np.zeros(0, dtype=bool)  # no row is gone
_PRODUCTS_A_THREAD = 1 << 22  # multiplications below which another thread costs more than it saves
_ROUNDING = np.float32(1e-6)  # products round differently one by one than many at once


class Search(NamedTuple):
    """Arrays that threads share while they search N rows for the nearest k of each of Q queries.

    Attributes:
        rows: [N, D] float32 unit vectors.
        queries: [Q, D] float32 unit vectors.
        columns: [D, Q] float32, the queries again.
        gone: [N] bool, rows that are never found; or [0], none is gone.
        maxima: [N/GROUP, Q] float32, largest cosine of each group of rows with each query.
        cosines: [Q, k] float32, the result, best first.
        found: [Q, k] int64, the result: rows.
        counters: see `GROUPED`.
    """

    rows: np.ndarray
    queries: np.ndarray
    columns: np.ndarray
    gone: np.ndarray
    maxima: np.ndarray
    cosines: np.ndarray
    found: np.ndarray
    counters: np.ndarray

    @classmethod
    def allocate(
        cls, rows: np.ndarray, queries: np.ndarray, gone: np.ndarray | None, cosines: np.ndarray, found: np.ndarray
    ) -> "Search":
        """Allocate the arrays that the search needs in addition to its result."""
        maxima = np.empty((-(-len(rows) // GROUP), len(queries)), dtype=np.float32)
        columns = np.ascontiguousarray(queries.T)
        return cls(rows, queries, columns, _ALL if gone is None else gone, maxima, cosines, found, counters(3))


def search(rows: np.ndarray, queries: np.ndarray, k: int, gone: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The nearest k of rows [N, D] for queries [Q, D]: cosines [Q, k'] float32 and rows [Q, k'] int64."""
    k = min(k, len(rows) - (0 if gone is None else int(np.count_nonzero(gone))))
    cosines, found = np.empty((len(queries), k), dtype=np.float32), np.empty((len(queries), k), dtype=np.int64)
    check_finite(queries)
    if cosines.size:
        work = Search.allocate(rows, queries, gone, cosines, found)

        def find(number: int) -> None:
            group_maxima(work)
            nearest_rows(work)

        threads.together(find, threads.useful(rows.size * len(queries), _PRODUCTS_A_THREAD))
    return cosines, found


def check_finite(queries: np.ndarray) -> None:
    """Check the queries of a search: with a value that is not finite, no row is nearer than another.

    Raises:
        ValueError: naming the first such query.
    """
    if not np.isfinite(queries).all():
        first = int(np.flatnonzero(~np.isfinite(queries).all(axis=1))[0])
        raise ValueError(
            f"query {first} of {len(queries)} has values that are not finite, such as {queries[first].tolist()[:3]}; "
            "search for unit vectors"
        )


def insert(
    before: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    first: int,
    queries: np.ndarray,
    k: int,
    gone: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest k when rows [n, D], numbered from `first` on, follow those that were searched before."""
    Q, held = before[0].shape
    k = min(k, held + len(rows) - (0 if gone is None else int(np.count_nonzero(gone))))
    cosines, found = np.full((Q, k), -2, dtype=np.float32), np.full((Q, k), -1, dtype=np.int64)
    cosines[:, :held], found[:, :held] = before
    if cosines.size:
        work = Search.allocate(rows, queries, gone, cosines, found)
        group_maxima(work)
        insert_rows(work, first)
    return cosines, found


def cosines(rows: np.ndarray, queries: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Cosines of queries [Q, D] with their own rows of [N, D], found [Q, k] int64: [Q, k] float32."""
    result = np.empty(found.shape, dtype=np.float32)
    cosines_of(rows, queries, found, result)
    return result


def portable_cosines(rows: np.ndarray, queries: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Cosines [Q, k] of queries [Q, D] with their own rows of [N, D], found [Q, k] int64, the same on every machine."""
    result = np.empty(found.shape, dtype=np.float32)
    portable_cosines_of(rows, queries, found, result)
    return result


@loop(fastmath=ORDERED)
def group_maxima(work: Search) -> None:
    """Fill `maxima`; a row that is gone counts as -2, less than any cosine. Threads share the rows.

    When it ends in any thread, all maxima are there.
    """
    rows, gone, maxima, counters = work.rows, work.gone, work.maxima, work.counters
    N, Q = len(rows), work.columns.shape[1]
    block, pieces = block_of(rows.shape[1], Q), -(-N // PIECE)
    scores = np.empty((block, Q), rows.dtype)  # rule 2 of `sharing`
    while True:
        piece = add(counters, GROUPING, 1)
        if piece >= pieces:
            break
        last = min((piece + 1) * PIECE, N)
        for start in range(piece * PIECE, last, block):
            count = min(block, last - start)
            np.dot(rows[start : start + count], work.columns, scores[:count])
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
        add(counters, GROUPED, 1)
    wait(counters, GROUPED, pieces)


@loop(inner=True)
def _cosine(a: np.ndarray, b: np.ndarray) -> Any:
    """Cosine of two unit vectors [D], -1..1; a pair has the same cosine to the last bit wherever it is computed."""
    return min(max(dot(a, b), np.float32(-1)), np.float32(1))


@loop()
def cosines_of(rows: np.ndarray, queries: np.ndarray, found: np.ndarray, result: np.ndarray) -> None:
    """Cosines of queries [Q, D] with their own rows of [N, D], found [Q, k], into result [Q, k]."""
    for q in range(len(queries)):
        for i in range(found.shape[1]):
            result[q, i] = _cosine(rows[found[q, i]], queries[q])


@loop()
def portable_cosines_of(rows: np.ndarray, queries: np.ndarray, found: np.ndarray, result: np.ndarray) -> None:
    """Cosines of queries [Q, D] with their own rows of [N, D], found [Q, k], into result [Q, k], all float32.

    The product of two float32 is exact in float64, and the sums are in the order of the dimensions. So neither the
    processor nor the compiler changes a bit. Four rows are taken at a time, because each sum waits for the one before.
    """
    D, k = queries.shape[1], found.shape[1]
    for q in range(len(queries)):
        query = queries[q]
        for first in range(0, k, 4):
            at = (first, min(first + 1, k - 1), min(first + 2, k - 1), min(first + 3, k - 1))
            a, b, c, e = rows[found[q, at[0]]], rows[found[q, at[1]]], rows[found[q, at[2]]], rows[found[q, at[3]]]
            sum_a, sum_b, sum_c, sum_e = np.float64(0), np.float64(0), np.float64(0), np.float64(0)
            for d in range(D):
                value = np.float64(query[d])
                sum_a += np.float64(a[d]) * value
                sum_b += np.float64(b[d]) * value
                sum_c += np.float64(c[d]) * value
                sum_e += np.float64(e[d]) * value
            result[q, at[0]] = np.float32(sum_a)
            result[q, at[1]] = np.float32(sum_b)
            result[q, at[2]] = np.float32(sum_c)
            result[q, at[3]] = np.float32(sum_e)


@loop(fastmath=ORDERED)
def _bound(values: np.ndarray, k: int) -> Any:
    """A value that at least k of `values` [n] reach, and few more do, by bisection."""
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


@loop()
def _insert(score: Any, row: int, best: np.ndarray, found: np.ndarray) -> None:
    """Insert a row into the nearest so far, best and found [k], behind those that are as near."""
    at = len(best)
    while at > 0 and best[at - 1] < score:
        at -= 1
    if at < len(best):
        for i in range(len(best) - 1, at, -1):
            best[i], found[i] = best[i - 1], found[i - 1]
        best[at], found[at] = score, row


@loop()
def _sort_falling(scores: np.ndarray, rows: np.ndarray, count: int) -> int:
    """Sort the first `count` of scores[0], and of rows[0] with them, by falling score, stably.

    Merge sort between the two halves of the arrays [2, N]. numba's own sort takes longer to compile than all the rest.

    Returns:
        The half that holds the result.
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


@loop()
def nearest_rows(work: Search) -> None:
    """Fill `cosines` and `found` with the nearest k rows of each query, after `group_maxima`; threads share queries.

    At least k rows are not gone. The k-th best cosine is at least the k-th largest maximum of a group, so only groups
    that reach it are searched. Equal cosines are in the order of their rows.
    """
    rows, queries, gone, maxima = work.rows, work.queries, work.gone, work.maxima
    N, (groups, Q), k = len(rows), maxima.shape, work.found.shape[1]
    column = np.empty(groups, np.float32)
    candidates, scores = np.empty((2, N), np.int64), np.empty((2, N), np.float32)  # two halves, to sort them
    while True:
        q = add(work.counters, SEARCHED, 1)
        if q >= Q:
            return
        for g in range(groups):
            column[g] = maxima[g, q]
        bound = np.float32(-np.inf)
        if groups > k:
            bound = _bound(column, k) - _ROUNDING
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
        half = _sort_falling(scores, candidates, count)
        for i in range(k):
            work.cosines[q, i], work.found[q, i] = scores[half, i], candidates[half, i]


@loop()
def insert_rows(work: Search, first: int) -> None:
    """Insert rows that follow others into `cosines` and `found`, which hold the nearest of those others.

    Where the others were fewer than k, the rest of `cosines` is -2.
    """
    rows, queries, gone, maxima = work.rows, work.queries, work.gone, work.maxima
    n, (groups, Q), k = len(rows), maxima.shape, work.found.shape[1]
    for q in range(Q):
        best, found = work.cosines[q], work.found[q]
        for g in range(groups):
            if maxima[g, q] < best[k - 1] - _ROUNDING:
                continue
            for row in range(g * GROUP, min((g + 1) * GROUP, n)):
                if len(gone) and gone[row]:
                    continue
                _insert(_cosine(rows[row], queries[q]), first + row, best, found)
