import numpy as np
import pytest

from service.answering.pace import REMEMBERED, Pace


def test_nothing_is_expected_before_anything_was_seen() -> None:
    assert Pace().seconds(1_000_000) == 0


def test_a_line_is_found_again() -> None:
    pace, random = Pace(), np.random.default_rng(0)
    for pixels in random.integers(10_000, 10_000_000, 50).tolist():
        pace.add(pixels, 0.08 + 9e-8 * pixels)
    assert pace.seconds(0) == pytest.approx(0.08)
    assert pace.seconds(12_000_000) == pytest.approx(0.08 + 1.08)


def test_the_line_is_the_one_of_least_squares() -> None:
    pace, random = Pace(), np.random.default_rng(1)
    pixels = random.integers(1, 1_000_000, REMEMBERED)
    seconds = 0.5 + 1e-6 * pixels + random.normal(0, 0.05, REMEMBERED)
    for x, y in zip(pixels.tolist(), seconds.tolist(), strict=True):
        pace.add(x, y)
    each, fixed = np.polyfit(pixels, seconds, 1)
    assert pace.seconds(400_000) == pytest.approx(fixed + each * 400_000)


def test_images_of_one_size_take_their_mean() -> None:
    pace = Pace()
    for seconds in (0.1, 0.2, 0.3):
        pace.add(1000, seconds)
    assert pace.seconds(1000) == pace.seconds(9_000_000) == pytest.approx(0.2)


@pytest.mark.parametrize("seen", [[(100, 2.0), (200, 1.0)], [(100, 1.0), (200, 3.0)]])
def test_no_part_of_the_line_is_negative(seen: list[tuple[int, float]]) -> None:
    pace = Pace()
    for pixels, seconds in seen:
        pace.add(pixels, seconds)
    assert 0 <= pace.seconds(0) <= pace.seconds(10) <= pace.seconds(1_000_000)


def test_what_is_long_ago_is_forgotten() -> None:
    pace = Pace()
    pace.add(1000, 100.0)
    for _ in range(REMEMBERED):
        pace.add(1000, 1.0)
    assert pace.seconds(1000) == pytest.approx(1.0)
