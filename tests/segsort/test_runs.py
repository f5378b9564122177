"""Run lengths as arrays, beside pycocotools and naive loops."""

import numpy as np
import pytest
from pycocotools import mask as coco

from segsort.masks import encode_with_boxes
from segsort.runs import encode_positions, encode_window, mask_in_box, numbers_at, positions_of, run_ends

SIZES = [(1, 1), (1, 9), (9, 1), (7, 12), (40, 33), (300, 5)]


def maps(size: tuple[int, int]) -> list[np.ndarray]:
    """Label maps [H, W] of noise, of large areas, with and without pixels that belong to no segment."""
    random, (H, W) = np.random.default_rng(0), size
    blocks = (np.arange(H)[:, None] * 3 // H * 2 + np.arange(W)[None] * 2 // W).astype(np.int32)
    return [
        random.integers(-1, 4, size, dtype=np.int32), random.integers(0, 2, size, dtype=np.int32), blocks,
        np.zeros(size, dtype=np.int32), np.full(size, -1, dtype=np.int32),
    ]  # fmt: skip


def by_coco(labels: np.ndarray, count: int) -> list[str]:
    return [coco.encode(np.asfortranarray(labels == n, dtype=np.uint8))["counts"].decode("ascii") for n in range(count)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_run_ends_are_the_sums_of_the_lengths_that_coco_wrote(size: tuple[int, int]) -> None:
    for labels in maps(size):
        for text, n in zip(by_coco(labels, 6), range(6), strict=True):
            flat = (labels == n).T.ravel().astype(int)
            changes = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
            expected = [*changes.tolist(), len(flat)]
            assert run_ends(text).tolist() == expected
            np.testing.assert_array_equal(positions_of(text), np.flatnonzero(flat))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_box_of_a_mask_is_that_part_of_the_whole_mask(size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    for labels in maps(size):
        for n, text in enumerate(by_coco(labels, 3)):
            for _ in range(5):
                x, y = random.integers(0, size[1]), random.integers(0, size[0])
                w, h = random.integers(1, size[1] - x + 1), random.integers(1, size[0] - y + 1)
                found = mask_in_box(text, size, (x, y, w, h))
                np.testing.assert_array_equal(found, (labels == n)[y : y + h, x : x + w])
                assert found.flags.c_contiguous


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_segment_of_each_position_is_that_of_the_map(size: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    for labels in maps(size):
        some = np.flatnonzero(random.random(labels.size) < 0.4)
        np.testing.assert_array_equal(numbers_at(by_coco(labels, 6), some), labels.T.ravel()[some])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_of_positions_and_of_windows_are_those_of_the_whole_map(size: tuple[int, int]) -> None:
    H, W = size
    for labels in maps(size):
        texts, boxes = encode_with_boxes(labels, 6)
        areas = [int((labels == n).sum()) for n in range(6)]
        flat = labels.T.ravel()
        positions = np.flatnonzero(flat >= 0)
        whole = encode_window(labels, (0, 0), 6, size)
        of_positions = encode_positions(positions, flat[positions], 6, size)
        for found in (whole, of_positions):
            assert found.counts == texts
            assert found.boxes.tolist() == boxes.tolist()
            assert found.areas.tolist() == areas
        top, left = H // 3, W // 2
        part = np.full(size, -1, dtype=np.int32)
        part[top:, left:] = labels[top:, left:]
        found = encode_window(labels[top:, left:], (top, left), 6, size)
        assert (found.counts, found.boxes.tolist()) == (
            encode_with_boxes(part, 6)[0],
            encode_with_boxes(part, 6)[1].tolist(),
        )
