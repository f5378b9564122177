"""Rows in blocks: how many are multiplied at once, how many a thread takes at once, and the inner product of two."""

from typing import Any

import numpy as np

from segsort.loops.cache import loop

ORDERED = {"nnan", "nsz"}  # maxima can be taken eight at a time; inputs hold no NaN
UNORDERED = {"nnan", "nsz", "reassoc", "contract"}  # sums can be taken eight at a time as well
BLOCK = 96  # rows multiplied at once, at most: the result stays in the processor's cache
PIECE = 5 * BLOCK  # rows that a thread takes at once
_PRODUCTS = 1 << 19  # multiplications below which BLAS starts no threads; they would wait for each other


@loop()
def block_of(dimension: int, columns: int) -> Any:
    """Rows [_, dimension] that are multiplied with so many columns at once: a multiple of 16, at least 16."""
    return max(16, min(BLOCK, _PRODUCTS // (dimension * columns) // 16 * 16))


@loop(fastmath=UNORDERED)
def dot(a: np.ndarray, b: np.ndarray) -> Any:
    """Inner product of two float32 vectors, equal to the last bit wherever it is computed."""
    total = np.float32(0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total
