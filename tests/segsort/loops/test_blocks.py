"""Rows in blocks: sizes that suit BLAS, and an inner product that does not depend on where it is computed."""

import numpy as np
import pytest

from segsort.loops.blocks import BLOCK, PIECE, block_of, dot
from tests.segsort.loops.data import unit_vectors


@pytest.mark.parametrize(("dimension", "columns"), [(34, 1), (34, 100), (34, 400), (66, 400), (34, 900), (770, 400)])
def test_no_product_is_so_large_that_blas_starts_threads(dimension: int, columns: int) -> None:
    rows = block_of(dimension, columns)
    assert rows % 16 == 0
    assert 16 <= rows <= BLOCK
    assert rows == 16 or rows * dimension * columns <= 1 << 19


def test_small_products_take_the_largest_block() -> None:
    assert block_of(34, 64) == BLOCK


def test_a_piece_is_whole_blocks() -> None:
    assert PIECE % BLOCK == 0


@pytest.mark.parametrize("dimension", [1, 2, 7, 8, 9, 31, 34, 64, 770])
def test_the_inner_product_is_that_of_a_loop(dimension: int) -> None:
    a, b = unit_vectors(2, dimension, seed=dimension)
    expected = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    assert float(dot(a, b)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dimension", [5, 34, 67])
def test_the_inner_product_is_equal_to_the_last_bit_wherever_the_vectors_lie(dimension: int) -> None:
    a, b = unit_vectors(2, dimension)
    expected = dot(a, b)
    for offset in range(8):
        room = np.empty(dimension + 8, dtype=np.float32)
        moved = room[offset : offset + dimension]
        moved[:] = a
        assert dot(moved, b) == expected
    assert dot(b, a) == expected


def test_the_inner_product_of_nothing_is_zero() -> None:
    assert dot(np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32)) == 0
