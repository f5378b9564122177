"""The exact search beside naive loops, one step of it at a time."""

from collections.abc import Callable

import numpy as np
import pytest

from segsort.loops import at_most, cosines_of, insert_nearest, nearest, nearest_rows
from segsort.loops.blocks import PIECE
from tests.segsort.loops.data import unit_vectors

Found = tuple[np.ndarray, np.ndarray]


def naive_search(rows: np.ndarray, queries: np.ndarray, k: int, gone: np.ndarray | None = None) -> list[list[int]]:
    """Rows of each query by falling cosine; equal ones in their order."""
    found = []
    for query in queries:
        cosines = [(-float(row.astype(float) @ query), n) for n, row in enumerate(rows) if gone is None or not gone[n]]
        found.append([n for _, n in sorted(cosines)[:k]])
    return found


def workspace(rows: np.ndarray, queries: np.ndarray, k: int, gone: np.ndarray | None = None) -> nearest.Search:
    cosines, found = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    return nearest.Search.allocate(rows, queries, gone, cosines, found)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 100, PIECE + 3])
@pytest.mark.parametrize("some_gone", [False, True])
def test_the_largest_cosine_of_each_group_of_rows_is_kept(count: int, some_gone: bool) -> None:
    rows, queries = unit_vectors(count), unit_vectors(9, seed=1)
    gone = np.random.default_rng(0).random(count) < 0.5 if some_gone else None
    work = workspace(rows, queries, 1, gone)
    nearest.group_maxima(work)
    cosines = rows @ queries.T
    if gone is not None:
        cosines[gone] = -2
    for group in range(len(work.maxima)):
        expected = cosines[group * nearest.GROUP : (group + 1) * nearest.GROUP].max(axis=0)
        np.testing.assert_allclose(work.maxima[group], expected, atol=1e-6)


@pytest.mark.parametrize("count", [1, 5, 16, 40, 300, PIECE + 3])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_the_nearest_rows_are_those_of_a_full_comparison(count: int, k: int) -> None:
    rows, queries = unit_vectors(count), unit_vectors(7, seed=1)
    cosines, found = nearest_rows(rows, queries, k)
    assert found.tolist() == naive_search(rows, queries, k)
    np.testing.assert_allclose(cosines, np.einsum("qd,qkd->qk", queries, rows[found]), atol=1e-6)
    assert cosines.shape == (7, min(k, count))


@pytest.mark.parametrize("share", [0.1, 0.9, 1.0])
def test_rows_that_are_gone_are_never_found(share: float) -> None:
    rows, queries = unit_vectors(200), unit_vectors(7, seed=1)
    gone = np.zeros(200, dtype=bool)
    gone[np.random.default_rng(0).permutation(200)[: int(200 * share)]] = True
    cosines, found = nearest_rows(rows, queries, 20, gone)
    assert found.tolist() == naive_search(rows, queries, 20, gone)
    assert cosines.shape[1] == min(20, int((~gone).sum()))


def test_equal_rows_come_in_their_order() -> None:
    rows = np.repeat(unit_vectors(3), 40, axis=0)
    for k in (1, 39, 40, 41, 120):
        _, found = nearest_rows(rows, rows[40:41].copy(), k)
        assert found[0, :40].tolist() == list(range(40, 80))[:k]


def test_the_k_th_neighbour_is_found_although_products_round_differently() -> None:
    """All rows are almost equally near, so that the bound of the groups decides nothing."""
    random = np.random.default_rng(0)
    rows = np.tile(unit_vectors(1), (500, 1)) + random.standard_normal((500, 16)).astype(np.float32) * 1e-7
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    cosines, found = nearest_rows(rows, rows[:3].copy(), 10)
    exact = cosines_of(rows, rows[:3].copy(), np.tile(np.arange(500), (3, 1)))
    for query in range(3):
        expected = np.lexsort((np.arange(500), -exact[query]))[:10]
        np.testing.assert_array_equal(found[query], expected)
        np.testing.assert_array_equal(cosines[query], exact[query, expected])


@pytest.mark.parametrize("split", [1, 16, 50, 199])
@pytest.mark.parametrize("k", [1, 20, 250])
def test_inserting_rows_finds_what_a_search_over_all_finds(split: int, k: int) -> None:
    rows, queries = unit_vectors(200), unit_vectors(7, seed=1)
    before = nearest_rows(rows[:split].copy(), queries, k)
    cosines, found = insert_nearest(before, rows[split:].copy(), split, queries, k)
    expected_cosines, expected = nearest_rows(rows, queries, k)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(cosines, expected_cosines)


def test_inserted_rows_that_are_gone_are_never_found() -> None:
    rows, queries = unit_vectors(100), unit_vectors(7, seed=1)
    gone = np.random.default_rng(0).random(60) < 0.5
    before = nearest_rows(rows[:40].copy(), queries, 20)
    _, found = insert_nearest(before, rows[40:].copy(), 40, queries, 20, gone)
    all_gone = np.concatenate([np.zeros(40, dtype=bool), gone])
    assert found.tolist() == naive_search(rows, queries, 20, all_gone)


def test_rows_inserted_after_equal_ones_come_behind_them() -> None:
    rows = np.repeat(unit_vectors(1), 30, axis=0)
    before = nearest_rows(rows[:10].copy(), rows[:1].copy(), 15)
    _, found = insert_nearest(before, rows[10:].copy(), 10, rows[:1].copy(), 15)
    assert found[0].tolist() == list(range(15))


def nothing(queries: np.ndarray) -> Found:
    return nearest_rows(unit_vectors(5), queries, 3)


def all_gone(queries: np.ndarray) -> Found:
    return nearest_rows(unit_vectors(5), queries, 3, np.ones(5, dtype=bool))


@pytest.mark.parametrize(("search", "queries", "shape"), [(nothing, 0, (0, 3)), (all_gone, 4, (4, 0))])
def test_a_search_for_nothing_or_among_nothing_is_empty(
    search: Callable[[np.ndarray], Found], queries: int, shape: tuple[int, int]
) -> None:
    cosines, found = search(np.zeros((queries, 16), np.float32))
    assert cosines.shape == found.shape == shape


@pytest.mark.parametrize("count", [2, 4])
def test_threads_find_what_one_finds(count: int) -> None:
    rows, queries = unit_vectors(6000, 32), unit_vectors(90, 32, seed=1)
    with at_most(1):
        alone = nearest_rows(rows, queries, 20)
    with at_most(count):
        shared = nearest_rows(rows, queries, 20)
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)


def test_cosines_stay_within_one() -> None:
    rows = np.full((1, 3), 0.57735032, dtype=np.float32)  # rounds to a length above 1
    assert cosines_of(rows, rows, np.zeros((1, 1), dtype=np.int64))[0, 0] <= 1
    assert cosines_of(rows, -rows, np.zeros((1, 1), dtype=np.int64))[0, 0] >= -1


@pytest.mark.parametrize("count", [1, 2, 3, 16, 100, 1001])
@pytest.mark.parametrize("kinds", [2, 1000])
def test_scores_are_sorted_by_falling_value_and_stably(count: int, kinds: int) -> None:
    random = np.random.default_rng(count)
    scores, rows = np.empty((2, count + 3), np.float32), np.empty((2, count + 3), np.int64)
    scores[0], rows[0] = random.integers(0, kinds, count + 3), np.arange(count + 3)
    order = np.argsort(-scores[0, :count], kind="stable")
    expected = scores[0, :count][order]
    half = nearest._sort_falling(scores, rows, count)
    np.testing.assert_array_equal(rows[half, :count], order)
    np.testing.assert_array_equal(scores[half, :count], expected)


@pytest.mark.parametrize("k", [1, 2, 10, 50, 99])
def test_at_least_k_values_reach_the_bound_and_few_more(k: int) -> None:
    values = np.random.default_rng(k).standard_normal(100).astype(np.float32)
    bound = nearest._bound(values, k)
    assert k <= int((values >= bound).sum()) <= k + 2


def test_of_equal_values_all_reach_the_bound() -> None:
    assert nearest._bound(np.full(20, 0.5, dtype=np.float32), 3) <= np.float32(0.5)


def test_a_row_is_inserted_behind_equally_near_ones() -> None:
    best, found = np.array([0.9, 0.5, 0.5, 0.1], np.float32), np.array([4, 3, 8, 1])
    nearest._insert(np.float32(0.5), 20, best, found)
    assert found.tolist() == [4, 3, 8, 20]
    np.testing.assert_allclose(best, [0.9, 0.5, 0.5, 0.5])
    nearest._insert(np.float32(0.4), 21, best, found)
    assert found.tolist() == [4, 3, 8, 20]
