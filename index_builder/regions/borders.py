"""Borders of a partition: which pixels lie on one, and which regions share one."""

from typing import NamedTuple

import numpy as np


class Borders(NamedTuple):
    """The pairs of regions that touch, each once: first < second, [E] int64; sides: [E] int64, pixel sides they share;
    strength: [E] float64, its mean over those sides.
    """

    first: np.ndarray
    second: np.ndarray
    sides: np.ndarray
    strength: np.ndarray


def boundary_pixels(regions: np.ndarray) -> np.ndarray:
    """Pixels beside a pixel of another region, on both sides: [H, W] int -> [H, W] bool. Neighbours are the four."""
    on = np.zeros(regions.shape, dtype=bool)
    across, down = regions[:, 1:] != regions[:, :-1], regions[1:] != regions[:-1]
    on[:, 1:] |= across
    on[:, :-1] |= across
    on[1:] |= down
    on[:-1] |= down
    return on


def find_borders(regions: np.ndarray, strength: np.ndarray) -> Borders:
    """The region adjacency graph with the mean strength along each common border.

    A side between two pixels is as strong as the stronger of them: the crest of a contour lies on one pixel or the
    other, and watersheds without lines put the border beside it.

    Args:
        regions: [H, W] int, 0..R-1.
        strength: [H, W] float.
    """
    count = int(regions.max()) + 1
    keys, values = [], []
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        a, b = regions[one].astype(np.int64), regions[other].astype(np.int64)
        border = a != b
        keys.append((np.minimum(a, b) * count + np.maximum(a, b))[border])
        values.append(np.maximum(strength[one], strength[other])[border])
    pairs, position, sides = np.unique(np.concatenate(keys), return_inverse=True, return_counts=True)
    total = np.bincount(position, weights=np.concatenate(values), minlength=len(pairs))
    return Borders(pairs // count, pairs % count, sides, total / np.maximum(sides, 1))
