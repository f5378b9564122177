"""Outlines of masks as polygons."""

import numpy as np
from skimage.measure import find_contours


def polygons(mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> list[list[list[float]]]:
    """Trace the outlines of a mask, including those of its holes.

    A point belongs to the mask if a ray from it crosses the outlines an odd number of times (even-odd rule).

    Args:
        mask: [H, W] bool, or the part of it around its pixels.
        corner: row and column of the first pixel of that part.

    Returns:
        Closed rings of points [x, y] in pixels; (0, 0) is the outer corner of the first pixel.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    rings = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    top, left = corner[0] - 0.5, corner[1] - 0.5
    return [[[float(x) + left, float(y) + top] for y, x in ring] for ring in rings]
