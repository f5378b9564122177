"""Rounding of rows and means to bytes for `kmeans_bytes`, in the layout of its `nearest`."""

from typing import Any

import numpy as np

from segsort.loops.cache import loop

LANES = 16  # numbers of 32 bits in a vector
ROWS = 2 * LANES  # rows that are compared with the means at once
LARGEST = 127  # the largest byte
FINEST = 1e-5  # the least spread that is scaled to LARGEST: float32 itself is not finer than FINEST / LARGEST
NEVER = -(1 << 30)  # less than any product
MANY, SAMPLED = 1024, 4  # of so many rows, one in so many is looked at for the scale
FARTHEST = -(1 << 28)  # the least offset of a mean; a mean so far away is nearest to no row


@loop(inner=True)
def find_centre(sums: np.ndarray, count: int, centre: np.ndarray) -> None:
    """The mean of N rows, from the sums [K, D] of their groups, into centre [D]; 0 where it is not finite."""
    for d in range(len(centre)):
        total = 0.0
        for k in range(len(sums)):
            total += sums[k, d]
        total /= max(count, 1)
        centre[d] = total if np.isfinite(total) else 0.0


@loop(inner=True)
def extent(rows: np.ndarray, centre: np.ndarray) -> Any:
    """The largest absolute value in rows [N, D] minus centre [D], both float32; at least `FINEST`.

    Of `MANY` rows or more, one in `SAMPLED` is looked at; the others are cut to 127 where they are farther out.
    """
    low, high, N = centre.copy(), centre.copy(), len(rows)
    step = SAMPLED if N >= MANY else 1
    for i in range(0, N, 2 * step):  # two rows in one pass over `low` and `high`
        one, two = rows[i], rows[i + step if i + step < N else i]
        for d in range(len(centre)):
            least, most = (one[d], two[d]) if one[d] < two[d] else (two[d], one[d])
            low[d] = least if least < low[d] else low[d]
            high[d] = most if most > high[d] else high[d]
    largest = np.float32(FINEST)
    for d in range(len(centre)):
        largest = max(largest, high[d] - centre[d], centre[d] - low[d])
    return largest


@loop()
def pack_rows(rows: np.ndarray, centre: np.ndarray, scale: np.float32, packed: np.ndarray, buffer: np.ndarray) -> None:
    """Round rows to bytes in the layout of `nearest`.

    Args:
        rows: [N, D] float32.
        centre: [D] float32, subtracted from the rows.
        scale: the centred rows are multiplied by it. Values beyond -127..127 become the nearest of these.
        packed: [N/ROWS, G, ROWS] int32, the result.
        buffer: [4 * G] uint8, scratch memory; 128 past D.
    """
    N, D = rows.shape
    word = buffer.view(np.int32)
    for i in range(N):
        for d in range(D):
            scaled = (rows[i, d] - centre[d]) * scale + np.float32(128.5)
            scaled = scaled if scaled > np.float32(1) else np.float32(1)  # also of a NaN
            buffer[d] = np.uint8(np.int32(scaled if scaled < np.float32(255) else np.float32(255)))
        lanes = packed[i // ROWS]
        for g in range(len(word)):
            lanes[g, i % ROWS] = word[g]


@loop()
def pack_means(
    theta: np.ndarray, sizes: np.ndarray, centre: np.ndarray, scale: np.float32, packed: np.ndarray, bias: np.ndarray
) -> None:
    """Round means to bytes in the layout of `nearest`.

    Args:
        theta: [D, K] float32, means in columns.
        sizes: [K] int64, rows of each; a mean without rows attracts none.
        centre: [D] float32, what was subtracted from the rows.
        scale: by which the centred rows were multiplied.
        packed: [K', 4 * G] int8, the result.
        bias: [K'] int32, the result; `NEVER` for means that attract none.
    """
    D, K = theta.shape
    middle, offsets = np.zeros(D, np.float32), np.zeros(K)
    largest, top = np.float32(FINEST), -np.inf
    for d in range(D):
        low, high = np.float32(np.inf), np.float32(-np.inf)
        for k in range(K):
            if sizes[k] > 0 and np.isfinite(theta[d, k]):
                low, high = min(low, theta[d, k]), max(high, theta[d, k])
        if low <= high:
            middle[d] = (low + high) / 2
            largest = max(largest, high - middle[d], middle[d] - low)
    factor = np.float32(LARGEST) / largest
    for d in range(D):
        for k in range(K):
            offsets[k] += np.float64(centre[d]) * (theta[d, k] - middle[d])
    for k in range(K):
        if sizes[k] > 0 and offsets[k] > top:
            top = offsets[k]
    for k in range(len(bias)):
        if k >= K or sizes[k] == 0:
            bias[k] = NEVER
            continue
        total: Any = 0
        for d in range(D):
            scaled = np.floor((theta[d, k] - middle[d]) * factor + np.float32(0.5))
            value = np.int32(scaled) if abs(scaled) <= LARGEST else 0  # NaN or infinite embeddings
            packed[k, d] = value
            total += value
        offset = np.floor((offsets[k] - top) * np.float64(factor) * scale + 0.5)
        bias[k] = (np.int32(offset) if offset > FARTHEST else FARTHEST) - 128 * total
