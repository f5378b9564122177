"""Embedding cells, and the pixels of the image below them.

An embedding cell is one position of the embedding, which covers `stride` by `stride` pixels of the image.
"""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=16)  # a service sees few sizes
def centres_of_cells(cells: int, pixels: int) -> np.ndarray:
    """The pixel at the centre of each of `cells` embedding cells along a side of `pixels` pixels: [cells] int64.

    Callers must not change the result.
    """
    return (np.arange(cells) * 2 + 1) * pixels // (2 * cells)


def cells_below(labels: np.ndarray, segment: int, size: tuple[int, int]) -> np.ndarray:
    """The embedding cell that each pixel of a segment lies in.

    Args:
        labels: [H, W] int segment numbers.
        segment: one of these numbers.
        size: (h, w), number of embedding cells in each direction.

    Returns:
        [n] int64, y * w + x of the cell of each of the n pixels.
    """
    (h, w), (H, W) = size, labels.shape
    y, x = np.nonzero(labels == segment)
    return np.asarray((y * h // H) * w + x * w // W)
