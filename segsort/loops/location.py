"""Features for pixel sorting: embeddings with their location appended, as unit vectors."""

from functools import lru_cache

import numpy as np

from segsort.loops import threads
from segsort.loops.blocks import BLOCK, PIECE, UNORDERED
from segsort.loops.cache import loop
from segsort.loops.sharing import add, counters

ROWS_A_THREAD = 1500  # pixels below which another thread costs more than it saves


def append(embeddings: np.ndarray, location_weight: float) -> np.ndarray:
    """Features of one image: [D, h, w] float32 -> [h*w, D+2] float32."""
    D, h, w = embeddings.shape
    y, x = centres(h, w, location_weight)
    planes, rows, taken = (
        np.ascontiguousarray(embeddings).reshape(D, h * w),
        np.empty((h * w, D + 2), np.float32),
        counters(1),
    )
    threads.together(lambda _: sorting_rows(planes, y, x, rows, taken), threads.useful(h * w, ROWS_A_THREAD))
    return rows


@lru_cache(maxsize=8)  # a service sees few sizes
def centres(height: int, width: int, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Weighted y of each row [height] and x of each column [width], float32. Callers must not change them.

    The image's centre is 0, and its longer half-side has length 1 in both directions.
    """
    half = np.float32(max(height, width) / 2)
    y, x = (np.arange(length, dtype=np.float32) + np.float32(0.5 - length / 2) for length in (height, width))
    return y / half * np.float32(weight), x / half * np.float32(weight)


@loop(fastmath=UNORDERED)
def sorting_rows(embeddings: np.ndarray, y: np.ndarray, x: np.ndarray, rows: np.ndarray, taken: np.ndarray) -> None:
    """Append the location to embeddings and normalise them, into `rows`; threads share the rows by counter 0.

    Few pixels are transposed at once, so that each line of memory is read once, also where the planes lie a power of
    two apart. A row of zeros stays zero.

    Args:
        embeddings: [D, h*w] float32.
        y: [h] float32, weighted.
        x: [w] float32, weighted.
        rows: [h*w, D+2] float32, the result.
        taken: one counter, zero.
    """
    D, w, scale = len(embeddings), len(x), np.empty(PIECE, np.float32)
    while True:
        start = add(taken, 0, PIECE)
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
