"""Slow and plain computations of shapes other than polygons."""

import math

import numpy as np


def elliptic(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float, size: tuple[int, int]
) -> np.ndarray:
    """[H, W] bool: the pixels whose centre has a sum of distances to the foci of at most the longer axis."""
    turn = math.radians(degrees + (0 if radii[0] >= radii[1] else 90))
    long, short = max(radii), min(radii)
    reach = math.sqrt(long * long - short * short)
    first = centre[0] + reach * math.cos(turn), centre[1] + reach * math.sin(turn)
    second = centre[0] - reach * math.cos(turn), centre[1] - reach * math.sin(turn)
    mask = np.zeros(size, dtype=bool)
    for y in range(size[0]):
        for x in range(size[1]):
            point = (x + 0.5, y + 0.5)
            mask[y, x] = math.dist(point, first) + math.dist(point, second) <= 2 * long
    return mask


def turned_box(
    left: float, top: float, right: float, bottom: float, degrees: float, around: tuple[float, float]
) -> list[tuple[float, float]]:
    """The corners of a rectangle after a rotation: clockwise on a screen, where y grows downwards."""
    angle, corners = math.radians(degrees), []
    for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)):
        dx, dy = x - around[0], y - around[1]
        corners.append(
            (
                around[0] + dx * math.cos(angle) - dy * math.sin(angle),
                around[1] + dx * math.sin(angle) + dy * math.cos(angle),
            )
        )
    return corners


def at(mask: np.ndarray, left: int, top: int, size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool: a small mask at a place of an image, pixel by pixel."""
    placed = np.zeros(size, dtype=bool)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if 0 <= top + y < size[0] and 0 <= left + x < size[1]:
                placed[top + y, left + x] = mask[y, x]
    return placed


def runs_of(mask: np.ndarray) -> list[int]:
    """Lengths of runs of a mask, row after row; the first run is of False."""
    counts, value = [0], False
    for pixel in mask.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts
