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


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64])
def test_label_maps_of_any_whole_numbers_have_the_same_masks(kind: type) -> None:
    labels = blocks(np.random.default_rng(4), (20, 30), 5)
    assert encode_rle(labels.astype(kind), 5) == encode_rle(labels, 5)
    np.testing.assert_array_equal(bounding_boxes(labels.astype(kind), 5), bounding_boxes(labels, 5))


def test_decoded_masks_put_the_label_map_together_again() -> None:
    labels = blocks(np.random.default_rng(5), (40, 33), 6)
    again = np.full((40, 33), -1)
    for segment, text in enumerate(encode_rle(labels, 6)):
        again[decode_rle(text, (40, 33))] = segment
    np.testing.assert_array_equal(again, labels)


def test_a_box_holds_its_mask_and_touches_it_on_all_four_sides() -> None:
    labels = blocks(np.random.default_rng(6), (40, 33), 6)
    texts, boxes = encode_with_boxes(labels, 6)
    for text, (x, y, width, height) in zip(texts, boxes.tolist(), strict=True):
        mask = decode_rle(text, (40, 33))
        inside = mask[y : y + height, x : x + width]
        assert inside.sum() == mask.sum() > 0
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()
