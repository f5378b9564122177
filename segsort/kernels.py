"""Inner loops that no array library does in one pass, compiled by numba; each has a naive oracle in the tests."""

from typing import Any

import numpy as np
from numba import njit

_ORDERED = {"nnan", "nsz"}  # lets the compiler take maxima eight at a time; inputs hold no NaN
# Rows multiplied at once: what comes out stays in the cache, and BLAS starts no threads for so little, which would wait
# for each other where several callers share the cores.
BLOCK = 96


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


@njit(cache=True, nogil=True, fastmath=_ORDERED)
def move_to_nearest(
    features: np.ndarray,
    theta: np.ndarray,
    empty: np.ndarray,
    labels: np.ndarray,
    sums: np.ndarray,
    sizes: np.ndarray,
) -> int:
    """Move each row of `features` [N, D] to the group of the nearest mean, and correct sums and sizes of the groups.

    theta: [D, K] unit columns; empty: the groups without rows, which attract none. A row stays where it is on a tie.
    Most rows stay, so that in all of them it is only seen whether any mean is nearer. Says how many rows moved.
    """
    N, D = features.shape
    cosines = np.empty((BLOCK, theta.shape[1]), features.dtype)
    moved = 0
    for start in range(0, N, BLOCK):
        count = min(BLOCK, N - start)
        np.dot(features[start : start + count], theta, cosines[:count])
        for i in range(count):
            row = cosines[i]
            for without in empty:
                row[without] = -np.inf
            source = labels[start + i]
            own, nearer = row[source], False
            for k in range(row.shape[0]):
                nearer |= row[k] > own
            if not nearer:
                continue
            top = row[0]
            for k in range(1, row.shape[0]):
                if row[k] > top:
                    top = row[k]
            target = 0
            while row[target] != top:
                target += 1
            labels[start + i] = target
            moved += 1
            sizes[source] -= 1
            sizes[target] += 1
            for d in range(D):
                sums[source, d] -= features[start + i, d]
                sums[target, d] += features[start + i, d]
    return moved


@njit(cache=True, nogil=True)
def products(rows: np.ndarray, columns: np.ndarray, out: np.ndarray) -> None:
    """rows [N, D] times columns [D, K] into out [N, K], block by block."""
    for start in range(0, len(rows), BLOCK):
        stop = min(start + BLOCK, len(rows))
        np.dot(rows[start:stop], columns, out[start:stop])


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def append_location(features: np.ndarray, y: np.ndarray, x: np.ndarray) -> None:
    """Write (y, x) into the last two columns of `features` [h*w, D+2], then scale each row to unit length.

    y: [h], x: [w], weighted already. A row without any length stays zero.
    """
    D, w = features.shape[1], len(x)
    for i in range(len(features)):
        row = features[i]
        row[D - 2], row[D - 1] = y[i // w], x[i % w]
        squares = np.float32(0)
        for d in range(D):
            squares += row[d] * row[d]
        scale = np.float32(1) / max(np.sqrt(squares), np.float32(1e-12))
        for d in range(D):
            row[d] *= scale


@njit(cache=True, nogil=True)
def beside_others(cells: np.ndarray) -> np.ndarray:
    """Which cells [h, w] have a cell of another segment among the eight around them: [h, w] bool."""
    h, w = cells.shape
    found = np.zeros((h, w), np.bool_)
    for y in range(h):
        for x in range(w):
            own = cells[y, x]
            if x + 1 < w and cells[y, x + 1] != own:
                found[y, x] = found[y, x + 1] = True
            if y + 1 < h:
                for side in range(max(x - 1, 0), min(x + 2, w)):
                    if cells[y + 1, side] != own:
                        found[y, x] = found[y + 1, side] = True
    return found


@njit(cache=True, nogil=True)
def _places(length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the centres of `length` pixels lie among the centres of `cells` cells: the cell before, and how far on."""
    before, share = np.empty(length, np.int64), np.empty(length, np.float32)
    for i in range(length):
        at = min(max((i + 0.5) * cells / length - 0.5, 0.0), cells - 1.0)
        before[i] = int(at)
        share[i] = at - before[i]
    return before, share


@njit(cache=True, nogil=True)
def outline(cells: np.ndarray, row_of: np.ndarray, cosines: np.ndarray, labels: np.ndarray) -> None:
    """Assign every pixel of `labels` [H, W] among the segments of the four cells around it.

    cells: [h, w] segment of each cell; row_of: [h*w] row of `cosines` of each cell that is beside others;
    cosines: [M, K] float32 of those cells to each segment's mean. Cosines are interpolated bilinearly; where the four
    cells agree there is nothing to decide.
    """
    H, W = labels.shape
    h, w = cells.shape
    above, down = _places(H, h)
    left, along = _places(W, w)
    corner = np.empty((4, 4), np.float32)  # cosine of each candidate at each of the four cells
    candidates = np.empty(4, cells.dtype)
    top = 0
    while top < H:
        y0 = above[top]
        bottom = top + 1
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
                labels[top:bottom, start:stop] = around[0]
                start = stop
                continue
            rows = (row_of[y0 * w + x0], row_of[y0 * w + x1], row_of[y1 * w + x0], row_of[y1 * w + x1])
            count = 0
            for candidate in around:
                new = True
                for i in range(count):
                    new = new and candidates[i] != candidate
                if new:
                    candidates[count] = candidate
                    for i in range(4):
                        corner[count, i] = cosines[rows[i], candidate]
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
        top = bottom


@njit(cache=True, nogil=True)
def count_pieces(pieces: np.ndarray, labels: np.ndarray, areas: np.ndarray, piece_label: np.ndarray) -> None:
    """Pixels of each piece, added to `areas` [P], and its label, into `piece_label` [P]: pieces [H, W], 1..P."""
    for y in range(pieces.shape[0]):
        for x in range(pieces.shape[1]):
            piece = pieces[y, x] - 1
            areas[piece] += 1
            piece_label[piece] = labels[y, x]


@njit(cache=True, nogil=True)
def sides_of_small(pieces: np.ndarray, small: np.ndarray, sides: np.ndarray, pixels: np.ndarray) -> int:
    """For each pixel side between a small piece and another: small piece * P + other, into `sides`; says how many.

    pieces: [H, W], 1..P; small: [P] bool; the pieces in the result are numbered from 0. `pixels` receives the places
    of all pixels of small pieces, row by row.
    """
    H, W = pieces.shape
    found, seen, count = 0, 0, len(small)
    for y in range(H):
        for x in range(W):
            piece = pieces[y, x] - 1
            if not small[piece]:
                continue
            pixels[seen] = y * W + x
            seen += 1
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                if 0 <= y + dy < H and 0 <= x + dx < W:
                    other = pieces[y + dy, x + dx] - 1
                    if other != piece:
                        sides[found] = np.int64(piece) * count + other
                        found += 1
    return found


@njit(cache=True, nogil=True)
def boxes(labels: np.ndarray, edges: np.ndarray) -> None:
    """First and last column and row of each segment into `edges` [S, 4] (x0, y0, x1, y1), first set to the largest
    number and last to -1: labels [H, W] int, negative where there is no segment.
    """
    H, W = labels.shape
    for y in range(H):
        x = 0
        while x < W:
            start, owner = x, labels[y, x]
            while x < W and labels[y, x] == owner:
                x += 1
            if owner < 0:
                continue
            box = edges[owner]
            box[0] = min(box[0], start)
            box[1] = min(box[1], y)
            box[2] = max(box[2], x - 1)
            box[3] = max(box[3], y)


@njit(cache=True, nogil=True)
def column_runs(labels: np.ndarray, owner: np.ndarray, start: np.ndarray) -> int:
    """Runs of equal labels, columns first: whose each is and at which pixel it starts; says how many.

    labels: [H, W]; owner, start: as long as there may be runs, one more for the end.
    """
    H, W = labels.shape
    runs, last = 0, labels[0, 0] - 1
    for x in range(W):
        for y in range(H):
            label = labels[y, x]
            if label != last:
                owner[runs], start[runs], last = label, x * H + y, label
                runs += 1
    start[runs] = H * W
    return runs


@njit(cache=True, nogil=True)
def compress_runs(start: np.ndarray, order: np.ndarray, bounds: np.ndarray, text: np.ndarray, ends: np.ndarray) -> None:
    """COCO's compressed run lengths of each segment, one after the other, as in rleToString of COCO's maskApi.c.

    start: [R+1] pixel at which each run starts; order: [R] runs, those of one segment together and in their order;
    bounds: [S+1] where each segment's begin in `order`; text: uint8, 7 for each length; ends: [S] where each text ends.
    """
    size, at = start[-1], 0
    for segment in range(len(ends)):
        position, before, last, lengths = 0, 0, 0, 0  # `last` and `before` are the last length and the one before it
        for i in range(bounds[segment], bounds[segment + 1] + 1):
            done = i == bounds[segment + 1]
            first = size if done else start[order[i]]
            stop = size if done else start[order[i] + 1]
            for length in (first - position, stop - first):
                if done and length == 0 and lengths > 0:
                    continue  # nothing after the last pixel
                value = length - before if lengths > 2 else length
                more = True
                while more:
                    digit = value & 0x1F
                    value >>= 5
                    more = value != -1 if digit & 0x10 else value != 0
                    text[at] = (digit | 0x20 if more else digit) + 48
                    at += 1
                before, last = last, length
                lengths += 1
                if done:
                    break
            position = stop
        ends[segment] = at


GROUP = 16  # rows of which only the largest cosine is remembered


@njit(cache=True, nogil=True, fastmath=_ORDERED)
def group_maxima(rows: np.ndarray, queries: np.ndarray, gone: np.ndarray, maxima: np.ndarray) -> None:
    """Largest inner product of each group of rows with each query: rows [N, D], queries [D, Q], maxima [N/GROUP, Q].

    gone: [N] bool, rows that count as -2, less than any cosine; or [0], none.
    """
    N, Q = len(rows), queries.shape[1]
    scores = np.empty((BLOCK, Q), rows.dtype)
    for start in range(0, N, BLOCK):
        count = min(BLOCK, N - start)
        np.dot(rows[start : start + count], queries, scores[:count])
        if len(gone):
            for i in range(count):
                if gone[start + i]:
                    scores[i] = -2
        for first in range(0, count, GROUP):
            largest = maxima[(start + first) // GROUP]
            largest[:] = scores[first]
            for i in range(first + 1, min(first + GROUP, count)):
                for q in range(Q):
                    if scores[i, q] > largest[q]:
                        largest[q] = scores[i, q]


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def _dot(a: np.ndarray, b: np.ndarray) -> Any:
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@njit(cache=True, nogil=True)
def _cosine(a: np.ndarray, b: np.ndarray) -> Any:
    """Of unit vectors; the same two have the same one to the last bit wherever it is asked for."""
    return min(max(_dot(a, b), np.float32(-1)), np.float32(1))


@njit(cache=True, nogil=True)
def cosines_of(rows: np.ndarray, queries: np.ndarray, found: np.ndarray, cosines: np.ndarray) -> None:
    """Cosines of queries [Q, D] with their own rows of [N, D], found [Q, k], into [Q, k]; all are unit vectors."""
    for q in range(len(queries)):
        for i in range(found.shape[1]):
            cosines[q, i] = _cosine(rows[found[q, i]], queries[q])


@njit(cache=True, nogil=True)
def _bound(values: np.ndarray, k: int) -> Any:
    """A value that at least k of `values` reach, and few more: the interval they lie in, halved again and again."""
    low, high = values.min(), values.max()
    for _ in range(14):
        middle = np.float32(0.5) * (low + high)
        if (values >= middle).sum() >= k:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def nearest_rows(
    rows: np.ndarray, queries: np.ndarray, gone: np.ndarray, maxima: np.ndarray, best: np.ndarray, found: np.ndarray
) -> None:
    """The k largest cosines of each query into `best` [Q, k], and their rows into `found` [Q, k]: exact.

    rows: [N, D] float32, of which at least k are not gone; queries: [Q, D]; gone: [N] bool, or [0] where none is;
    maxima: of `group_maxima`. Equal cosines come in the order of their rows. The k-th best is at least the k-th
    largest maximum of a group, so that only groups that reach it are looked into.
    """
    N, (groups, Q), k = len(rows), maxima.shape, found.shape[1]
    column = np.empty(groups, np.float32)
    candidates = np.empty(min(N, 2 * k * GROUP), np.int64)
    scores = np.empty(len(candidates), np.float32)  # negative, so that the best come first
    for q in range(Q):
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
                if score < bound:
                    continue
                if count == len(candidates):
                    candidates = np.append(candidates, np.empty_like(candidates))
                    scores = np.append(scores, np.empty_like(scores))
                candidates[count], scores[count] = row, -score
                count += 1
        order = np.argsort(scores[:count], kind="mergesort")
        for i in range(k):
            best[q, i], found[q, i] = -scores[order[i]], candidates[order[i]]


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
                score = _cosine(rows[row], queries[q])
                at = k
                while at > 0 and best[q, at - 1] < score:
                    at -= 1
                if at < k:
                    for i in range(k - 1, at, -1):
                        best[q, i], found[q, i] = best[q, i - 1], found[q, i - 1]
                    best[q, at], found[q, at] = score, first + row
