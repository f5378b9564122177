"""Outlines of masks as polygons."""

import numpy as np
from skimage.measure import find_contours


def polygons(mask: np.ndarray) -> list[list[list[float]]]:
    """Rings around a mask: [H, W] bool -> rings of [x, y] in pixels, (0, 0) the outer corner of the first pixel.

    Outer rings and those of holes alike; a point is inside if a ray from it crosses the rings an odd number of times.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    rings = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    return [[[float(x) - 0.5, float(y) - 0.5] for y, x in ring] for ring in rings]
