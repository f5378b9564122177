"""The pixels under a stroke, against naive loops over pixels and lines."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from service.images.strokes import covered_pixels, rows_of_lines

SIZE = (23, 31)


def mask(points: list[list[float]], width: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    found, drawn = covered_pixels(np.array(points, dtype=np.float64), width, size), np.zeros(size, dtype=bool)
    if found is not None:
        drawn[found.rows, found.columns] = found.inside
    return drawn


def distance(x: float, y: float, one: list[float], other: list[float]) -> float:
    """Distance of a point to a line between two points."""
    dx, dy = other[0] - one[0], other[1] - one[1]
    squared = dx * dx + dy * dy
    share = 0.0 if squared == 0 else min(1.0, max(0.0, ((x - one[0]) * dx + (y - one[1]) * dy) / squared))
    return math.hypot(x - one[0] - share * dx, y - one[1] - share * dy)


def distances(points: list[list[float]], size: tuple[int, int] = SIZE) -> np.ndarray:
    """[H, W], distance of each pixel's centre to a stroke, by loops."""
    lines = list(pairwise(points)) or [(points[0], points[0])]
    found = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            found[y, x] = min(distance(x + 0.5, y + 0.5, one, other) for one, other in lines)
    return found


COORDINATE = st.floats(-12, 43) | st.integers(-5, 35).map(float) | st.integers(-10, 70).map(lambda n: n / 2)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(COORDINATE, COORDINATE).map(list), min_size=1, max_size=5),
    st.floats(0.1, 30) | st.integers(1, 12).map(float),
)
def test_a_stroke_covers_the_pixels_whose_centre_is_within_half_its_width(
    points: list[list[float]], width: float
) -> None:
    expected, drawn = distances(points), mask(points, width)
    clear = np.abs(expected - width / 2) > 1e-9  # elsewhere, rounding decides
    if (expected <= width / 2).any():
        np.testing.assert_array_equal(drawn[clear], (expected <= width / 2)[clear])


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8])
def test_pixels_at_exactly_half_the_width_are_covered(width: int) -> None:
    for points in ([[4, 9], [20, 9]], [[9, 3], [9, 17]], [[12.5, 11.5]], [[4.5, 9.5], [20.5, 9.5]]):
        np.testing.assert_array_equal(mask(points, width), distances(points) <= width / 2)


def test_a_wide_stroke_agrees_with_pillow_but_for_its_outline() -> None:
    size, points, width = (200, 260), [[40.0, 50.0], [210.0, 160.0]], 21
    image = Image.new("1", size[::-1])
    ImageDraw.Draw(image).line([tuple(point) for point in points], fill=1, width=width)
    drawn, other = mask(points, width, size), np.asarray(image)
    assert (drawn & other).sum() > 0.97 * other.sum()
    caps = np.pi * (width / 2) ** 2  # Pillow's lines end without half discs
    assert drawn.sum() == pytest.approx(math.hypot(170, 110) * width + caps, rel=0.01)


def test_a_single_point_is_a_dot() -> None:
    drawn = mask([[10.5, 10.5]], 5)
    assert drawn.sum() == sum(dx * dx + dy * dy <= 6.25 for dx in range(-3, 4) for dy in range(-3, 4))
    assert drawn[10, 10]


def test_a_stroke_too_thin_for_any_centre_covers_the_pixels_of_its_points() -> None:
    drawn = mask([[10, 10], [12.1, 10.1]], 0.1)
    assert [tuple(place) for place in np.argwhere(drawn)] == [(10, 10), (10, 12)]


def test_a_stroke_is_clipped_at_the_edges() -> None:
    inside = mask([[-1e6, 11], [1e6, 11]], 3)
    assert inside[9:13].sum() == inside.sum()
    assert inside[10].all()
    assert covered_pixels(np.array([[-50.0, 5.0], [-9.0, 5.0]]), 4, SIZE) is None
    assert covered_pixels(np.array([[5.0, 23.4]]), 0.5, SIZE) is None


def test_the_work_of_a_stroke_is_counted_in_rows_inside_the_image() -> None:
    assert rows_of_lines(np.array([[5.0, 5.0], [9.0, 5.0], [9.0, 9.0]]), 2, 23) == 2 + 6
    assert rows_of_lines(np.array([[5.0, -1e6], [9.0, 1e6]]), 2, 23) == 23
