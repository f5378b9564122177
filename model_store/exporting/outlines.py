"""Outlines of masks as polygons with holes, and the run lengths of masks, row by row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.measure import find_contours


class Outline(NamedTuple):
    """The outline of one connected part of a mask.

    exterior, holes: each [N, 2] float64 points (x, y) in pixels, which are multiples of a half; (0, 0) is the outer
    corner of the first pixel. The last point is joined with the first, and is not repeated. No two rings touch. Holes
    turn the other way than the exterior.
    """

    exterior: np.ndarray
    holes: Sequence[np.ndarray]

    @property
    def rings(self) -> list[np.ndarray]:
        """All of its rings, the exterior first."""
        return [self.exterior, *self.holes]


def outlines_of(mask: np.ndarray, left: int = 0, top: int = 0, *, simplified: bool = True) -> list[Outline]:
    """Trace the outlines of a mask.

    Outlines run halfway between the centres of pixels inside and outside, so they cut the corners of pixels: one pixel
    becomes a diamond. Filling them by the even-odd rule at the centres of pixels gives exactly the mask. Pixels that
    touch at a corner belong to different parts.

    Args:
        mask: [h, w] bool.
        left, top: place of the mask in its image, pixels.
        simplified: whether points on a straight line are left out.

    Returns:
        A polygon for each connected part.
    """
    padded = np.pad(mask, 1)
    parts, count = ndimage.label(padded)
    rings: list[list[np.ndarray]] = [[] for _ in range(count)]
    for contour in find_contours(padded.astype(np.float32), 0.5):  # type: ignore[no-untyped-call]
        ring = contour[:-1, ::-1] + (left - 0.5, top - 0.5)
        row, column = contour[0]
        beside = [(int(np.floor(row)), int(np.floor(column))), (int(np.ceil(row)), int(np.ceil(column)))]
        part = max(int(parts[place]) for place in beside)  # one of the two pixels is outside, which is 0
        rings[part - 1].append(ring)
    found = []
    for ringed in rings:
        ringed.sort(key=lambda ring: -abs(_area(ring)))
        kept = [_without_straight(ring) for ring in ringed] if simplified else ringed
        found.append(Outline(kept[0], kept[1:]))
    return found


def bridged(mask: np.ndarray, left: int = 0, top: int = 0) -> list[np.ndarray]:
    """Trace the outlines of a mask as rings without holes, for formats that have none.

    Each hole is joined with the outline to its left by two equal horizontal lines. They run through the centres of
    pixels inside the mask, so the even-odd rule gives exactly the mask.

    Args:
        mask: [h, w] bool.
        left, top: place of the mask in its image, pixels.

    Returns:
        A ring [N, 2] (x, y) in pixels for each connected part.
    """
    return [_without_straight(_joined(polygon)) for polygon in outlines_of(mask, left, top, simplified=False)]


def run_lengths(mask: np.ndarray) -> np.ndarray:
    """Lengths of the runs of a mask, row by row: [R] int64. The first is of pixels outside, and may be 0."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate(([0], changes, [len(flat)]))
    lengths = np.diff(starts)
    return np.concatenate(([0], lengths)) if flat[0] else lengths


def _joined(polygon: Outline) -> np.ndarray:
    """One ring through the exterior and all holes. Rings have a point on the centre line of every row they cross."""
    outline = polygon.exterior
    for hole in sorted(polygon.holes, key=lambda ring: float(ring[:, 0].min())):
        first = int(hole[:, 0].argmin())
        x, y = hole[first]
        candidates = np.flatnonzero((outline[:, 1] == y) & (outline[:, 0] < x))
        at = int(candidates[outline[candidates, 0].argmax()])
        around = np.concatenate([hole[first:], hole[: first + 1]])
        outline = np.concatenate([outline[: at + 1], around, outline[at:]])
    return outline


def _without_straight(ring: np.ndarray) -> np.ndarray:
    """A ring without the points that continue a straight line."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(ring[turn != 0])


def _area(ring: np.ndarray) -> float:
    """Signed area in square pixels."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
