"""Normalising an image's planes for a network in one pass."""

import numpy as np

from segsort.loops.cache import loop


def normalise(image: np.ndarray, mean: np.ndarray, scale: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(image - mean) * scale: image [C, H, W] uint8, mean and scale [C] float32 -> [1, C, *size] float32, padded."""
    planes = np.empty((1, len(image), *size), dtype=np.float32)
    scale_planes(image, mean, scale, planes[0])
    return planes


@loop()
def scale_planes(image: np.ndarray, mean: np.ndarray, scale: np.ndarray, planes: np.ndarray) -> None:
    """(image - mean) * scale of an image [C, H, W] into planes [C, H', W'], the last row and column repeated."""
    C, H, W = image.shape
    for c in range(C):
        for y in range(planes.shape[1]):
            row, values = planes[c, y], image[c, min(y, H - 1)]
            for x in range(W):
                row[x] = (np.float32(values[x]) - mean[c]) * scale[c]
            for x in range(W, len(row)):
                row[x] = row[W - 1]
