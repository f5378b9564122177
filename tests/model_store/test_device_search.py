"""The search on a device, here on CPU tensors, equals a naive comparison."""

import numpy as np
import pytest
import torch

from model_store import device_search
from model_store.device_search import DeviceSearch
from model_store.index import ExemplarIndex
from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from segsort.loops import nearest_rows
from tests.model_store.test_index import unit

HERE = torch.device("cpu")


def gone_rows(count: int, share: float) -> np.ndarray:
    gone = np.zeros(count, dtype=bool)
    gone[np.random.default_rng(0).permutation(count)[: int(count * share)]] = True
    return gone


@pytest.mark.parametrize("k", [1, 20, 60, 900])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_neighbours_and_cosines_are_those_of_the_nearest_rows(k: int, share: float) -> None:
    prototypes, queries, gone = unit(900, 32), unit(40, 32, seed=1), gone_rows(900, share)
    cosines, rows = DeviceSearch(prototypes, HERE).search(queries, k, gone)
    expected, expected_rows = nearest_rows(prototypes, queries, k, gone)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(cosines, expected)
    assert not gone[rows].any()


@pytest.mark.parametrize("at_once", [1, 1000, 1 << 26])
def test_equal_prototypes_come_in_the_order_of_their_rows_however_many_they_are(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(device_search, "_AT_ONCE", at_once)
    prototypes = np.tile(unit(5, 8), (100, 1))  # each a hundred times
    search = DeviceSearch(prototypes, HERE)
    for k in (1, 7, 99, 100, 101, 500):
        cosines, rows = search.search(prototypes[:5], k)
        expected, expected_rows = nearest_rows(prototypes, prototypes[:5].copy(), k)
        np.testing.assert_array_equal(rows, expected_rows)
        np.testing.assert_array_equal(cosines, expected)
    assert search.search(prototypes[2:3], 3)[1].tolist() == [[2, 7, 12]]


def test_neighbours_that_differ_by_less_than_a_device_rounds_are_told_apart() -> None:
    """A thousand prototypes differ by less than the rounding error. Exact cosines decide which are nearest."""
    random = np.random.default_rng(3)
    crowd = unit(1, 32) + random.normal(0, 2e-7, (1000, 32)).astype(np.float32)
    prototypes = np.concatenate([crowd.astype(np.float32), unit(1000, 32, seed=4)])
    search, queries = DeviceSearch(prototypes, HERE), unit(8, 32, seed=5)
    search._columns = search._columns + torch.randn(search._columns.shape) * 1e-7  # as another device may round
    cosines, rows = search.search(queries, 20)
    expected, expected_rows = nearest_rows(prototypes, queries, 20)
    np.testing.assert_array_equal(rows, expected_rows)
    np.testing.assert_array_equal(cosines, expected)


def test_nothing_asked_finds_nothing() -> None:
    cosines, rows = DeviceSearch(unit(9), HERE).search(np.zeros((0, 16), dtype=np.float32), 4)
    assert cosines.shape == rows.shape == (0, 4)


def test_no_prototypes_are_found_among_none() -> None:
    cosines, rows = DeviceSearch(np.zeros((0, 16), dtype=np.float32), HERE).search(unit(3), 4)
    assert cosines.shape == rows.shape == (3, 0)


def test_edits_count_where_the_release_is_searched_on_a_device(tiny_release) -> None:  # type: ignore[no-untyped-def]
    release = Release.open(tiny_release)
    index = ExemplarIndex(release.index._index, release.index.prototypes)
    index._exact = DeviceSearch(index.prototypes, HERE).search
    states = []
    for over in (release.index, index):
        one = AddedExemplar(
            "one", release.index.prototypes[3], 0, 1.0, "0" * 64, "here", 9, 9, (0, 0, 1, 1), 1, "04l`1"
        )
        state = LiveExemplars.of_release(release, index=over)
        states.append(state.edited(2, added=[one], alive={release.exemplars.ids[3]: False}))
    queries = release.index.prototypes[:8].copy()
    expected, found = (state.search(queries, 10) for state in states)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])
    assert 3 not in found[1]
    assert found[1][3, 0] == release.index.ntotal
