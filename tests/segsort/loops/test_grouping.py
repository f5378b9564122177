"""Places of equal keys, beside a stable argsort."""

import numpy as np
import pytest

from segsort.loops.grouping import grouped


@pytest.mark.parametrize("count", [1, 2, 7, 300])
@pytest.mark.parametrize("length", [0, 1, 5, 1000])
def test_places_are_those_of_a_stable_argsort(count: int, length: int) -> None:
    keys = np.random.default_rng(count + length).integers(0, count, length)
    order, bounds = grouped(keys, count)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))
    assert bounds.tolist() == [*(int((keys < key).sum()) for key in range(count)), length, length]


def test_each_key_has_its_places_in_rising_order() -> None:
    keys = np.array([2, 0, 2, 1, 2, 0])
    order, bounds = grouped(keys, 4)
    places = [order[bounds[key] : bounds[key + 1]].tolist() for key in range(4)]
    assert places == [[1, 5], [3], [0, 2, 4], []]


@pytest.mark.parametrize("left_out", [-1, -7, 3, 1000])
def test_keys_out_of_range_are_left_out(left_out: int) -> None:
    keys = np.array([left_out, 1, left_out, 0, 2, left_out])
    order, bounds = grouped(keys, 3)
    assert order.tolist() == [3, 1, 4]
    assert bounds.tolist() == [0, 1, 2, 3, 3]


def test_without_a_key_in_range_nothing_is_found() -> None:
    order, bounds = grouped(np.full(9, -1), 2)
    assert order.tolist() == []
    assert bounds.tolist() == [0, 0, 0, 0]
