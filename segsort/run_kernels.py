"""Connected pieces of a label map, found from its runs of equal labels: compiled by numba, with an oracle in the tests.

A label map has many pixels and few runs, so that what is done for each run costs little.
"""

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _count_runs(labels: np.ndarray) -> Any:
    """How many runs of equal labels the rows of [H, W] have."""
    H, W = labels.shape
    count = H
    for y in range(H):
        row = labels[y]
        for x in range(1, W):
            count += row[x] != row[x - 1]
    return count


@njit(cache=True, nogil=True)
def _find_runs(labels: np.ndarray, start: np.ndarray, first: np.ndarray) -> None:
    """The column at which each run begins, `start` [R], and the first run of each row: labels [H, W], first [H+1]."""
    H, W = labels.shape
    count = 0
    for y in range(H):
        first[y] = count
        last = labels[y, 0] - 1
        for x in range(W):
            if labels[y, x] != last:
                start[count] = x
                count += 1
                last = labels[y, x]
    first[H] = count


@njit(cache=True, nogil=True)
def _root(parent: np.ndarray, run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@njit(cache=True, nogil=True)
def _find_pieces(labels: np.ndarray, start: np.ndarray, first: np.ndarray, piece: np.ndarray) -> int:
    """The connected piece of equal labels that each run lies in, into `piece` [R], numbered as they are met; how many.

    Pixels are connected by their sides.
    """
    H, W = labels.shape
    for run in range(len(piece)):
        piece[run] = run
    for y in range(1, H):
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
    count = 0
    for run in range(len(piece)):  # a root comes before all others of its piece
        if piece[run] == run:
            piece[run] = count
            count += 1
        else:
            piece[run] = piece[piece[run]]
    return count


@njit(cache=True, nogil=True)
def _measure_pieces(
    labels: np.ndarray,
    start: np.ndarray,
    first: np.ndarray,
    piece: np.ndarray,
    areas: np.ndarray,
    piece_label: np.ndarray,
) -> None:
    """Pixels of each piece, added to `areas` [P], and its label, into `piece_label` [P]."""
    H, W = labels.shape
    for y in range(H):
        for run in range(first[y], first[y + 1]):
            end = start[run + 1] if run + 1 < first[y + 1] else W
            areas[piece[run]] += end - start[run]
            piece_label[piece[run]] = labels[y, start[run]]


@njit(cache=True, nogil=True)
def _noted(borders: np.ndarray, found: int, small: int, other: int, sides: int) -> int:
    borders[found, 0], borders[found, 1], borders[found, 2] = small, other, sides
    return found + 1


@njit(cache=True, nogil=True)
def _borders_of_small(
    start: np.ndarray, first: np.ndarray, width: int, piece: np.ndarray, small: np.ndarray, borders: np.ndarray
) -> int:
    """Where small pieces touch others: (small piece, other piece, pixel sides) into `borders`; says how many."""
    H, found = len(first) - 1, 0
    for y in range(H):
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


@njit(cache=True, nogil=True)
def pieces_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The connected pieces of equal labels of [H, W], by their sides, in the order in which rows meet them.

    Returns:
        The column at which each run begins [R]; the first run of each row, and their number [H+1]; the piece of each
        run [R]; the pixels of each piece [P] and its label [P].
    """
    start, first = np.empty(_count_runs(labels), np.int32), np.empty(len(labels) + 1, np.int64)
    _find_runs(labels, start, first)
    piece = np.empty(len(start), np.int64)
    count = _find_pieces(labels, start, first, piece)
    areas, piece_label = np.zeros(count, np.int64), np.empty(count, labels.dtype)
    _measure_pieces(labels, start, first, piece, areas, piece_label)
    return start, first, piece, areas, piece_label


@njit(cache=True, nogil=True)
def borders_of(start: np.ndarray, first: np.ndarray, width: int, piece: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Where small pieces touch others: (small piece, other piece, pixel sides) [M, 3]; a pair may come more than once.

    start, first, piece: of `pieces_of`; small: [P] bool.
    """
    H, most = len(first) - 1, 0
    for y in range(H):  # a run of small pieces touches one on each side, and no more above and below than it is long
        for run in range(first[y], first[y + 1]):
            end = start[run + 1] if run + 1 < first[y + 1] else width
            most += 2 + 2 * (end - start[run]) if small[piece[run]] else 0
    borders = np.empty((most, 3), np.int64)
    return borders[: _borders_of_small(start, first, width, piece, small, borders)]


@njit(cache=True, nogil=True)
def _best_neighbours(
    borders: np.ndarray, order: np.ndarray, small: np.ndarray, areas: np.ndarray, target: np.ndarray
) -> None:
    """The neighbour with the longest border of each small piece, a large one before small ones, into `target` [P].

    order: [M] of the borders, those of one pair together, pairs rising.
    """
    best_sides, i = np.zeros(len(areas), np.int64), 0
    while i < len(order):
        piece, other, sides = borders[order[i], 0], borders[order[i], 1], 0
        while i < len(order) and borders[order[i], 0] == piece and borders[order[i], 1] == other:
            sides += borders[order[i], 2]
            i += 1
        held = target[piece]
        if held == piece:
            better = True
        elif small[held] != small[other]:
            better = small[held]
        elif sides != best_sides[piece]:
            better = sides > best_sides[piece]
        else:
            better = areas[other] >= areas[held]
        if better:
            target[piece], best_sides[piece] = other, sides


@njit(cache=True, nogil=True)
def _settle(specks: np.ndarray, largest: int, small: np.ndarray, areas: np.ndarray, target: np.ndarray) -> None:
    """Let each piece become what its neighbour becomes; specks: the small pieces, by rising area."""
    for piece in specks:
        other = target[piece]
        if piece == largest or (small[other] and areas[other] <= areas[piece] and target[other] == piece):
            target[piece] = piece  # of two specks that would swap, the larger stays for the other to join
    for piece in range(len(target)):
        end = target[piece]
        for _ in range(len(target)):  # no longer where specks go round in a circle
            if target[end] == end:
                break
            end = target[end]
        target[piece] = end


def joined_to(borders: np.ndarray, small: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The piece that each piece becomes [P]: a small one the neighbour with the longest border, if it can a large one.

    borders: of `borders_of`; small, areas: [P]. Small pieces that only small ones surround join each other first; the
    largest piece of the image joins none.
    """
    target = np.arange(len(areas))
    order = np.argsort(borders[:, 0] * len(areas) + borders[:, 1], kind="stable")
    _best_neighbours(borders, order, small, areas, target)
    specks = np.flatnonzero(small)
    _settle(specks[np.argsort(areas[specks], kind="stable")], int(areas.argmax()), small, areas, target)
    return target


@njit(cache=True, nogil=True)
def fill_runs(
    labels: np.ndarray, start: np.ndarray, first: np.ndarray, piece: np.ndarray, changed: np.ndarray, to: np.ndarray
) -> None:
    """Give the pixels of some pieces another label: changed [P] bool, to [P]; labels [H, W] are changed."""
    H, W = labels.shape
    for y in range(H):
        for run in range(first[y], first[y + 1]):
            if changed[piece[run]]:
                end = start[run + 1] if run + 1 < first[y + 1] else W
                for x in range(start[run], end):
                    labels[y, x] = to[piece[run]]
