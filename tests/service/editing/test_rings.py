"""Polygons as rings of points, and their pixels, compared with naive loops."""

import json
from typing import Any

import numpy as np
import pytest
from skimage.measure import find_contours

from service.editing import rings
from service.editing.rings import Work, check_outlines, fill, rings_of
from service.images.polygons import polygons
from service.problems import Problem

SIZE = (9, 13)
SQUARE = [[1, 1], [8, 1], [8, 8], [1, 8]]
HOLE = [[3, 3], [6, 3], [6, 6], [3, 6]]


def flat(ring: list[list[float]]) -> list[float]:
    return [number for point in ring for number in point]


def filled(found: list[np.ndarray], size: tuple[int, int] = SIZE) -> np.ndarray:
    """All pixels of the image."""
    mask, covered = np.zeros(size, dtype=bool), fill(found, size, Work()).covered
    if covered is not None:
        mask[covered.rows, covered.columns] = covered.inside
    return mask


def naive(found: list[np.ndarray], size: tuple[int, int] = SIZE) -> np.ndarray:
    """The pixels from whose centre a ray to the left crosses an odd number of sides, by loops."""
    mask = np.zeros(size, dtype=bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y = column + 0.5, row + 0.5
            for ring in found:
                for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                    if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                        mask[row, column] ^= True
    return mask


@pytest.mark.parametrize(
    "polygons",
    [
        [flat(SQUARE), flat(HOLE)],
        [SQUARE, HOLE],
        [flat(SQUARE), HOLE],
    ],
)
def test_polygons_are_lists_of_numbers_or_of_points(polygons: list[Any]) -> None:
    assert [ring.tolist() for ring in rings_of(polygons, "a")] == [SQUARE, HOLE]


@pytest.mark.parametrize("polygon", [SQUARE, flat(SQUARE), [SQUARE], [flat(SQUARE)]])
def test_a_single_polygon_needs_no_list_around_it(polygon: list[Any]) -> None:
    assert [ring.tolist() for ring in rings_of(polygon, "a")] == [SQUARE]


@pytest.mark.parametrize(
    ("polygons", "words"),
    [
        ([[1, 1, 2, 2, 3, 3, 4]], r"a\[0\] is not a polygon"),
        ([1, 1, 2, 2, 3, 3, 4], r"a is not a polygon"),
        ([SQUARE, [1, 1, 2, "x", 3, 3]], r"a\[1\]\[3\]: "),
        ([SQUARE, [[1, 1], [2, 2, 2]]], r"a\[1\]\[1\]: "),
        ([SQUARE, [[1, 1], 2]], r"a\[1\]\[1\]: "),
        ([SQUARE, "x"], r"a\[1\]: "),
        ([SQUARE, None], r"a\[1\]: "),
        ([{}], r"a\[0\]: "),
        ([1, 1, float("nan"), 2, 3, 3], r"a\[2\]: .*finite"),
        ([[[1, 1], [2, float("inf")], [3, 3]]], r"a\[0\]\[1\]\[1\]: .*finite"),
        ([SQUARE, json.loads("[1, 1, 2, 1e999, 3, 3]")], r"a\[1\]\[3\]: .*finite"),
    ],
)
def test_what_is_not_a_list_of_finite_coordinates_is_refused_by_place(polygons: list[Any], words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        rings_of(polygons, "a")
    assert refused.value.status == 422
    assert refused.value.fix


def test_a_ring_in_a_ring_is_a_hole_and_one_in_the_hole_an_island() -> None:
    expected = np.zeros(SIZE, dtype=bool)
    expected[1:8, 1:8] = True
    expected[3:6, 3:6] = False
    expected[4, 4] = True
    island = [[4, 4], [5, 4], [5, 5], [4, 5]]
    assert (filled(rings_of([SQUARE, HOLE, island], "a")) == expected).all()
    assert (filled(rings_of([island, HOLE, SQUARE[::-1]], "a")) == expected).all(), "order and direction do not count"


@pytest.mark.parametrize("seed", range(6))
def test_random_rings_that_leave_the_image_are_those_of_a_naive_loop(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed)
    found = [random.uniform(-6, 18, (random.integers(3, 9), 2)) for _ in range(random.integers(1, 4))]
    expected = naive(found)
    assert (filled(found) == expected).all()
    monkeypatch.setattr(rings, "_BAND", 20)
    assert (filled(found) == expected).all(), "the rows of all bands together are those of one"


@pytest.mark.parametrize("seed", range(6))
def test_the_polygons_of_an_answer_give_its_mask_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((40, 50)) < 0.6
    mask[10:30, 10:40] = random.random() < 0.5
    assert (filled(rings_of(polygons(mask), "a"), mask.shape) == mask).all()
    assert len(find_contours(mask.astype(float), 0.5)) > 1


def test_parts_outside_the_image_are_left_out() -> None:
    expected = np.zeros(SIZE, dtype=bool)
    expected[:3, :4] = True
    assert (filled(rings_of([[-0.5, -200, 4, -200, 4, 3, -0.5, 3]], "a")) == expected).all()
    assert filled(rings_of([[-9, -9, 99, -9, 99, 99, -9, 99]], "a")).all()


def test_rings_without_a_pixel_are_named_with_the_reason() -> None:
    thin = [[0, 0.1], [13, 0.2], [13, 0.3]]
    found = fill(
        rings_of(
            [flat(SQUARE), [], [1, 1], [1, 1, 5, 5], flat(thin), [-5, 0, -1, 0, -1, 5], [13, 0, 20, 0, 20, 5]], "a"
        ),
        SIZE,
        Work(),
    )
    assert found.covered is not None
    few, out = "fewer than three points", "outside the image"
    assert found.unused == {1: few, 2: few, 3: few, 4: "covers no pixel", 5: out, 6: out}


@pytest.mark.parametrize("ring", [[[0, 0.1], [13, 0.2], [13, 0.3]], [[1, 1], [8, 8], [1, 1]], [[2, 2]] * 5])
def test_a_shape_without_a_pixel_is_empty(ring: list[list[float]]) -> None:
    assert fill(rings_of([ring], "a"), SIZE, Work()) == (None, {0: "covers no pixel"})


def test_two_equal_rings_cover_nothing_together_although_each_covers_pixels() -> None:
    assert fill(rings_of([SQUARE, SQUARE], "a"), SIZE, Work()) == (None, {})


def test_outlines_are_limited_in_total() -> None:
    long = np.array([[0.0, 0.0], [1000.0, 0.0]] * 1000)  # two million pixels
    check_outlines([long, long])
    with pytest.raises(Problem, match="outlines of the polygons are too long"):
        check_outlines([long, long, long])
    with pytest.raises(Problem, match="outlines of the polygons are too long"):
        check_outlines([np.zeros((5_000_001, 2))])
    check_outlines([np.zeros((0, 2)), np.zeros((1, 2))])


def test_the_pixels_to_fill_are_limited_in_total() -> None:
    work = Work(2 * 49)
    for _ in range(2):
        fill(rings_of([SQUARE], "a"), SIZE, work)
    with pytest.raises(Problem, match="cover too many pixels in total") as refused:
        fill(rings_of([SQUARE], "a"), SIZE, work)
    assert refused.value.status == 422
