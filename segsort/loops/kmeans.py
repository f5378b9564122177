"""Inner loops that no array library does in one pass, compiled by numba; each has a naive oracle in the tests."""

from typing import Any

import numpy as np
from numba import njit

from segsort.loops.sharing import add, read, wait

ORDERED = {"nnan", "nsz"}  # lets the compiler take maxima eight at a time; inputs hold no NaN
BLOCK = 96  # rows multiplied at once, at most: what comes out stays in the cache
_PRODUCTS = 1 << 19  # multiplications for which BLAS starts no threads; they would wait for each other
PIECE = 5 * BLOCK  # rows that a thread takes at once
OPENED, MOVED, LEFT, ADDED, ADDING, FIRST = range(6)  # counters of `sort_rows`; from FIRST on two for each iteration


@njit(cache=True, nogil=True)
def block_of(dimension: int, columns: int) -> Any:
    """Rows [_, dimension] that are multiplied with so many columns at once: a multiple of 16, but at least 16."""
    return max(16, min(BLOCK, _PRODUCTS // (dimension * columns) // 16 * 16))


@njit(cache=True, nogil=True)
def grouped(keys: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of each key 0..count-1, in their order [n], and where each key's begin among them [count+2], twice the
    end; keys: [N] int, of which others are left out. As a stable argsort, without sorting.
    """
    bounds = np.zeros(count + 2, np.int64)  # while places are found, one further on
    for key in keys:
        if 0 <= key < count:
            bounds[key + 2] += 1
    for key in range(count):
        bounds[key + 2] += bounds[key + 1]
    order = np.empty(bounds[count + 1], np.int64)
    for place in range(len(keys)):
        key = keys[place]
        if 0 <= key < count:
            order[bounds[key + 1]] = place
            bounds[key + 1] += 1
    return order, bounds


@njit(cache=True, nogil=True)
def add_rows(features: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> None:
    """Add the rows of `features` [N, D] to the sums [K, D] of their groups, and count them in `sizes` [K].

    A row with a negative label belongs to no group.
    """
    for i in range(len(labels)):
        group = labels[i]
        if group < 0:
            continue
        sizes[group] += 1
        for d in range(features.shape[1]):
            sums[group, d] += features[i, d]


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def add_directions(rows: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> None:
    """As `add_rows`, of the embeddings in the rows [N, D+2] of `sorting_rows`, at unit length again: sums [K, D]."""
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


@njit(cache=True, nogil=True)
def add_at_centres(
    vectors: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    sums: np.ndarray,
    sizes: np.ndarray,
    counters: np.ndarray,
) -> None:
    """`add_directions` of cells, vectors [h*w, D+2], by the labels [H, W] at rows [h] and columns [w], their centres.

    Threads, each with its own sums, share the rows of cells by counter 0.
    """
    h, w = len(rows), len(columns)
    below = np.empty(w, labels.dtype)
    while True:
        y = add(counters, 0, 1)
        if y >= h:
            return
        for x in range(w):
            below[x] = labels[rows[y], columns[x]]
        add_directions(vectors[y * w : (y + 1) * w], below, sums, sizes)


@njit(cache=True, nogil=True)
def means(sums: np.ndarray, sizes: np.ndarray, theta: np.ndarray) -> None:
    """Directions of the sums [K, D] into the columns of `theta` [D, K]; zeros for a group without rows."""
    K, D = sums.shape
    for k in range(K):
        squares = 0.0
        for d in range(D):
            if sizes[k] == 0:
                sums[k, d] = 0  # what rounding leaves of a group that was emptied is no direction
            squares += sums[k, d] * sums[k, d]
        scale = 1 / max(np.sqrt(squares), 1e-12)
        for d in range(D):
            theta[d, k] = sums[k, d] * scale


@njit(cache=True, nogil=True, fastmath=ORDERED)
def _move_to_nearest(
    rows: np.ndarray,
    theta: np.ndarray,
    empty: np.ndarray,
    labels: np.ndarray,
    sums: np.ndarray,
    sizes: np.ndarray,
    cosines: np.ndarray,
) -> int:
    """Move each of the rows [N, D] to the group of the nearest mean, and correct sums and sizes of the groups.

    theta: [D, K] unit columns; empty: the groups without rows, which attract none; cosines: room for a block of rows
    [_, K]. A row stays where it is on a tie. Most rows stay, so that in all of them it is only seen whether any mean is
    nearer. Says how many rows moved.
    """
    N, D = rows.shape
    block, K = cosines.shape
    moved = 0
    for start in range(0, N, block):
        count = min(block, N - start)
        np.dot(rows[start : start + count], theta, cosines[:count])
        for i in range(count):
            row = cosines[i]
            for without in empty:
                row[without] = -np.inf
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
                sums[source, d] -= rows[start + i, d]
                sums[target, d] += rows[start + i, d]
    return moved


@njit(cache=True, nogil=True)
def _pour(sums: np.ndarray, sizes: np.ndarray) -> None:
    """Add the sums [T, K, D] and sizes [T, K] of all threads to those of thread 0, and leave nothing behind."""
    for other in range(1, len(sums)):
        for group in range(sizes.shape[1]):
            sizes[0, group] += sizes[other, group]
            sizes[other, group] = 0
            for d in range(sums.shape[2]):
                sums[0, group, d] += sums[other, group, d]
                sums[other, group, d] = 0


@njit(cache=True, nogil=True)
def add_pieces(
    rows: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray, counters: np.ndarray, number: int
) -> None:
    """`add_rows` of all rows by threads together; with thread 0 it ends when sums[0] and sizes[0] hold all."""
    pieces = -(-len(rows) // PIECE)
    piece = add(counters, ADDING, 1)
    while piece < pieces:
        some = slice(piece * PIECE, min((piece + 1) * PIECE, len(rows)))
        add_rows(rows[some], labels[some], sums[number], sizes[number])
        add(counters, ADDED, 1)
        piece = add(counters, ADDING, 1)
    if number == 0:
        wait(counters, ADDED, pieces)
        _pour(sums, sizes)


@njit(cache=True, nogil=True)
def is_open(counters: np.ndarray, iteration: int) -> bool:
    """Wait until thread 0 opens an iteration; whether there is one."""
    wait(counters, OPENED, iteration + 1)
    return bool(read(counters, LEFT) == 0)


@njit(cache=True, nogil=True)
def gather(sums: np.ndarray, sizes: np.ndarray, pieces: int, iteration: int, counters: np.ndarray) -> Any:
    """Wait for all pieces of an iteration, pour all threads' sums together, and say how many rows moved."""
    wait(counters, FIRST + 2 * iteration + 1, pieces)
    _pour(sums, sizes)
    return add(counters, MOVED, -read(counters, MOVED))


@njit(cache=True, nogil=True)
def leave(counters: np.ndarray, iterations: int) -> None:
    """Let all threads of `sort_rows` end that wait for another iteration."""
    add(counters, LEFT, 1)
    add(counters, OPENED, iterations)


@njit(cache=True, nogil=True)
def sort_rows(
    rows: np.ndarray,
    labels: np.ndarray,
    theta: np.ndarray,
    sums: np.ndarray,
    sizes: np.ndarray,
    without: np.ndarray,
    iterations: int,
    counters: np.ndarray,
    number: int,
) -> None:
    """Spherical k-means by threads together, each of which calls this with its number; it ends when no row moves.

    rows: [N, D] unit vectors; labels: [N] int64, where to begin, and where it ends; theta: [D, K], for the means;
    sums, sizes: [T, K, D] float64 and [T, K] int64, zeros; without: [K] bool, for the groups without rows; counters:
    FIRST, and two for each iteration. Thread 0 leads: it makes the means and opens an iteration; the others help with
    those that they find open.
    """
    pieces, K = -(-len(rows) // PIECE), theta.shape[1]
    # All that is needed is here before a piece is taken: who has one is waited for, and must not fail.
    cosines, empty = np.empty((block_of(rows.shape[1], K), K), rows.dtype), np.empty(K, np.int64)
    add_pieces(rows, labels, sums, sizes, counters, number)
    for iteration in range(iterations):
        taken, done = FIRST + 2 * iteration, FIRST + 2 * iteration + 1
        if number == 0:
            means(sums[0], sizes[0], theta)
            for group in range(len(without)):
                without[group] = sizes[0, group] == 0
            add(counters, OPENED, 1)
        elif not is_open(counters, iteration):
            return
        piece, without_rows = add(counters, taken, 1), 0
        if piece < pieces:  # from now on, and no sooner, thread 0 waits and changes nothing
            for group in range(K):
                if without[group]:
                    empty[without_rows] = group
                    without_rows += 1
        while piece < pieces:
            some = slice(piece * PIECE, min((piece + 1) * PIECE, len(rows)))
            moved = _move_to_nearest(
                rows[some], theta, empty[:without_rows], labels[some], sums[number], sizes[number], cosines
            )
            add(counters, MOVED, moved)
            add(counters, done, 1)
            piece = add(counters, taken, 1)
        if number == 0 and gather(sums, sizes, pieces, iteration, counters) == 0:
            break
    if number == 0:
        means(sums[0], sizes[0], theta)
        leave(counters, iterations)


@njit(cache=True, nogil=True)
def scale_planes(image: np.ndarray, mean: np.ndarray, scale: np.ndarray, planes: np.ndarray) -> None:
    """(image - mean) * scale of an image [C, H, W] into planes [C, H', W'], its last row and column repeated."""
    C, H, W = image.shape
    for c in range(C):
        for y in range(planes.shape[1]):
            row, values = planes[c, y], image[c, min(y, H - 1)]
            for x in range(W):
                row[x] = (np.float32(values[x]) - mean[c]) * scale[c]
            for x in range(W, len(row)):
                row[x] = row[W - 1]


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def sorting_rows(embeddings: np.ndarray, y: np.ndarray, x: np.ndarray, rows: np.ndarray, counters: np.ndarray) -> None:
    """Embeddings with their location appended, as unit vectors, into `rows` [h*w, D+2]; threads share it by a counter.

    embeddings: [D, h*w]; y: [h], x: [w], weighted already. A row without any length stays zero. Few pixels are turned
    at once: each line of memory is read once, also where the planes lie a power of two apart.
    """
    D, w, scale = len(embeddings), len(x), np.empty(PIECE, np.float32)
    while True:
        start = add(counters, 0, PIECE)
        if start >= len(rows):
            return
        stop = min(start + PIECE, len(rows))
        some = rows[start:stop]
        row, column = start // w, start % w
        for i in range(len(some)):
            down, along = y[row], x[column]
            some[i, D], some[i, D + 1], scale[i] = down, along, down * down + along * along
            column += 1
            if column == w:
                row, column = row + 1, 0
        for d in range(D):
            values = embeddings[d, start:stop]
            for i in range(len(values)):
                scale[i] += values[i] * values[i]
        for i in range(len(some)):
            scale[i] = np.float32(1) / max(np.sqrt(scale[i]), np.float32(1e-12))
            some[i, D] *= scale[i]
            some[i, D + 1] *= scale[i]
        for first in range(0, len(some), BLOCK):
            for d in range(D):
                values = embeddings[d, start + first : min(start + first + BLOCK, stop)]
                for i in range(len(values)):
                    some[first + i, d] = values[i] * scale[first + i]


@njit(cache=True, nogil=True)
def _places(length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the centres of `length` pixels lie among the centres of `cells` cells: the cell before, and how far on."""
    before, share = np.empty(length, np.int64), np.empty(length, np.float32)
    for i in range(length):
        at = min(max((i + 0.5) * cells / length - 0.5, 0.0), cells - 1.0)
        before[i] = int(at)
        share[i] = at - before[i]
    return before, share


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def dot(a: np.ndarray, b: np.ndarray) -> Any:
    """Inner product of two float32 vectors, the same to the last bit wherever it is asked for."""
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@njit(cache=True, nogil=True)
def outline(cells: np.ndarray, rows: np.ndarray, theta: np.ndarray, labels: np.ndarray, counters: np.ndarray) -> None:
    """Assign every pixel of `labels` [H, W] among the segments of the four cells around it; threads share the rows.

    cells: [h, w] segment of each cell; rows: [h*w, D] float32 features of the cells; theta: [K, D] float32 means.
    Cosines are interpolated bilinearly between the four cells; where these agree there is nothing to decide.
    """
    H, W = labels.shape
    h, w = cells.shape
    above, down = _places(H, h)
    left, along = _places(W, w)
    corner = np.empty((4, 4), np.float32)  # cosine of each candidate at each of the four cells
    candidates = np.empty(4, cells.dtype)
    while True:
        y0 = add(counters, 0, 1)  # the rows of pixels between this row of cells and the next
        if y0 >= h:
            return
        top = 0
        while top < H and above[top] < y0:
            top += 1
        bottom = top
        while bottom < H and above[bottom] == y0:
            bottom += 1
        y1 = min(y0 + 1, h - 1)
        start = 0
        while start < W:
            x0 = left[start]
            stop = start + 1
            while stop < W and left[stop] == x0:
                stop += 1
            x1 = min(x0 + 1, w - 1)
            around = (cells[y0, x0], cells[y0, x1], cells[y1, x0], cells[y1, x1])
            if around[0] == around[1] and around[0] == around[2] and around[0] == around[3]:
                for y in range(top, bottom):
                    for x in range(start, stop):
                        labels[y, x] = around[0]
                start = stop
                continue
            corners = (y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1)
            count = 0
            for candidate in around:
                new = True
                for i in range(count):
                    new = new and candidates[i] != candidate
                if new:
                    candidates[count] = candidate
                    for i in range(4):
                        corner[count, i] = dot(rows[corners[i]], theta[candidate])
                    count += 1
            for y in range(top, bottom):
                v = down[y]
                for x in range(start, stop):
                    u = along[x]
                    best, winner = np.float32(-np.inf), 0
                    for i in range(count):
                        upper = corner[i, 0] + u * (corner[i, 1] - corner[i, 0])
                        lower = corner[i, 2] + u * (corner[i, 3] - corner[i, 2])
                        score = upper + v * (lower - upper)
                        if score > best:
                            best, winner = score, i
                    labels[y, x] = candidates[winner]
            start = stop
