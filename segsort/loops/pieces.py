"""Connected pieces of a label map, and joining the small ones, by runs of equal labels.

A label map has many pixels and few runs, so that work by runs costs little.
"""

from typing import NamedTuple

import numpy as np

from segsort.loops import threads
from segsort.loops.cache import loop
from segsort.loops.grouping import grouped
from segsort.loops.sharing import add, counters, read, share, wait

PIXELS_A_THREAD = 50_000  # pixels below which another thread costs more than it saves
BANDS = 8  # of rows, which threads share
WIDE = 16  # pixels that take no longer to fill than one
# Counters of `find_pieces`: bands whose runs are found, and taken for that; whether the pieces are known; bands taken
# for their borders; whether thread 0 has failed; and the number of counters.
FOUND, FINDING, KNOWN, BORDERING, LEFT, COUNTERS = range(6)


class Pieces(NamedTuple):
    """The connected pieces (by sides) of equal labels [H, W], in the order in which rows meet them.

    R is the number of runs, P the number of pieces.

    Attributes:
        first: [H+1] int64, the first run of each row, and R.
        start: [R] int32, the column at which each run begins.
        piece: [R] int64, the piece of each run.
        areas: [R] int64, pixels of each of the first P.
        labels: [R] int32, label of each of the first P.
        small: [R] bool, whether each of the first P has too few pixels.
        found: [1] int64, P.
        borders: [BANDS, M, 3] int64, (small piece, other piece, pixel sides) where small pieces touch others; a pair
            may occur more than once.
        ends: [BANDS] int64, how many borders each band has.
    """

    first: np.ndarray
    start: np.ndarray
    piece: np.ndarray
    areas: np.ndarray
    labels: np.ndarray
    small: np.ndarray
    found: np.ndarray
    borders: np.ndarray
    ends: np.ndarray

    @classmethod
    def room(cls, labels: np.ndarray) -> "Pieces":
        """Count the runs of labels [H, W] and allocate room for their pieces."""
        H = len(labels)
        first = np.zeros(H + 1, dtype=np.int64)
        _count_runs(labels, first)
        R, band = int(first[H]), -(-H // BANDS)
        tops = np.minimum(np.arange(BANDS) * band, H)
        runs = first[np.minimum(tops + band, H)] - first[np.maximum(tops - 1, 0)]  # of a band and the row above it
        return cls(
            first, np.empty(R, dtype=np.int32), np.empty(R, dtype=np.int64), np.zeros(R, dtype=np.int64),
            np.empty(R, dtype=np.int32), np.zeros(R, dtype=bool), np.zeros(1, dtype=np.int64),
            np.empty((BANDS, 6 * int(runs.max()), 3), dtype=np.int64), np.zeros(BANDS, dtype=np.int64),
        )  # fmt: skip


def join(labels: np.ndarray, min_pixels: float, numbered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Join pieces of fewer than `min_pixels` pixels to neighbours: see `segsort.loops.join_small`."""
    pieces, steps = Pieces.room(labels), counters(COUNTERS)
    several = threads.useful(labels.size, PIXELS_A_THREAD)
    share(lambda number: find_pieces(labels, pieces, float(min_pixels), steps, number), several, lambda: leave(steps))
    after, pixels = join_small(pieces, numbered)
    joined, filled = labels if numbered else labels.copy(), counters(1)
    threads.together(lambda _: fill_runs(joined, pieces, after, filled), several)
    return joined, pixels


@loop()
def _count_runs(labels: np.ndarray, first: np.ndarray) -> None:
    """Number of runs of equal labels in the rows before each row of [H, W], into first [H+1]."""
    H, W = labels.shape
    for y in range(H):
        row, count = labels[y], 1
        for x in range(1, W):
            count += row[x] != row[x - 1]
        first[y + 1] = first[y] + count


@loop(inner=True)
def _root(piece: np.ndarray, run: int) -> int:
    """The first run of the piece of a run, by union-find with path halving."""
    while piece[run] != run:
        piece[run] = piece[piece[run]]
        run = piece[run]
    return run


@loop(inner=True)
def _connect(labels: np.ndarray, first: np.ndarray, start: np.ndarray, piece: np.ndarray, y: int) -> None:
    """Connect the runs of row y with those of the row above; the first run of a piece represents it."""
    W = labels.shape[1]
    above, below = first[y - 1], first[y]
    while above < first[y] and below < first[y + 1]:
        above_end = start[above + 1] if above + 1 < first[y] else W
        below_end = start[below + 1] if below + 1 < first[y + 1] else W
        x = max(start[above], start[below])
        if labels[y - 1, x] == labels[y, x]:
            a, b = _root(piece, above), _root(piece, below)
            piece[max(a, b)] = min(a, b)
        if above_end <= below_end:
            above += 1
        if below_end <= above_end:
            below += 1


@loop(inner=True)
def _find_runs(labels: np.ndarray, pieces: Pieces, top: int, bottom: int, begins: np.ndarray) -> None:
    """Find the runs of the rows top..bottom-1 and connect them; begins: [W+1] int32, zeros, room."""
    first, start, piece, W = pieces.first, pieces.start, pieces.piece, labels.shape[1]
    for y in range(top, bottom):
        row, count = labels[y], 1
        for x in range(
            1, W
        ):  # without a branch, which could not be predicted: a place that is no beginning is overwritten
            begins[count] = x
            count += row[x] != row[x - 1]
        run = first[y]
        for i in range(count):
            start[run + i], piece[run + i] = begins[i], run + i
        if y > top:
            _connect(labels, first, start, piece, y)


@loop(inner=True)
def _number(labels: np.ndarray, pieces: Pieces, min_pixels: float) -> None:
    """Number the pieces, and count their pixels."""
    (H, W), first, start, piece, count = labels.shape, pieces.first, pieces.start, pieces.piece, 0
    for y in range(H):
        for run in range(first[y], first[y + 1]):  # the run that represents a piece comes before its others
            if piece[run] == run:
                number = count
                pieces.labels[number] = labels[y, start[run]]
                count += 1
            else:
                number = piece[piece[run]]
            piece[run] = number
            pieces.areas[number] += (start[run + 1] if run + 1 < first[y + 1] else W) - start[run]
    for number in range(count):
        pieces.small[number] = pieces.areas[number] < min_pixels
    pieces.found[0] = count


@loop(inner=True)
def _noted(borders: np.ndarray, found: int, small: int, other: int, sides: int) -> int:
    """Write a border at place `found`; returns the next place."""
    borders[found, 0], borders[found, 1], borders[found, 2] = small, other, sides
    return found + 1


@loop(inner=True)
def _find_borders(width: int, pieces: Pieces, top: int, bottom: int, borders: np.ndarray) -> int:
    """Find where small pieces touch others in the rows top..bottom-1 and the row above; returns how many borders."""
    first, start, piece, small, found = pieces.first, pieces.start, pieces.piece, pieces.small, 0
    for y in range(top, bottom):
        for run in range(first[y], first[y + 1] - 1):
            left, right = piece[run], piece[run + 1]
            if small[left]:
                found = _noted(borders, found, left, right, 1)
            if small[right]:
                found = _noted(borders, found, right, left, 1)
        if y == 0:
            continue
        above, below = first[y - 1], first[y]
        while above < first[y] and below < first[y + 1]:
            above_end = start[above + 1] if above + 1 < first[y] else width
            below_end = start[below + 1] if below + 1 < first[y + 1] else width
            over, under = piece[above], piece[below]
            if over != under and (small[over] or small[under]):
                sides = min(above_end, below_end) - max(start[above], start[below])
                if small[over]:
                    found = _noted(borders, found, over, under, sides)
                if small[under]:
                    found = _noted(borders, found, under, over, sides)
            if above_end <= below_end:
                above += 1
            if below_end <= above_end:
                below += 1
    return found


@loop()
def find_pieces(labels: np.ndarray, pieces: Pieces, min_pixels: float, counters: np.ndarray, number: int) -> None:
    """Find the pieces of labels [H, W], those of fewer than `min_pixels` pixels, and where these touch others.

    Threads call this together, each with its number, and share the rows. Thread 0 leads: it connects the bands and
    numbers the pieces. All borders are found when all threads have ended.
    """
    H, W = labels.shape
    rows = -(-H // BANDS)
    begins = np.zeros(W + 1, np.int32)  # before a band is taken
    band = add(counters, FINDING, 1)
    while band < BANDS:
        _find_runs(labels, pieces, min(band * rows, H), min((band + 1) * rows, H), begins)
        add(counters, FOUND, 1)
        band = add(counters, FINDING, 1)
    if number == 0:
        wait(counters, FOUND, BANDS)
        for y in range(rows, H, rows):
            _connect(labels, pieces.first, pieces.start, pieces.piece, y)
        _number(labels, pieces, min_pixels)
        add(counters, KNOWN, 1)
    else:
        wait(counters, KNOWN, 1)
        if read(counters, LEFT):
            return
    band = add(counters, BORDERING, 1)
    while band < BANDS:
        top, bottom = min(band * rows, H), min((band + 1) * rows, H)
        pieces.ends[band] = _find_borders(W, pieces, top, bottom, pieces.borders[band])
        band = add(counters, BORDERING, 1)


@loop()
def leave(counters: np.ndarray) -> None:
    """Let all threads of `find_pieces` end that wait for thread 0, which has failed."""
    add(counters, LEFT, 1)
    add(counters, KNOWN, 1)


@loop(inner=True)
def _all_borders(pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Borders of all bands: the small piece [M], the other piece [M] and the pixel sides [M] of each, int64."""
    total = 0
    for band in range(BANDS):
        total += pieces.ends[band]
    small, other, sides, found = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64), 0
    for band in range(BANDS):
        for i in range(pieces.ends[band]):
            small[found], other[found] = pieces.borders[band, i, 0], pieces.borders[band, i, 1]
            sides[found] = pieces.borders[band, i, 2]
            found += 1
    return small, other, sides


@loop(inner=True)
def _best_neighbours(pieces: Pieces, target: np.ndarray) -> None:
    """Find the best neighbour of each small piece, into target [P], which holds each piece itself at first.

    A large neighbour is better than a small one, then a longer border, then a larger piece, then a later one.
    """
    small, areas = pieces.small, pieces.areas
    border_of, other, sides = _all_borders(pieces)
    order, begin = grouped(border_of, len(target))
    shared = np.zeros(len(target), np.int64)  # length of border with the current piece
    for piece in range(len(target)):
        for i in range(begin[piece], begin[piece + 1]):
            shared[other[order[i]]] += sides[order[i]]
        longest = 0
        for i in range(begin[piece], begin[piece + 1]):
            held, one = target[piece], other[order[i]]
            length = shared[one]
            if length == 0:  # already compared
                continue
            shared[one] = 0
            if held == piece:
                better = True
            elif small[held] != small[one]:
                better = small[held]
            elif length != longest:
                better = length > longest
            elif areas[one] != areas[held]:
                better = areas[one] > areas[held]
            else:
                better = one > held
            if better:
                target[piece], longest = one, length


@loop(inner=True)
def _specks_by_area(small: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """The small ones of `count` pieces by rising area; equal ones in their order."""
    keys, largest = np.empty(count, np.int64), -1
    for piece in range(count):
        keys[piece] = areas[piece] if small[piece] else -1
        largest = max(largest, keys[piece])
    return grouped(keys, largest + 1)[0]


@loop(inner=True)
def _join(pieces: Pieces, target: np.ndarray) -> None:
    """Find the piece that each piece becomes, into target [P]: a small piece becomes its best neighbour.

    Small pieces that only small ones surround join each other first. The largest piece joins none.
    """
    small, areas, largest = pieces.small, pieces.areas, 0
    for piece in range(len(target)):
        target[piece] = piece
        if areas[piece] > areas[largest]:
            largest = piece
    _best_neighbours(pieces, target)
    for piece in _specks_by_area(small, areas, len(target)):
        other = target[piece]
        if piece == largest or (small[other] and areas[other] <= areas[piece] and target[other] == piece):
            target[piece] = piece  # of two pieces that would swap, the larger stays and the other joins it
    for piece in range(len(target)):
        end = target[piece]
        for _ in range(len(target)):  # ends also if pieces form a circle
            if target[end] == end:
                break
            end = target[end]
        target[piece] = end


@loop()
def join_small(pieces: Pieces, numbered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Join the small pieces to their neighbours.

    Args:
        pieces: of `find_pieces`; labels are 0 or more.
        numbered: number the remaining labels 0..K-1 in their order, instead of keeping them.

    Returns:
        New label of each piece [P] int32, and pixels of each label [K] int64.
    """
    count = pieces.found[0]
    target, after, most = np.empty(count, np.int64), np.empty(count, np.int32), 0
    _join(pieces, target)
    for piece in range(count):
        after[piece] = pieces.labels[target[piece]]
        most = max(most, after[piece])
    pixels = np.zeros(most + 1, np.int64)
    for piece in range(count):
        pixels[after[piece]] += pieces.areas[piece]
    if not numbered:
        return after, pixels
    kept, number = 0, np.empty(most + 1, np.int32)
    for label in range(most + 1):
        number[label] = kept
        if pixels[label]:
            pixels[kept] = pixels[label]
            kept += 1
    for piece in range(count):
        after[piece] = number[after[piece]]
    return after, pixels[:kept]


@loop()
def fill_runs(labels: np.ndarray, pieces: Pieces, to: np.ndarray, taken: np.ndarray) -> None:
    """Write new labels of pieces into a label map; threads share the rows.

    Args:
        labels: [H, W] int32, the labels that `find_pieces` saw, changed.
        pieces: of `find_pieces`.
        to: [P] int32, new label of each piece.
        taken: one counter, zero.
    """
    H, W = labels.shape
    first, start, piece, before, rows = pieces.first, pieces.start, pieces.piece, pieces.labels, -(-H // BANDS)
    while True:
        band = add(taken, 0, 1)
        if band >= BANDS:
            return
        for y in range(min(band * rows, H), min((band + 1) * rows, H)):
            row, written = labels[y], 0
            for run in range(first[y], first[y + 1]):
                begin, end = start[run], start[run + 1] if run + 1 < first[y + 1] else W
                label = to[piece[run]]
                if label == before[piece[run]] and begin >= written:
                    continue
                if begin + WIDE <= W:  # most runs are short; the runs to the right correct the excess
                    for x in range(WIDE):
                        row[begin + x] = label
                    begin += WIDE
                    written = begin
                for x in range(begin, end):
                    row[x] = label
