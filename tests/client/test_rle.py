"""Run lengths are those of pycocotools."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from segsort_client import InputError
from segsort_client.rle import decode, encode, paint

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(SIZES, st.floats(0, 1), st.integers(0, 9))
def test_masks_are_encoded_and_decoded_as_pycocotools_does(size: tuple[int, int], share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random(size) < share
    expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()
    assert encode(mask) == expected
    assert (decode(expected, size) == mask).all()


@pytest.mark.parametrize("shape", [(2000, 1500), (1, 100_000), (100_000, 1)])
def test_long_runs_are_encoded_and_decoded(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, dtype=bool)
    mask.ravel()[[3, 70_000]] = True
    expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()
    assert encode(mask) == expected
    assert (decode(expected, shape) == mask).all()


@given(SIZES, st.integers(0, 9))
def test_masks_are_painted_into_one_map(size: tuple[int, int], seed: int) -> None:
    labels = np.random.default_rng(seed).integers(-1, 4, size)
    drawn = [(encode(labels == value), value * 7) for value in range(4)]
    assert (paint(drawn, size, -1) == np.where(labels < 0, -1, labels * 7)).all()


@pytest.mark.parametrize(
    ("counts", "size"), [("", (2, 2)), ("\x01", (1, 1)), ("é", (1, 1)), ("3", (2, 2)), ("o", (1, 1))]
)
def test_counts_that_do_not_fit_are_refused(counts: str, size: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        decode(counts, size)
