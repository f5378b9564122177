"""Connected components and their borders beside cc3d and naive loops."""

from collections import Counter

import cc3d
import numpy as np
import pytest

from segsort.loops import at_most, components, merge_small
from segsort.loops.sharing import counters, read
from tests.segsort.loops.data import random_labels

MAPS = [(1, 1), (1, 40), (40, 1), (7, 9), (30, 41), (8, 8), (65, 33)]


def found_in(labels: np.ndarray, min_pixels: float, threads: int = 1) -> components.Components:
    """Components of a label map; the helpers come after the leader."""
    room, steps = components.Components.allocate(labels), counters(components.COUNTERS)
    for number in range(threads):
        components.find_components(labels, room, min_pixels, steps, number)
    return room


def component_map(labels: np.ndarray, found: components.Components) -> np.ndarray:
    """[H, W] the component of each pixel, from the runs."""
    H, W = labels.shape
    image = np.empty((H, W), dtype=np.int64)
    for y in range(H):
        for run in range(found.first[y], found.first[y + 1]):
            end = found.start[run + 1] if run + 1 < found.first[y + 1] else W
            image[y, found.start[run] : end] = found.component[run]
    return image


def in_the_order_of_rows(components: np.ndarray) -> np.ndarray:
    """The partition, numbered in the order in which rows meet the parts."""
    _, first, inverse = np.unique(components.ravel(), return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse].reshape(components.shape)


def naive_borders(image: np.ndarray, small: np.ndarray) -> Counter[tuple[int, int]]:
    """Number of pixel sides by (small component, other component)."""
    sides: Counter[tuple[int, int]] = Counter()
    H, W = image.shape
    for y in range(H):
        for x in range(W):
            for below, right in ((y + 1, x), (y, x + 1)):
                if below < H and right < W and image[y, x] != image[below, right]:
                    one, other = int(image[y, x]), int(image[below, right])
                    if small[one]:
                        sides[one, other] += 1
                    if small[other]:
                        sides[other, one] += 1
    return sides


def counted_borders(found: components.Components) -> Counter[tuple[int, int]]:
    sides: Counter[tuple[int, int]] = Counter()
    for band, end in zip(found.borders, found.ends, strict=True):
        for small, other, length in band[:end].tolist():
            sides[small, other] += length
    return sides


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("kinds", [1, 2, 5])
def test_components_are_the_connected_components_in_the_order_of_rows(shape: tuple[int, int], kinds: int) -> None:
    labels = random_labels(*shape, kinds, seed=kinds)
    found = found_in(labels, 5)
    components = cc3d.connected_components(labels + 1, connectivity=4)
    expected = in_the_order_of_rows(components)
    image = component_map(labels, found)
    np.testing.assert_array_equal(image, expected)
    count = int(found.found[0])
    assert count == expected.max() + 1
    np.testing.assert_array_equal(found.areas[:count], np.bincount(expected.ravel()))
    for component in range(count):
        assert set(labels[expected == component].tolist()) == {int(found.labels[component])}


@pytest.mark.parametrize("min_pixels", [1, 2, 5, 5.5, 1000])
def test_components_below_the_limit_are_small(min_pixels: float) -> None:
    found = found_in(random_labels(30, 41, 4, seed=0), min_pixels)
    count = int(found.found[0])
    np.testing.assert_array_equal(found.small[:count], found.areas[:count] < min_pixels)


@pytest.mark.parametrize("shape", MAPS)
def test_borders_of_small_components_are_counted_side_by_side(shape: tuple[int, int]) -> None:
    labels = random_labels(*shape, 4, seed=7)
    found = found_in(labels, 6)
    assert counted_borders(found) == naive_borders(component_map(labels, found), found.small)


def test_a_band_with_every_pixel_a_border_has_room_for_all() -> None:
    board = (np.indices((33, 29)).sum(axis=0) % 2).astype(np.int32)
    found = found_in(board, 2)
    assert counted_borders(found) == naive_borders(component_map(board, found), found.small)


def test_a_snake_through_all_bands_is_one_component() -> None:
    labels = np.ones((41, 21), dtype=np.int32)
    labels[1::2] = 0
    labels[1::4, -1] = labels[3::4, 0] = 1
    found = found_in(labels, 1)
    assert found.areas[0] == int((labels == 1).sum())
    assert found.found[0] == 1 + 20


def test_helpers_that_come_late_change_nothing() -> None:
    labels = random_labels(30, 41, 4, seed=0)
    alone, late = found_in(labels, 6), found_in(labels, 6, threads=3)
    count = int(alone.found[0])
    np.testing.assert_array_equal(alone.component, late.component)
    for one, other in ((alone.areas, late.areas), (alone.labels, late.labels), (alone.small, late.small)):
        np.testing.assert_array_equal(one[:count], other[:count])
    assert counted_borders(alone) == counted_borders(late)


def test_stop_lets_a_helper_go_that_waits_for_the_leader() -> None:
    labels, steps = random_labels(30, 41, 4, seed=0), counters(components.COUNTERS)
    components.stop(steps)
    room = components.Components.allocate(labels)
    components.find_components(labels, room, 6.0, steps, 1)  # returns instead of waiting
    assert read(steps, components.BORDERING) == 0
    assert not room.ends.any()


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("min_pixels", [1, 4, 50])
def test_numbered_labels_are_the_merged_ones_without_gaps(shape: tuple[int, int], min_pixels: int) -> None:
    labels = random_labels(*shape, 6, seed=2) * 3
    merged, pixels = merge_small(labels, min_pixels)
    own = labels.copy()
    numbered, areas = merge_small(own, min_pixels, numbered=True)
    kept = np.unique(merged)
    np.testing.assert_array_equal(kept[numbered], merged)
    assert numbered is own
    np.testing.assert_array_equal(areas, np.bincount(numbered.ravel()))
    np.testing.assert_array_equal(pixels, np.bincount(merged.ravel(), minlength=len(pixels)))


def test_labels_are_not_changed_unless_they_are_numbered() -> None:
    labels = random_labels(30, 41, 4, seed=0)
    before = labels.copy()
    merge_small(labels, 9)
    np.testing.assert_array_equal(labels, before)


def test_a_large_neighbour_wins_over_a_longer_border_with_a_small_one() -> None:
    labels = np.zeros((6, 9), dtype=np.int32)
    labels[:3, :3] = [[1, 1, 1], [1, 2, 1], [1, 2, 0]]  # 2 has five sides with 1 (seven pixels) and two with 0
    merged, _ = merge_small(labels, 8)
    assert merged[1, 1] == 0


def test_of_two_small_components_that_would_swap_the_larger_stays() -> None:
    labels = np.array([[1, 1, 2]], dtype=np.int32)
    merged, pixels = merge_small(labels, 100)
    assert merged.tolist() == [[1, 1, 1]]
    assert pixels.tolist() == [0, 3]


def test_the_largest_component_joins_none_however_small_it_is() -> None:
    labels = np.array([[3, 3, 3, 5, 5]], dtype=np.int32)
    assert merge_small(labels, 100)[0].tolist() == [[3] * 5]


def test_joining_again_changes_nothing_when_no_small_component_is_left() -> None:
    merged, _ = merge_small(random_labels(40, 50, 3, seed=4, magnified=10), 9)
    again, _ = merge_small(merged, 9)
    np.testing.assert_array_equal(again, merged)


@pytest.mark.parametrize("count", [2, 5])
def test_threads_join_as_one_does(count: int) -> None:
    labels = random_labels(401, 503, 5, seed=8, magnified=7)
    with at_most(1):
        alone = merge_small(labels, 30)
    with at_most(count):
        shared = merge_small(labels, 30)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 33])
def test_filling_writes_every_run_and_no_pixel_beside_it(width: int) -> None:
    labels = random_labels(17, width, 4, seed=width, magnified=2)
    found = found_in(labels, 1)
    image = component_map(labels, found)
    to = np.random.default_rng(0).integers(0, 9, int(found.found[0])).astype(np.int32)
    components.fill_runs(labels, found, to, counters(1))
    np.testing.assert_array_equal(labels, to[image])
