"""Spherical k-means beside naive loops, one step of it at a time."""

from itertools import pairwise

import numpy as np
import pytest

from segsort.loops import kmeans
from segsort.loops.blocks import PIECE
from segsort.loops.sharing import add, counters, read
from tests.segsort.loops.data import unit_vectors

AROUND_A_PIECE = [1, 7, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5]


def starting_labels(count: int, groups: int) -> np.ndarray:
    return np.arange(count) * groups // count


def naive_sums(rows: np.ndarray, labels: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    sums, sizes = np.zeros((groups, rows.shape[1])), np.zeros(groups, dtype=np.int64)
    for row, label in zip(rows, labels, strict=True):
        sums[label] += row
        sizes[label] += 1
    return sums, sizes


def naive_means(rows: np.ndarray, labels: np.ndarray, groups: int) -> np.ndarray:
    """[groups, D]: the direction of each group's sum, zero for an empty group."""
    found = np.zeros((groups, rows.shape[1]))
    for group in range(groups):
        members = [row.astype(float) for row, label in zip(rows, labels, strict=True) if label == group]
        if members:
            total = sum(members)
            found[group] = total / np.sqrt((total**2).sum())
    return found


def naive_sort(rows: np.ndarray, labels: np.ndarray, groups: int, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and means after so many E- and M-steps; a row stays on a tie, and an empty group attracts none."""
    labels = labels.copy()
    for _ in range(iterations):
        means = naive_means(rows, labels, groups)
        filled = sorted(set(labels.tolist()))
        for n, row in enumerate(rows):
            cosines = {group: float(row.astype(float) @ means[group]) for group in filled}
            best = max(cosines.values())
            if cosines[labels[n]] < best:
                labels[n] = next(group for group in filled if cosines[group] == best)
    return labels, naive_means(rows, labels, groups)


@pytest.mark.parametrize("count", AROUND_A_PIECE)
def test_rows_are_added_to_their_groups(count: int) -> None:
    rows, labels = unit_vectors(count, 5), np.random.default_rng(1).integers(0, 4, count)
    sums, sizes = np.ones((4, 5)), np.full(4, 10, dtype=np.int64)
    kmeans.add_rows(rows, labels, sums, sizes)
    expected, expected_sizes = naive_sums(rows, labels, 4)
    np.testing.assert_allclose(sums, expected + 1)
    np.testing.assert_array_equal(sizes, expected_sizes + 10)


def test_means_are_directions_of_sums() -> None:
    rows, labels = unit_vectors(60, 7), np.random.default_rng(2).integers(0, 5, 60)
    sums, sizes = naive_sums(rows, labels, 5)
    theta = np.empty((7, 5), dtype=np.float32)
    kmeans.means(sums, sizes, theta)
    np.testing.assert_allclose(theta.T, naive_means(rows, labels, 5), atol=1e-6)


def test_an_emptied_group_has_a_mean_of_zero_and_forgets_what_rounding_left() -> None:
    sums, sizes = np.array([[3.0, 4.0], [1e-9, -1e-9]]), np.array([2, 0])
    theta = np.empty((2, 2), dtype=np.float32)
    kmeans.means(sums, sizes, theta)
    np.testing.assert_allclose(theta.T, [[0.6, 0.8], [0, 0]])
    assert sums[1].tolist() == [0, 0]


def test_opposite_rows_give_a_mean_of_zero_and_no_nan() -> None:
    theta = np.empty((2, 1), dtype=np.float32)
    kmeans.means(np.zeros((1, 2)), np.array([2]), theta)
    assert theta.ravel().tolist() == [0, 0]


@pytest.mark.parametrize("count", AROUND_A_PIECE)
@pytest.mark.parametrize("threads", [1, 3])
def test_pieces_of_rows_add_up_to_all_rows(count: int, threads: int) -> None:
    """Here the helpers come first and take every piece; the leader pours their sums together."""
    rows, labels = unit_vectors(count, 6), np.random.default_rng(3).integers(0, 4, count)
    work = kmeans.Sorting.allocate(rows, labels, 4, 1, threads)
    for number in reversed(range(threads)):
        kmeans.add_pieces(work, number)
    sums, sizes = naive_sums(rows, labels, 4)
    np.testing.assert_allclose(work.sums[0], sums, atol=1e-12)
    np.testing.assert_array_equal(work.sizes[0], sizes)
    assert not work.sums[1:].any()
    assert not work.sizes[1:].any()
    assert read(work.counters, kmeans.ADDED) == -(-count // PIECE)


@pytest.mark.parametrize(("count", "groups"), [(1, 1), (40, 3), (500, 9), (PIECE + 17, 20), (96, 96)])
@pytest.mark.parametrize("iterations", [1, 2, 6])
def test_labels_and_means_are_those_of_naive_loops(count: int, groups: int, iterations: int) -> None:
    rows, labels = unit_vectors(count, 6, seed=count), starting_labels(count, groups)
    expected, expected_means = naive_sort(rows, labels, groups, iterations)
    theta = kmeans.sort(rows, labels, groups, iterations, 1)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_allclose(theta, expected_means, atol=1e-6)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_sort_as_one_does(threads: int) -> None:
    rows, start = unit_vectors(5 * PIECE + 3, 10), starting_labels(5 * PIECE + 3, 30)
    alone, shared = start.copy(), start.copy()
    theta = kmeans.sort(rows, alone, 30, 8, 1)
    np.testing.assert_allclose(kmeans.sort(rows, shared, 30, 8, threads), theta, atol=1e-6)
    np.testing.assert_array_equal(shared, alone)


def test_an_empty_group_attracts_no_row() -> None:
    rows, labels = unit_vectors(200, 6), np.random.default_rng(0).choice([0, 2, 3], 200)
    theta = kmeans.sort(rows, labels, 5, 4, 1)
    assert set(labels.tolist()) <= {0, 2, 3}
    assert not theta[[1, 4]].any()


def test_a_row_stays_where_it_is_on_a_tie() -> None:
    rows = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (50, 1))
    labels = np.arange(50) % 7
    kmeans.sort(rows, labels, 7, 5, 1)
    np.testing.assert_array_equal(labels, np.arange(50) % 7)


def test_sorting_stops_when_no_row_moves() -> None:
    """Two clusters that are right at the start need one iteration of a hundred."""
    rows = np.repeat(np.eye(2, dtype=np.float32), 30, axis=0)
    work = kmeans.Sorting.allocate(rows, np.repeat([0, 1], 30), 2, 100, 1)
    kmeans.sort_rows(work, 100, 0)
    taken = [read(work.counters, kmeans.FIRST + 2 * iteration) for iteration in range(100)]
    assert taken[0] > 0
    assert not any(taken[1:])


def test_the_mean_cosine_never_falls_with_more_iterations() -> None:
    rows, reached = unit_vectors(700, 8), []
    for iterations in range(1, 9):
        labels = starting_labels(700, 12)
        theta = kmeans.sort(rows, labels, 12, iterations, 1)
        reached.append(float((rows * theta[labels]).sum()))
    assert all(after >= before - 1e-3 for before, after in pairwise(reached))


def test_a_helper_that_comes_when_all_is_over_finds_nothing_to_do() -> None:
    rows, labels = unit_vectors(2000, 6), starting_labels(2000, 9)
    work = kmeans.Sorting.allocate(rows, labels, 9, 4, 2)
    kmeans.sort_rows(work, 4, 0)
    before = [array.copy() for array in work[:6]]
    kmeans.sort_rows(work, 4, 1)
    for old, new in zip(before, work[:6], strict=True):
        np.testing.assert_array_equal(old, new)


def test_stop_ends_the_wait_for_every_iteration() -> None:
    shared = counters(kmeans.FIRST + 2 * 3)
    kmeans.stop(shared, 3)
    assert not any(kmeans.is_open(shared, iteration) for iteration in range(3))


def test_an_open_iteration_is_seen_as_open() -> None:
    shared = counters(kmeans.FIRST + 2)
    add(shared, kmeans.OPENED, 1)
    assert kmeans.is_open(shared, 0)
