"""Outlines of segments at an image's own resolution, from the cells of the network's stride."""

import numpy as np

from segsort.loops import threads
from segsort.loops.blocks import dot
from segsort.loops.cache import loop
from segsort.loops.location import ROWS_A_THREAD
from segsort.loops.sharing import add, counters


def labels_of(features: np.ndarray, theta: np.ndarray, cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Segment of each pixel: features [h*w, D], theta [K, D], cells [h, w] int64, size (H, W) -> [H, W] int32."""
    coarse, labels, taken = cells.astype(np.int32), np.empty(size, dtype=np.int32), counters(1)
    threads.together(
        lambda _: outline(coarse, features, theta, labels, taken), threads.useful(len(features), ROWS_A_THREAD)
    )
    return labels


@loop()
def _places(length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Place of each of `length` pixel centres among `cells` cell centres along a side.

    Returns:
        The cell before [length] int64, and the way to the next, 0..1 [length] float32.
    """
    before, share = np.empty(length, np.int64), np.empty(length, np.float32)
    for i in range(length):
        at = min(max((i + 0.5) * cells / length - 0.5, 0.0), cells - 1.0)
        before[i] = int(at)
        share[i] = at - before[i]
    return before, share


@loop()
def outline(cells: np.ndarray, rows: np.ndarray, theta: np.ndarray, labels: np.ndarray, taken: np.ndarray) -> None:
    """Assign every pixel to the nearest of the segments of the four cells around it; threads share the rows of cells.

    Cosines are interpolated bilinearly between the four cells. Where all four have one segment, the pixels get it.

    Args:
        cells: [h, w] int32, segment number of each embedding cell.
        rows: [h*w, D] float32, unit vectors of the cells, as they were sorted.
        theta: [K, D] float32, means of the segments.
        labels: [H, W] int32, the result.
        taken: one counter, zero.
    """
    H, W = labels.shape
    h, w = cells.shape
    above, down = _places(H, h)
    left, along = _places(W, w)
    corner = np.empty((4, 4), np.float32)  # cosine of each candidate at each of the four cells
    candidates = np.empty(4, cells.dtype)
    while True:
        y0 = add(taken, 0, 1)  # rows of pixels between this row of cells and the next
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
