"""Masks of a whole label map against pycocotools, one mask at a time."""

import numpy as np
import pytest
from pycocotools import mask as coco

from segsort.masks import bounding_boxes, decode_rle, encode_rle, encode_with_boxes


def blocks(random: np.random.Generator, shape: tuple[int, int], count: int) -> np.ndarray:
    """A label map of blocks of 9 by 7 pixels, -1 where there is no segment."""
    coarse = random.integers(-1, count, (-(-shape[0] // 9), -(-shape[1] // 7)))
    return np.kron(coarse, np.ones((9, 7), dtype=np.int64))[: shape[0], : shape[1]].astype(np.int32)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 300), (300, 1), (90, 120)])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_masks_are_those_of_pycocotools(shape: tuple[int, int], count: int) -> None:
    random = np.random.default_rng(count)
    for labels in (random.integers(-1, count, shape).astype(np.int32), blocks(random, shape, count)):
        texts, boxes = encode_with_boxes(labels, count)
        assert texts == encode_rle(labels, count)
        np.testing.assert_array_equal(boxes, bounding_boxes(labels, count))
        for segment in range(count):
            own = labels == segment
            expected = coco.encode(np.asfortranarray(own, dtype=np.uint8))
            assert texts[segment] == expected["counts"].decode("ascii")
            assert boxes[segment].tolist() == coco.toBbox(expected).tolist()
            np.testing.assert_array_equal(decode_rle(texts[segment], shape), own)


def test_a_label_map_without_segments_has_no_masks() -> None:
    assert encode_rle(np.full((3, 4), -1, dtype=np.int32), 0) == []
    assert bounding_boxes(np.full((3, 4), -1, dtype=np.int32), 0).shape == (0, 4)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_without_pixels_masks_are_empty(shape: tuple[int, int]) -> None:
    texts, boxes = encode_with_boxes(np.zeros(shape, dtype=np.int32), 2)
    assert texts == ["0", "0"]
    assert boxes.tolist() == bounding_boxes(np.zeros(shape, dtype=np.int32), 2).tolist() == [[0] * 4, [0] * 4]


def test_a_label_past_the_count_is_nobodys() -> None:
    texts, boxes = encode_with_boxes(np.array([[0, 1, 5]], dtype=np.int32), 2)
    assert len(texts) == 2
    assert boxes.tolist() == [[0, 0, 1, 1], [1, 0, 1, 1]]
