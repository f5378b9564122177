"""Evenly spread subsets, compared with their definition."""

from itertools import pairwise

import pytest

from index_builder.subsets import evenly_spread


@pytest.mark.parametrize(("count", "most"), [(10, 3), (7, 7), (100, 33), (5, 1), (1, 4), (13, 5)])
def test_positions_are_distinct_in_order_and_evenly_spaced(count: int, most: int) -> None:
    chosen = evenly_spread(count, most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] < count
    gaps = {b - a for a, b in pairwise(chosen)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_an_empty_set_has_an_empty_subset() -> None:
    assert evenly_spread(0, 5) == []
    assert evenly_spread(5, 0) == []
