"""Run lengths as pixels, compared with pycocotools and a naive loop."""

import numpy as np
import pytest
from pycocotools import mask as coco

from service.editing.rings import Work
from service.editing.shapes import other_size, pixels_of_run_lengths, uncompressed
from service.problems import Problem

SIZE = (9, 13)


def random_mask(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.repeat(random.random((SIZE[0], SIZE[1])) < random.uniform(0.1, 0.9), 1, axis=0)


def compressed(mask: np.ndarray) -> str:
    text: str = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    return text


def decoded(counts: list[int] | str, size: tuple[int, int] = SIZE, work: Work | None = None) -> np.ndarray:
    """All pixels of the image."""
    mask, found = np.zeros(size, dtype=bool), pixels_of_run_lengths(counts, size, "a", work or Work())
    if found is not None:
        mask[found.rows, found.columns] = found.inside
    return mask


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
    assert uncompressed(compressed(mask), "a", mask.size) == runs(mask)
    for counts in (compressed(mask), runs(mask)):
        assert (decoded(counts) == mask).all()


def test_long_runs_take_several_characters() -> None:
    mask = np.zeros((700, 900), dtype=bool)
    mask[3:690, 5:800] = True
    assert (decoded(compressed(mask), (700, 900)) == mask).all()


@pytest.mark.parametrize(
    ("counts", "found"),
    [("!!", "'!'"), ("o" * 40, "does not end"), ("o", "does not end"), ("\u20ac", "character"), ("@", "a run of -16")],
)
def test_malformed_run_lengths_are_refused(counts: str, found: str) -> None:
    with pytest.raises(Problem, match=r"a\.mask\.counts are not COCO run lengths") as refused:
        uncompressed(counts, "a", 10**9)
    assert refused.value.status == 422
    assert found in refused.value.received


@pytest.mark.parametrize("counts", [[9 * 13 - 1], [9 * 13, 1], [], ""])
def test_run_lengths_that_do_not_cover_the_image_are_refused(counts: list[int] | str) -> None:
    with pytest.raises(Problem, match="do not cover the image"):
        decoded(counts)


def test_only_the_columns_that_are_covered_are_decoded() -> None:
    H, W = SIZE
    found = pixels_of_run_lengths([3 * H + 2, 5, (W - 3) * H - 7], SIZE, "a", Work(H))
    assert found is not None
    assert (found.rows, found.columns) == (slice(0, H), slice(3, 4))
    assert pixels_of_run_lengths([H * W], SIZE, "a", Work(0)) is None
    assert pixels_of_run_lengths([5, 0, H * W - 5], SIZE, "a", Work(0)) is None
    with pytest.raises(Problem, match="cover too many pixels"):
        pixels_of_run_lengths([3 * H + 2, H, (W - 4) * H - 2], SIZE, "a", Work(2 * H - 1))


def test_the_problem_of_another_size_recognises_a_rotated_mask() -> None:
    assert "rotated" in str(other_size((13, 9), SIZE, "a mask").fix)
    assert "rotated" not in str(other_size((9, 12), SIZE, "a mask").fix)


def test_run_lengths_beyond_the_image_are_not_decompressed() -> None:
    """A short run again and again: eight megabytes of them would be hundreds of megabytes of numbers."""
    assert len(uncompressed("1" * 1_000_000, "a", 100)) < 110
