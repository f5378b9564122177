"""Rounding: digits without meaning are not written, and no float32 is lost."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answering.rounding import rounded, rounded_all, rounded_json, rounded_timings


@given(st.floats(width=32, allow_nan=False))
def test_a_rounded_float32_is_read_back_unchanged(value: float) -> None:
    assert np.float32(rounded(float(np.float32(value)))) == np.float32(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_twice_changes_nothing_more_and_the_error_is_half_of_the_ninth_digit(value: float) -> None:
    once = rounded(value)
    assert rounded(once) == once
    assert math.isclose(once, value, rel_tol=5.1e-9, abs_tol=1e-300)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.9837089999999995, "0.983709"),
        (0.9500000000000001, "0.95"),
        (float(np.float32(0.1)), "0.100000001"),
        (2 / 3, "0.666666667"),
        (4.707488612584268e-05, "4.70748861e-05"),
        (0.0, "0.0"),
        (1.0, "1.0"),
        (-0.25, "-0.25"),
    ],
)
def test_the_noise_of_sums_and_of_float32_is_not_written(value: float, written: str) -> None:
    assert repr(rounded(value)) == written


def test_every_number_of_a_document_is_rounded_but_the_settings_of_the_release() -> None:
    noisy = 0.1 + 0.2
    document: Mapping[str, object] = {
        "share": noisy, "known": True, "area": 3, "class_name": None, "vote": {"kappa": noisy, "k": 5},
        "exemplars": [{"similarity": noisy}, {"similarity": 1.0}], "calibration": {"confidence_x": [noisy]},
    }  # fmt: skip
    assert rounded_json(document) == {
        "share": 0.3, "known": True, "area": 3, "class_name": None, "vote": {"kappa": noisy, "k": 5},
        "exemplars": [{"similarity": 0.3}, {"similarity": 1.0}], "calibration": {"confidence_x": [noisy]},
    }  # fmt: skip
    kinds: Sequence[type] = [type(value) for value in rounded_json([True, 3, "a"])]
    assert kinds == [bool, int, str]


def test_timings_are_written_in_microseconds() -> None:
    assert rounded_timings({"embed": 1.23456789}) == {"embed": 1.235}


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_many_numbers_are_rounded_as_each_is(values: list[float]) -> None:
    assert rounded_all(values) == [rounded(value) for value in values]
