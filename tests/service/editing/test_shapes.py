"""Run lengths and polygons as masks, compared with pycocotools and a naive loop."""

import numpy as np
import pytest
from pycocotools import mask as coco

from service.editing.shapes import check_outlines, mask_of_polygons, mask_of_run_lengths, uncompressed
from service.problems import Problem

SIZE = (9, 13)


def random_mask(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.repeat(random.random((SIZE[0], SIZE[1])) < random.uniform(0.1, 0.9), 1, axis=0)


def compressed(mask: np.ndarray) -> str:
    text: str = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    return text


def runs(mask: np.ndarray) -> list[int]:
    """Run lengths by a loop over the columns."""
    found, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            found.append(0)
            value = pixel
        found[-1] += 1
    return found


@pytest.mark.parametrize("seed", range(8))
def test_compressed_run_lengths_are_those_of_pycocotools(seed: int) -> None:
    mask = random_mask(seed)
    assert uncompressed(compressed(mask), "a") == runs(mask)
    for counts in (compressed(mask), runs(mask)):
        assert (mask_of_run_lengths(SIZE, counts, SIZE, "a") == mask).all()


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((700, 900), dtype=bool)
    mask[3:690, 5:800] = True
    assert (mask_of_run_lengths((700, 900), compressed(mask), (700, 900), "a") == mask).all()


@pytest.mark.parametrize(
    ("counts", "found"),
    [("!!", "'!'"), ("o" * 40, "does not end"), ("o", "does not end"), ("\u20ac", "character"), ("@", "a run of -16")],
)
def test_malformed_run_lengths_are_refused(counts: str, found: str) -> None:
    with pytest.raises(Problem, match=r"a\.mask\.counts are not COCO run lengths") as refused:
        uncompressed(counts, "a")
    assert refused.value.status == 422
    assert found in refused.value.received


@pytest.mark.parametrize("counts", [[9 * 13 - 1], [9 * 13, 1], [], ""])
def test_run_lengths_that_do_not_cover_the_image_are_refused(counts: list[int] | str) -> None:
    with pytest.raises(Problem, match="do not cover the image"):
        mask_of_run_lengths(SIZE, counts, SIZE, "a")


def test_a_mask_of_another_size_is_refused_and_a_rotated_one_recognised() -> None:
    with pytest.raises(Problem, match="different sizes") as refused:
        mask_of_run_lengths((13, 9), [117], SIZE, "a")
    assert "rotated" in refused.value.fix
    with pytest.raises(Problem, match="different sizes") as refused:
        mask_of_run_lengths((9, 12), [108], SIZE, "a")
    assert "rotated" not in refused.value.fix


def test_polygons_cover_the_pixels_of_any_of_them() -> None:
    mask = mask_of_polygons([[1, 1, 4, 1, 4, 3, 1, 3], [6, 5, 12, 5, 12, 8, 6, 8]], SIZE, "a")
    expected = np.zeros(SIZE, dtype=bool)
    expected[1:3, 1:4] = True
    expected[5:8, 6:12] = True
    assert (mask == expected).all()


@pytest.mark.parametrize(
    ("polygon", "problem"),
    [
        ([1, 1, 2, 2], "not a polygon"),
        ([1, 1, 2, 2, 3], "not a polygon"),
        ([1, 1, 2, 2, 3, 3, 4], "not a polygon"),
        ([1, 1, 14, 1, 3, 3], "outside the image"),
        ([1, 1, 2, 10, 3, 3], "outside the image"),
        ([-1, 1, 2, 2, 3, 3], "outside the image"),
        ([1, 1, 2, float("nan"), 3, 3], "outside the image"),
        ([1, 1, 2, float("inf"), 3, 3], "outside the image"),
    ],
)
def test_polygons_that_are_malformed_or_leave_the_image_are_refused_by_name(polygon: list[float], problem: str) -> None:
    with pytest.raises(Problem, match=rf"a\.polygons\[1\] is {problem}"):
        mask_of_polygons([[1, 1, 4, 1, 4, 3], polygon], SIZE, "a")


def test_outlines_are_limited_in_total() -> None:
    long = [0.0, 0.0, 1000.0, 0.0] * 1000  # two million pixels
    check_outlines([long, long])
    with pytest.raises(Problem, match="outlines of the polygons are too long"):
        check_outlines([long, long, long])
    check_outlines([[0.0, float("inf"), 1.0, 1.0]][:0])
