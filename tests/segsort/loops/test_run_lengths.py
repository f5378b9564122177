"""Runs, compressed run lengths and boxes beside pycocotools and naive loops."""

import numpy as np
import pytest
from pycocotools import mask as coco

from segsort.loops import bounding_boxes, encode_masks, run_lengths
from tests.segsort.loops.data import random_labels

MAPS = [(1, 1), (1, 30), (30, 1), (7, 9), (33, 21)]


def naive_runs(labels: np.ndarray) -> tuple[list[int], list[int]]:
    """Owner and start of each run of equal labels, down the columns."""
    flat = labels.T.ravel().tolist()
    starts = [place for place in range(len(flat)) if place == 0 or flat[place] != flat[place - 1]]
    return [flat[place] for place in starts], [*starts, len(flat)]


def naive_box(labels: np.ndarray, segment: int) -> list[int]:
    y, x = np.nonzero(labels == segment)
    if not len(y):
        return [0, 0, 0, 0]
    return [int(x.min()), int(y.min()), int(x.max() - x.min() + 1), int(y.max() - y.min() + 1)]


def texts_of(labels: np.ndarray, count: int) -> list[str]:
    text, ends, _ = encode_masks(labels, count)
    whole = text.tobytes().decode("ascii")
    return [whole[begin:end] for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("kinds", [1, 2, 6])
def test_runs_go_down_the_columns(shape: tuple[int, int], kinds: int) -> None:
    labels = random_labels(*shape, kinds, seed=kinds)
    owner, start = run_lengths.column_runs(labels)
    assert (owner.tolist(), start.tolist()) == naive_runs(labels)


def test_a_run_goes_on_in_the_next_column() -> None:
    labels = np.array([[0, 1, 1], [1, 1, 0]], dtype=np.int32)
    owner, start = run_lengths.column_runs(labels)
    assert owner.tolist() == [0, 1, 0]
    assert start.tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_a_map_without_pixels_has_no_run(shape: tuple[int, int]) -> None:
    owner, start = run_lengths.column_runs(np.zeros(shape, dtype=np.int32))
    assert owner.tolist() == []
    assert start.tolist() == [0]


@pytest.mark.parametrize("shape", MAPS)
def test_boxes_are_the_smallest_around_each_segment(shape: tuple[int, int]) -> None:
    labels = random_labels(*shape, 5, seed=3)
    labels[labels == 2] = -1
    expected = [naive_box(labels, segment) for segment in range(6)]
    assert bounding_boxes(labels, 6).tolist() == expected
    assert encode_masks(labels, 6)[2].tolist() == expected


def test_a_box_of_one_run_over_several_columns_spans_all_rows() -> None:
    labels = np.array([[0, 1, 1], [0, 1, 0], [1, 1, 0]], dtype=np.int32)
    assert bounding_boxes(labels, 2)[1].tolist() == [0, 0, 3, 3]


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("kinds", [1, 2, 6])
def test_texts_are_those_of_pycocotools(shape: tuple[int, int], kinds: int) -> None:
    labels = random_labels(*shape, kinds, seed=kinds + 1)
    for segment, text in enumerate(texts_of(labels, kinds)):
        own = np.asfortranarray(labels == segment, dtype=np.uint8)
        assert text == coco.encode(own)["counts"].decode("ascii")


@pytest.mark.parametrize("length", [1, 15, 16, 31, 32, 511, 512, 20_000, 600_000])
def test_runs_of_every_number_of_digits_are_those_of_pycocotools(length: int) -> None:
    labels = np.zeros((length, 4), dtype=np.int32)
    labels[:, 1] = labels[: length // 2, 3] = 1
    for segment, text in enumerate(texts_of(labels, 2)):
        own = np.asfortranarray(labels == segment, dtype=np.uint8)
        assert text == coco.encode(own)["counts"].decode("ascii")


def test_lengths_that_shrink_are_written_as_negative_differences() -> None:
    """From the third length on, COCO writes the difference to the length two before."""
    labels = np.zeros((1, 3000), dtype=np.int32)
    for begin in (900, 1800, 2400, 2600):
        labels[0, begin : begin + (3000 - begin) // 7] = 1
    text = texts_of(labels, 2)[1]
    mask = coco.decode({"size": [1, 3000], "counts": text.encode()})
    np.testing.assert_array_equal(mask, labels == 1)
    assert text == coco.encode(np.asfortranarray(labels == 1, dtype=np.uint8))["counts"].decode("ascii")


def test_a_segment_without_pixels_has_the_text_of_an_empty_mask() -> None:
    texts = texts_of(np.zeros((3, 4), dtype=np.int32), 3)
    empty = coco.encode(np.zeros((3, 4), dtype=np.uint8, order="F"))["counts"].decode("ascii")
    assert texts[1:] == [empty, empty]


def test_texts_of_all_segments_tile_the_map() -> None:
    labels = random_labels(33, 21, 6, seed=0)
    masks = [coco.decode({"size": [33, 21], "counts": text.encode()}) for text in texts_of(labels, 6)]
    assert (np.sum(masks, axis=0) == 1).all()
