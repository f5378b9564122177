"""Hierarchical merging of regions across their weakest common border. The result is an ultrametric."""

import heapq
from typing import NamedTuple

import numpy as np

from index_builder.regions.borders import Borders


class Hierarchy(NamedTuple):
    """The merges of `regions` regions, in order.

    first, second: [M] int64, two adjacent regions, merged into `first`; height: [M] float64, strength of the border
    between them, non-decreasing.
    """

    regions: int
    first: np.ndarray
    second: np.ndarray
    height: np.ndarray

    def cut(self, threshold: float) -> np.ndarray:
        """Region after all merges below the threshold, for each initial region: [regions] int32, 0..R-1, no gaps."""
        root = np.arange(self.regions, dtype=np.int32)
        for merge in range(int(np.searchsorted(self.height, threshold)) - 1, -1, -1):  # from the root of the tree down
            root[self.second[merge]] = root[self.first[merge]]
        return np.unique(root, return_inverse=True)[1].astype(np.int32)


def build_hierarchy(areas: np.ndarray, borders: Borders, min_size: float = 0) -> Hierarchy:
    """Merge regions pair by pair, always across the border with the smallest mean strength.

    Regions smaller than `min_size` are merged first, at height 0, so that the threshold of a cut does not affect them.

    The height d at which two regions are merged is an ultrametric (Arbelaez et al., TPAMI 2011, section 4): d(a, c) is
    at most max(d(a, b), d(b, c)). This holds because heights along the merge tree never decrease. A border of a merged
    region is a mean of borders that are all at least as strong as the border just removed. Therefore the cuts at two
    thresholds are nested.

    Args:
        areas: [R] int, pixels of each region.
        borders: adjacent regions and the strength of their borders, 0..1.
        min_size: minimum size of a region, pixels.
    """
    growing = _Growing(areas.tolist(), borders, min_size)
    merges: list[tuple[int, int, float]] = []
    reached = 0.0
    while (found := growing.weakest()) is not None:
        level, first, second = found
        reached = max(reached, level)  # rounding can put a mean below all its terms
        growing.merge(first, second)
        merges.append((first, second, reached))
    table = np.array(merges, dtype=np.float64).reshape(-1, 3)
    return Hierarchy(len(areas), table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2])


class _Growing:
    """Regions, their borders, and a heap of the borders ordered by level.

    The level of a border is its strength, or a negative value next to a region smaller than `min_size`. Heap entries
    whose level is out of date are skipped.
    """

    def __init__(self, areas: list[int], borders: Borders, min_size: float) -> None:
        self.areas, self.min_size = areas, min_size
        self.around: list[dict[int, tuple[float, int]]] = [{} for _ in areas]  # neighbour -> (sum of strength, sides)
        for a, b, sides, strength in zip(*(part.tolist() for part in borders), strict=True):
            self.around[a][b] = self.around[b][a] = (strength * sides, sides)
        self.heap = [(self._level(a, b), a, b) for a in range(len(areas)) for b in self.around[a] if a < b]
        heapq.heapify(self.heap)

    def weakest(self) -> tuple[float, int, int] | None:
        """Level and regions of the weakest border, the region with more neighbours first; None if no border is left."""
        while self.heap:
            level, a, b = heapq.heappop(self.heap)
            if b in self.around[a] and self._level(a, b) == level:
                return (level, a, b) if len(self.around[a]) >= len(self.around[b]) else (level, b, a)
        return None

    def merge(self, first: int, second: int) -> None:
        """Merge `second` into `first`: add its area and borders."""
        was_speck = self.areas[first] < self.min_size
        self.areas[first] += self.areas[second]
        of_second, self.around[second] = self.around[second], {}
        del self.around[first][second], of_second[first]
        for other, (total, sides) in of_second.items():
            known_total, known_sides = self.around[first].get(other, (0.0, 0))
            del self.around[other][second]
            self.around[first][other] = self.around[other][first] = (total + known_total, sides + known_sides)
        for other in self.around[first] if was_speck else of_second:
            a, b = min(first, other), max(first, other)
            heapq.heappush(self.heap, (self._level(a, b), a, b))

    def _level(self, a: int, b: int) -> float:
        total, sides = self.around[a][b]
        speck = min(self.areas[a], self.areas[b]) < self.min_size
        return total / sides - (2.0 if speck else 0.0)  # -2 puts small regions first and keeps their order
