"""Outlines of masks as polygons."""

import numpy as np
from skimage.measure import find_contours


def polygons(mask: np.ndarray) -> list[list[list[float]]]:
    """Trace the outlines of a mask, including those of its holes.

    A point belongs to the mask if a ray from it crosses the outlines an odd number of times (even-odd rule).

    Args:
        mask: [H, W] bool.

    Returns:
        Closed rings of points [x, y] in pixels; (0, 0) is the outer corner of the first pixel.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    rings = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    return [[[float(x) - 0.5, float(y) - 0.5] for y, x in ring] for ring in rings]
