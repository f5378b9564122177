"""Merging of regions across their weakest common border, to a hierarchy that is a true ultrametric."""

import heapq
from typing import NamedTuple

import numpy as np

from index_builder.regions.borders import Borders


class Hierarchy(NamedTuple):
    """The merges of `regions` regions, in order: first, second [M] int64, two that touch, of which `first` remains;
    height [M] float64, the strength of the border between them. Heights never fall.
    """

    regions: int
    first: np.ndarray
    second: np.ndarray
    height: np.ndarray

    def cut(self, threshold: float) -> np.ndarray:
        """What each region has become by all merges below the threshold: [regions] int32, 0..R-1 without gaps."""
        root = np.arange(self.regions, dtype=np.int32)
        for merge in range(int(np.searchsorted(self.height, threshold)) - 1, -1, -1):  # the last one's `first` remains
            root[self.second[merge]] = root[self.first[merge]]
        return np.unique(root, return_inverse=True)[1].astype(np.int32)


def build_hierarchy(count: int, borders: Borders) -> Hierarchy:
    """Merge two regions after the other, always across the border that is weakest on average over its sides.

    The height at which two regions become one is an ultrametric (Arbelaez et al., TPAMI 2011, section 4): it obeys
    d(a, c) <= max(d(a, b), d(b, c)), because it is read off a tree whose heights never fall. They never do because the
    border of a merged region is the mean of borders none of which is weaker than the one that was just removed. So
    the cuts at two thresholds are nested, the one inside the other.

    Args:
        count: regions, numbered 0..count-1.
        borders: which of them touch, and how strongly they are parted.
    """
    around: list[dict[int, tuple[float, int]]] = [{} for _ in range(count)]  # neighbour -> (sum of strength, sides)
    heap = []
    for a, b, sides, strength in zip(*(part.tolist() for part in borders), strict=True):
        around[a][b] = around[b][a] = (strength * sides, sides)
        heap.append((strength * sides / sides, a, b))
    heapq.heapify(heap)
    merges: list[tuple[int, int, float]] = []
    reached = -np.inf
    while heap:
        strength, a, b = heapq.heappop(heap)
        if b not in around[a] or around[a][b][0] / around[a][b][1] != strength:
            continue  # one of the two is gone, or the border has grown since
        first, second = (a, b) if len(around[a]) >= len(around[b]) else (b, a)
        reached = max(reached, strength)  # a mean can lie below all its terms by a rounding
        merges.append((first, second, reached))
        _merge(around, first, second, heap)
    table = np.array(merges, dtype=np.float64).reshape(-1, 3)
    return Hierarchy(count, table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2])


def _merge(
    around: list[dict[int, tuple[float, int]]], first: int, second: int, heap: list[tuple[float, int, int]]
) -> None:
    """Hand the borders of `second` to `first`."""
    del around[first][second]
    for other, (total, sides) in around[second].items():
        if other == first:
            continue
        known_total, known_sides = around[first].get(other, (0.0, 0))
        border = (total + known_total, sides + known_sides)
        del around[other][second]
        around[first][other] = around[other][first] = border
        heapq.heappush(heap, (border[0] / border[1], min(first, other), max(first, other)))
    around[second] = {}
