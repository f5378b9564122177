"""Rows and means as bytes, beside naive loops over their numbers."""

import math

import numpy as np
import pytest

from segsort.loops import rounding
from segsort.loops.cache import loop
from segsort.loops.rounding import FARTHEST, FINEST, LARGEST, NEVER, ROWS, pack_means, pack_rows


@loop()
def _find_centre(sums: np.ndarray, count: int, centre: np.ndarray) -> None:
    rounding.find_centre(sums, count, centre)


@loop()
def _extent(rows: np.ndarray, centre: np.ndarray) -> float:
    return float(rounding.extent(rows, centre))


def centre_of(sums: np.ndarray, count: int) -> np.ndarray:
    centre = np.full(sums.shape[1], 77, np.float32)
    _find_centre(sums, count, centre)
    return centre


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def packed_rows(rows: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    """The words of rows in the layout of `nearest`, -1 where no row is written."""
    depth = -(-rows.shape[1] // 4)
    packed = np.full((-(-len(rows) // ROWS), depth, ROWS), -1, np.int32)
    pack_rows(rows, centre, np.float32(scale), packed, np.full(4 * depth, 128, np.uint8))
    return packed


def packed_means(
    theta: np.ndarray, sizes: list[int], centre: np.ndarray, scale: float, room: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bytes [K', 4 * G] and bias [K'] of means [D, K]."""
    D, K = theta.shape
    packed, bias = np.zeros((room or K, -(-D // 4) * 4), np.int8), np.full(room or K, 77, np.int32)
    pack_means(theta.astype(np.float32), np.array(sizes), centre.astype(np.float32), np.float32(scale), packed, bias)
    return packed, bias


def offsets(packed: np.ndarray, bias: np.ndarray) -> list[int]:
    """The bias without the part that makes up for bytes of rows being 128 too large."""
    return [int(b) + 128 * int(row.astype(int).sum()) for row, b in zip(packed, bias, strict=True)]


# The centre and the extent of rows


def test_the_centre_is_the_mean_of_all_rows() -> None:
    rows, sums = noise(23, 5), np.zeros((4, 5))
    for n, row in enumerate(rows):
        sums[n % 3] += row  # the last group is empty
    for d, found in enumerate(centre_of(sums, 23)):
        assert found == pytest.approx(sum(float(row[d]) for row in rows) / 23, abs=1e-6)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_the_centre_is_zero_only_where_a_sum_is_not_finite(odd: float) -> None:
    sums = np.array([[6.0, 1.0, 3.0], [2.0, odd, 5.0]])
    assert centre_of(sums, 4).tolist() == [2, 0, 2]


def test_the_centre_of_no_rows_is_zero() -> None:
    assert centre_of(np.zeros((3, 2)), 0).tolist() == [0, 0]


@pytest.mark.parametrize("count", range(1, 10))
def test_the_extent_is_the_largest_distance_of_any_row_from_the_centre(count: int) -> None:
    """Two rows are compared at once, so that the last row needs a test for an odd and an even number."""
    rows, centre = noise(count, 3) * np.float32(0.1), np.array([0.5, -2, 0], np.float32)
    for i in range(count):
        for d, far in ((0, 9.0), (1, -9.0), (2, 9.0)):
            moved = rows.copy()
            moved[i, d] = far
            expected = max(abs(float(row[e]) - float(centre[e])) for row in moved for e in range(3))
            assert _extent(moved, centre) == pytest.approx(expected, rel=1e-6)


def test_the_extent_of_many_rows_is_that_of_each_fourth() -> None:
    rows, centre = noise(1500, 3) * np.float32(0.1), np.zeros(3, np.float32)
    rows[5, 1], rows[1496, 2] = 9, -4
    assert _extent(rows, centre) == 4


def test_a_row_beyond_the_extent_is_cut_to_the_largest_byte() -> None:
    rows = np.full((1500, 4), 0.5, np.float32)
    rows[5] = [2, -2, 0.5, 0]
    blocks = np.zeros((47, 1, ROWS), np.int32)
    scale = np.float32(LARGEST) / _extent(rows, np.zeros(4, np.float32))
    pack_rows(rows, np.zeros(4, np.float32), scale, blocks, np.full(4, 128, np.uint8))
    found = np.ascontiguousarray(blocks[0, :, 5]).view(np.uint8).astype(int) - 128
    assert found.tolist() == [127, -127, 127, 0]


def test_the_extent_of_equal_rows_is_the_finest_that_is_scaled() -> None:
    row = noise(1, 6)
    assert _extent(row.repeat(5, axis=0), row[0]) == np.float32(FINEST)
    assert _extent(row + np.float32(0.01), row[0]) > 100 * FINEST


def test_rows_that_are_no_numbers_have_no_extent() -> None:
    rows, centre = noise(9, 4), np.zeros(4, np.float32)
    expected = _extent(rows[:5].copy(), centre)
    rows[5:] = np.nan
    assert _extent(rows, centre) == expected


# Rows


@pytest.mark.parametrize("count", [1, ROWS - 1, ROWS, ROWS + 1, 70])
@pytest.mark.parametrize("dimension", [1, 4, 5, 34])
def test_each_number_of_a_row_is_one_byte_of_a_word(count: int, dimension: int) -> None:
    rows, centre, scale = noise(count, dimension), noise(dimension, seed=1), 40.0
    packed = packed_rows(rows, centre, scale)
    for i in range(count):
        for d in range(4 * packed.shape[1]):
            byte = packed[i // ROWS, d // 4, i % ROWS] >> 8 * (d % 4) & 255
            if d >= dimension:
                assert byte == 128
                continue
            scaled = (float(rows[i, d]) - float(centre[d])) * scale
            assert abs(byte - 128 - max(-LARGEST, min(LARGEST, scaled))) <= 0.5 + 1e-4
    assert (packed[-1, :, (count - 1) % ROWS + 1 :] == -1).all()


def test_numbers_are_rounded_half_up_and_limited_to_127() -> None:
    wanted = {
        0.49: 0,
        0.5: 1,
        -0.5: 0,
        -0.51: -1,
        126.4: 126,
        127.4: 127,
        127.6: 127,
        1e30: 127,
        -127.6: -127,
        -900: -127,
    }
    rows = np.array([[value] for value in wanted], np.float32)
    packed = packed_rows(rows, np.zeros(1, np.float32), 1.0)
    assert [int(word & 255) - 128 for word in packed[0, 0, : len(wanted)]] == list(wanted.values())


# Means


@pytest.mark.parametrize("distance", [0.0, 1.0, 30.0])
def test_products_of_bytes_differ_as_products_of_numbers_do(distance: float) -> None:
    """Between two means, the products of a row differ as before rounding, by no more than the rounding explains."""
    D, K = 6, 5
    centre = noise(D, seed=2) * np.float32(distance)
    rows, theta = noise(40, D) + centre, noise(D, K, seed=1)
    scale = LARGEST / _extent(rows, centre)
    largest = max((max(row) - min(row)) / 2 for row in theta.tolist())
    words, (means, bias) = packed_rows(rows, centre, scale), packed_means(theta, [1] * K, centre, scale)
    error = 2 * (D * (LARGEST + 0.25) + 1)
    for i, row in enumerate(rows):
        bytes_ = [int(words[i // ROWS, d // 4, i % ROWS] >> 8 * (d % 4) & 255) for d in range(D)]
        scores = [sum(x * int(m) for x, m in zip(bytes_, means[k], strict=False)) + int(bias[k]) for k in range(K)]
        exact = [float(row.astype(float) @ theta[:, k]) * scale * LARGEST / largest for k in range(K)]
        for k in range(1, K):
            assert abs((scores[k] - scores[0]) - (exact[k] - exact[0])) <= error


def test_a_mean_without_rows_attracts_none_and_changes_no_other() -> None:
    theta, centre = noise(4, 6), noise(4, seed=1)
    sizes = [3, 0, 1, 5, 0, 2]
    packed, bias = packed_means(theta, sizes, centre, 50.0)
    theta[:, [1, 4]] = 1e6
    moved, moved_bias = packed_means(theta, sizes, centre, 50.0)
    held = [0, 2, 3, 5]
    assert bias[[1, 4]].tolist() == moved_bias[[1, 4]].tolist() == [NEVER, NEVER]
    np.testing.assert_array_equal(packed[held], moved[held])
    np.testing.assert_array_equal(bias[held], moved_bias[held])


def test_the_room_past_the_last_mean_attracts_none() -> None:
    theta, centre = noise(4, 6), noise(4, seed=1)
    packed, bias = packed_means(theta, [1] * 6, centre, 50.0, room=9)
    expected, expected_bias = packed_means(theta, [1] * 6, centre, 50.0)
    assert bias.tolist() == [*expected_bias.tolist(), NEVER, NEVER, NEVER]
    np.testing.assert_array_equal(packed[:6], expected)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_mean_that_is_no_number_somewhere_is_zero_there(odd: float) -> None:
    theta, centre = noise(4, 7), noise(4, seed=1)
    theta[2, 3] = np.median(theta[2])  # inside of the range of the others
    expected, _ = packed_means(theta, [1] * 7, centre, 50.0)
    theta[2, 3], expected[3, 2] = odd, 0
    np.testing.assert_array_equal(packed_means(theta, [1] * 7, centre, 50.0)[0], expected)


def test_a_mean_that_is_no_number_is_the_farthest_and_moves_no_other() -> None:
    theta, centre = noise(4, 7), noise(4, seed=1)
    theta[:, 3] = np.median(theta, axis=1)  # not the nearest to the centre
    expected = offsets(*packed_means(theta, [1] * 7, centre, 50.0))
    theta[:, 3], expected[3] = np.nan, FARTHEST
    assert offsets(*packed_means(theta, [1] * 7, centre, 50.0)) == expected
    assert expected.index(0) != 3


def test_the_nearest_offset_is_zero_and_the_farthest_is_limited() -> None:
    theta, centre = np.array([[1.0, -1.0, 0.9999], [0.0, 0.5, 0.5]]), np.array([16_000.0, 0.0])
    packed, bias = packed_means(theta, [1, 1, 1], centre, 100.0)
    first, second, third = offsets(packed, bias)
    assert 2 * FARTHEST < -2 * 16_000 * LARGEST * 100 < FARTHEST  # of the second, if it were not limited
    assert (first, second) == (0, FARTHEST)
    assert FARTHEST < third < 0
    assert third == math.floor((float(np.float32(0.9999)) - 1) * 16_000 * LARGEST * 100 + 0.5)
    assert bias.min() > NEVER
