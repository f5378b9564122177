"""The hierarchy: merges equal to those of a naive loop, heights that are an ultrametric, and nested cuts."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from index_builder.regions.borders import find_borders
from index_builder.regions.hierarchy import Hierarchy, build_hierarchy
from index_builder.regions.superpixels import connected_pieces


def partition(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Some thirty regions and a strength for each pixel."""
    random = np.random.default_rng(seed)
    return connected_pieces(random.integers(0, 3, (8, 9))), random.random((8, 9))


def hierarchy_of(regions: np.ndarray, strength: np.ndarray) -> Hierarchy:
    return build_hierarchy(np.bincount(regions.ravel()), find_borders(regions, strength))


def merged_by_loops(regions: np.ndarray, strength: np.ndarray, threshold: float) -> np.ndarray:
    """Merge regions, and find all borders again after each merge."""
    regions = regions.copy()
    while True:
        borders = find_borders(regions, strength)
        if len(borders.strength) == 0 or borders.strength.min() >= threshold:
            return regions
        weakest = borders.strength.argmin()
        regions[regions == borders.second[weakest]] = borders.first[weakest]


def renumbered(regions: np.ndarray) -> np.ndarray:
    """Renumber regions by first occurrence, so that partitions can be compared."""
    values, first = np.unique(regions, return_index=True)
    return np.argsort(np.argsort(first))[np.searchsorted(values, regions)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.7, 0.8, 2.0])
def test_a_cut_is_what_merging_the_weakest_border_again_and_again_leaves(seed: int, threshold: float) -> None:
    regions, strength = partition(seed)
    found = hierarchy_of(regions, strength).cut(threshold)[regions]
    assert found.dtype == np.int32
    assert sorted(np.unique(found)) == list(range(found.max() + 1))
    np.testing.assert_array_equal(renumbered(found), renumbered(merged_by_loops(regions, strength, threshold)))


def test_the_height_of_joining_is_an_ultrametric() -> None:
    regions, strength = partition(5)
    hierarchy = hierarchy_of(regions, strength)
    assert len(hierarchy.height) == hierarchy.regions - 1, "all is one in the end"
    height = np.full((hierarchy.regions,) * 2, np.inf)
    for level in hierarchy.height[::-1]:
        below = hierarchy.cut(np.nextafter(level, np.inf))
        height[below[:, None] == below] = level
    for a, b, c in permutations(range(0, hierarchy.regions, 3), 3):
        assert height[a, c] <= max(height[a, b], height[b, c])


def test_a_higher_cut_only_joins_what_a_lower_one_leaves() -> None:
    hierarchy = hierarchy_of(*partition(6))
    assert (np.diff(hierarchy.height) >= 0).all()
    low, high = hierarchy.cut(0.6), hierarchy.cut(0.75)
    assert low.max() > high.max() > 0
    for region in range(low.max() + 1):
        assert len(np.unique(high[low == region])) == 1


def test_a_border_at_the_threshold_stays() -> None:
    regions = np.array([[0, 1, 2]])
    hierarchy = hierarchy_of(regions, np.array([[0.0, 0.5, 0.75]]))
    np.testing.assert_array_equal(hierarchy.cut(0.5), [0, 1, 2])
    np.testing.assert_array_equal(hierarchy.cut(0.6), [0, 0, 1])


def test_a_single_region_has_a_hierarchy_without_merges() -> None:
    hierarchy = hierarchy_of(np.zeros((2, 2), dtype=np.int32), np.ones((2, 2)))
    np.testing.assert_array_equal(hierarchy.cut(1.0), [0])


def test_specks_go_first_each_across_its_weakest_border() -> None:
    """In two pairs of fields, a tiny region lies on a strong contour. It is merged across its weaker border."""
    regions = np.array([[0, 0, 0, 1, 2, 2, 2]])
    strength = np.array([[0.0, 0.0, 0.0, 0.8, 0.9, 0.0, 0.0]])
    hierarchy = build_hierarchy(np.bincount(regions.ravel()), find_borders(regions, strength), min_size=2)
    np.testing.assert_array_equal(hierarchy.cut(0.1), [0, 0, 1])
    np.testing.assert_array_equal(hierarchy.height, [0.0, 0.9])


@pytest.mark.parametrize("seed", range(4))
def test_no_speck_is_left_at_any_cut_and_cuts_stay_nested(seed: int) -> None:
    regions, strength = partition(seed)
    hierarchy = build_hierarchy(np.bincount(regions.ravel()), find_borders(regions, strength), min_size=8)
    assert (np.diff(hierarchy.height) >= 0).all()
    cuts = [hierarchy.cut(threshold)[regions] for threshold in (np.nextafter(0, 1), 0.6, 0.8)]
    for fine, coarse in pairwise(cuts):
        assert np.bincount(fine.ravel()).min() >= 8
        assert all(len(np.unique(coarse[fine == region])) == 1 for region in range(fine.max() + 1))
