"""Inner loops that no array library does in one pass, compiled by numba; each has a naive oracle in the tests."""

import numpy as np
from numba import njit

_ORDERED = {"nnan", "nsz"}  # lets the compiler take maxima eight at a time; inputs hold no NaN


@njit(cache=True)
def add_rows(features: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> None:
    """Add the rows of `features` [N, D] to the sums [K, D] of their groups, and count them in `sizes` [K]."""
    for i in range(len(labels)):
        group = labels[i]
        sizes[group] += 1
        for d in range(features.shape[1]):
            sums[group, d] += features[i, d]


@njit(cache=True, fastmath=_ORDERED)
def move_to_nearest(
    cosines: np.ndarray, features: np.ndarray, labels: np.ndarray, sums: np.ndarray, sizes: np.ndarray
) -> int:
    """Move each row to the group of its largest cosine [N, K] and correct sums and sizes; says how many rows moved.

    A row stays where it is on a tie. Most rows stay, so the position of the maximum is searched for the others alone.
    """
    moved = 0
    for i in range(len(labels)):
        row = cosines[i]
        top = row[0]
        for k in range(1, row.shape[0]):
            if row[k] > top:
                top = row[k]
        source = labels[i]
        if row[source] == top:
            continue
        target = 0
        while row[target] != top:
            target += 1
        labels[i] = target
        moved += 1
        sizes[source] -= 1
        sizes[target] += 1
        for d in range(features.shape[1]):
            sums[source, d] -= features[i, d]
            sums[target, d] += features[i, d]
    return moved


@njit(cache=True)
def outline(cells: np.ndarray, cosines: np.ndarray, labels: np.ndarray) -> None:
    """Assign every pixel of `labels` [H, W] among the segments of the four cells around it.

    cells: [h, w] segment of each cell; cosines: [h*w, K] float32 to each segment's mean. Cosines are interpolated
    bilinearly; where the four cells agree there is nothing to decide.
    """
    H, W = labels.shape
    h, w = cells.shape
    for y in range(H):
        cy = min(max((y + 0.5) * h / H - 0.5, 0.0), h - 1.0)
        y0 = int(cy)
        y1 = min(y0 + 1, h - 1)
        wy = cy - y0
        for x in range(W):
            cx = min(max((x + 0.5) * w / W - 0.5, 0.0), w - 1.0)
            x0 = int(cx)
            x1 = min(x0 + 1, w - 1)
            a, b, c, d = cells[y0, x0], cells[y0, x1], cells[y1, x0], cells[y1, x1]
            if a == b and a == c and a == d:
                labels[y, x] = a
                continue
            wx = cx - x0
            wa, wb, wc, wd = (1 - wy) * (1 - wx), (1 - wy) * wx, wy * (1 - wx), wy * wx
            ra, rb, rc, rd = y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1
            top, winner = -np.inf, a
            for candidate in (a, b, c, d):
                score = (
                    wa * cosines[ra, candidate]
                    + wb * cosines[rb, candidate]
                    + wc * cosines[rc, candidate]
                    + wd * cosines[rd, candidate]
                )
                if score > top:
                    top, winner = score, candidate
            labels[y, x] = winner
