"""Borders of a partition: boundary pixels, and the region adjacency graph."""

from typing import NamedTuple

import numpy as np


class Borders(NamedTuple):
    """The pairs of adjacent regions, each pair once.

    first, second: [E] int64 regions, first < second; sides: [E] int64, number of pixel sides that they share; strength:
    [E] float64, mean strength of those sides.
    """

    first: np.ndarray
    second: np.ndarray
    sides: np.ndarray
    strength: np.ndarray


def boundary_pixels(regions: np.ndarray) -> np.ndarray:
    """Pixels with a 4-neighbour in another region: [H, W] int -> [H, W] bool. Both sides of a border are included."""
    boundary = np.zeros(regions.shape, dtype=bool)
    across, down = regions[:, 1:] != regions[:, :-1], regions[1:] != regions[:-1]
    boundary[:, 1:] |= across
    boundary[:, :-1] |= across
    boundary[1:] |= down
    boundary[:-1] |= down
    return boundary


def find_borders(regions: np.ndarray, strength: np.ndarray) -> Borders:
    """Region adjacency graph with the mean contour strength along each common border.

    The strength of a side between two pixels is the maximum of theirs. The crest of a contour lies on one of the two
    pixels, and a watershed without lines puts the border beside it.

    Args:
        regions: [H, W] int, 0..R-1.
        strength: [H, W] float, contour strength of each pixel.
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
