"""Outlines of segments as polygons that a person can edit: without holes, without specks, and with few points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from segsort_client.results.base import PolygonMask

LEAST_AREA = 10.0  # pixels of an outline beside the largest one of its segment
_LEAST_POINTS = 3
_Points = NDArray[np.float64]  # [N, 2]: x, y


def polygons(shape: PolygonMask, tolerance: float = 1.0) -> Iterator[list[float]]:
    """The outer outlines of a region as polygons of CVAT: x, y, x, y, ...

    Args:
        shape: outlines of the region; holes run in the opposite direction and are left out, as CVAT knows none.
        tolerance: how far a left-out point may be from its polygon, pixels; 0: every point is kept.
    """
    rings = [_opened(ring) for ring in shape.polygons if len(ring) > _LEAST_POINTS]
    areas = [signed_area(ring) for ring in rings]
    largest = max(areas, key=abs, default=0.0)
    for ring, area in zip(rings, areas, strict=True):
        if area * largest > 0 and (abs(area) >= LEAST_AREA or area == largest):
            points = simplified(ring, tolerance)
            yield (points if len(points) >= _LEAST_POINTS else ring).ravel().tolist()


def simplified(ring: _Points, tolerance: float) -> _Points:
    """A closed outline without the points that are near the line between their neighbours (Douglas and Peucker).

    Args:
        ring: [N, 2]; the last point is not the first one again.
        tolerance: largest distance of a left-out point, pixels; 0: none is left out.
    """
    if tolerance <= 0 or len(ring) <= _LEAST_POINTS:
        return ring
    closed = np.concatenate([ring, ring[:1]])
    far = int(np.argmax(np.hypot(*(ring - ring[0]).T)))
    kept = np.zeros(len(closed), dtype=bool)
    kept[[0, far]] = True
    waiting = [(0, far), (far, len(closed) - 1)]
    while waiting:
        begin, end = waiting.pop()
        if end - begin < 2:
            continue
        distances = _distances(closed[begin + 1 : end], closed[begin], closed[end])
        place = int(np.argmax(distances))
        if distances[place] > tolerance:
            middle = begin + 1 + place
            kept[middle] = True
            waiting += [(begin, middle), (middle, end)]
    return closed[:-1][kept[:-1]]


def signed_area(ring: _Points) -> float:
    """The area of a closed outline, pixels; its sign is the direction of the outline."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2


def _opened(ring: Sequence[tuple[float, float]]) -> _Points:
    """The points without the last one, if that is the first one again."""
    return np.array(ring[:-1] if ring[0] == ring[-1] else ring, dtype=np.float64)


def _distances(points: _Points, begin: _Points, end: _Points) -> NDArray[np.float64]:
    """[N]: how far points are from the line through two others, or from the first where both are the same."""
    line = end - begin
    length = float(np.hypot(*line))
    offsets = points - begin
    if length == 0:
        return np.asarray(np.hypot(*offsets.T))
    return np.asarray(np.abs(offsets[:, 0] * line[1] - offsets[:, 1] * line[0]) / length)
