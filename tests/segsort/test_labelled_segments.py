"""Segments that are split along the classes of a mask: naive loops, what is left out, and sparse masks."""

import numpy as np
import pytest
import torch

from segsort.labelled_segments import split_by_label
from segsort.pixel_sorting import SortingOptions
from segsort.segments import segment_image
from tests.segsort.smooth_images import blobs, naive_prototypes


def test_classes_by_large_numbers_split_as_small_ones_do() -> None:
    random = np.random.default_rng(3)
    embeddings = torch.nn.functional.normalize(torch.from_numpy(random.standard_normal((8, 12, 10))).float(), dim=0)
    segments = segment_image(embeddings, (24, 20), SortingOptions(segments=9, iterations=2), 0.001)
    mask = np.kron(random.integers(0, 3, (4, 4)), np.ones((6, 5), dtype=np.int64))
    mask[:2] = 7
    few = split_by_label(segments, embeddings, mask, 7, 0.001)
    names = np.array([3, 70_000, 16_000_000, *[0] * 4, 9])
    many = split_by_label(segments, embeddings, names[mask], 9, 0.001)
    np.testing.assert_array_equal(many.labels, few.labels)
    np.testing.assert_array_equal(many.class_ids, names[few.class_ids])
    np.testing.assert_array_equal(many.areas, few.areas)


def test_splitting_by_label_gives_parts_of_one_class_and_one_segment() -> None:
    embeddings = blobs(12, 16)
    segments = segment_image(embeddings, (48, 64), SortingOptions(4), 0.0)
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[:, 30:] = 3
    mask[40:] = 255
    mask[0, 0] = 2  # one pixel, too small
    parts = split_by_label(segments, embeddings, mask, 255, 0.001)
    assert set(parts.class_ids.tolist()) == {0, 3}
    assert (parts.labels[40:] == -1).all()
    assert parts.labels[0, 0] == -1
    assert parts.areas.sum() == (parts.labels >= 0).sum() == 40 * 64 - 1
    for part in range(len(parts.areas)):
        inside = parts.labels == part
        assert set(mask[inside]) == {parts.class_ids[part]}
        assert len(np.unique(segments.labels[inside])) == 1


def test_a_mask_of_another_size_is_refused_by_name() -> None:
    embeddings = blobs(6, 6)
    segments = segment_image(embeddings, (24, 24), SortingOptions(4), 0.0)
    with pytest.raises(ValueError, match=r"mask has size \(24, 20\).*\(24, 24\)"):
        split_by_label(segments, embeddings, np.zeros((24, 20), dtype=np.uint8), 255, 0.0)


def test_parts_below_a_share_of_the_image_are_left_out_of_labelled_segments() -> None:
    embeddings = blobs(12, 16)
    segments = segment_image(embeddings, (48, 64), SortingOptions(4), 0.0)
    mask = np.random.default_rng(0).integers(0, 2, (48, 64))
    whole = split_by_label(segments, embeddings, mask, 255, 0.0)
    some = split_by_label(segments, embeddings, mask, 255, 0.1)
    assert 0 < len(some.areas) < len(whole.areas)
    assert some.areas.min() >= 0.1 * mask.size
    assert (some.labels == -1).sum() == mask.size - some.areas.sum()


def test_boxes_of_labelled_segments_are_the_smallest_around_them() -> None:
    embeddings = blobs(12, 16)
    segments = segment_image(embeddings, (48, 64), SortingOptions(4), 0.0)
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[10:20, 5:9] = 1
    parts = split_by_label(segments, embeddings, mask, 255, 0.0)
    for part, (x, y, width, height) in enumerate(parts.bboxes.tolist()):
        rows, columns = np.nonzero(parts.labels == part)
        assert (x, y) == (columns.min(), rows.min())
        assert (width, height) == (columns.max() - x + 1, rows.max() - y + 1)


def test_a_mask_without_a_class_gives_no_segment() -> None:
    embeddings = blobs(12, 16)
    segments = segment_image(embeddings, (48, 64), SortingOptions(4), 0.0)
    parts = split_by_label(segments, embeddings, np.full((48, 64), 255, dtype=np.uint8), 255, 0.0)
    assert len(parts.areas) == len(parts.prototypes) == len(parts.class_ids) == 0
    assert (parts.labels == -1).all()


@pytest.mark.parametrize("min_area", [0.0, 0.02])
@pytest.mark.parametrize("seed", range(4))
def test_splitting_by_label_equals_a_naive_loop(seed: int, min_area: float) -> None:
    """Parts are in the order of their segments, and within a segment in the order of their classes."""
    embeddings, random = blobs(9, 12, seed=seed), np.random.default_rng(seed)
    segments = segment_image(embeddings, (36, 48), SortingOptions(5), 0.0)
    mask = np.kron(random.choice([0, 2, 3, 255], (6, 8)), np.ones((6, 6))).astype(np.uint8)
    found = split_by_label(segments, embeddings, mask, 255, min_area)
    expected = np.full(mask.shape, -1, dtype=np.int32)
    class_ids, areas = [], []
    for segment in range(len(segments.areas)):
        for class_id in range(255):
            inside = (segments.labels == segment) & (mask == class_id)
            if inside.any() and inside.sum() >= min_area * (mask != 255).sum():
                expected[inside] = len(areas)
                class_ids.append(class_id)
                areas.append(int(inside.sum()))
    np.testing.assert_array_equal(found.labels, expected)
    assert found.class_ids.tolist() == class_ids
    assert found.areas.tolist() == areas
    np.testing.assert_allclose(found.prototypes, naive_prototypes(embeddings, expected, len(areas)), atol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("seed", range(4))
def test_parts_with_a_small_share_of_their_segment_are_left_out_but_the_largest_of_each_class(
    seed: int, share: float
) -> None:
    embeddings, random = blobs(9, 12, seed=seed), np.random.default_rng(seed)
    segments = segment_image(embeddings, (36, 48), SortingOptions(5), 0.0)
    mask = np.kron(random.choice([0, 2, 3, 255], (6, 8), p=[0.6, 0.2, 0.1, 0.1]), np.ones((6, 6))).astype(np.uint8)
    every, some = split_by_label(segments, embeddings, mask, 255, 0.0), split_by_label(
        segments, embeddings, mask, 255, 0.0, share
    )  # fmt: skip
    largest = {int(np.where(every.class_ids == c, every.areas, 0).argmax()) for c in np.unique(every.class_ids)}
    expected = []
    for part, area in enumerate(every.areas.tolist()):
        segment = segments.labels[every.labels == part][0]
        whole = int(((segments.labels == segment) & (mask != 255)).sum())
        if area >= share * whole or part in largest:
            expected.append(part)
    assert 0 < len(expected) < len(every.areas)
    assert some.class_ids.tolist() == every.class_ids[expected].tolist()
    assert some.areas.tolist() == every.areas[expected].tolist()
    np.testing.assert_array_equal(some.labels >= 0, np.isin(every.labels, expected))
    np.testing.assert_allclose(some.prototypes, every.prototypes[expected], atol=1e-6)


def test_no_stroke_is_left_out_for_its_share_of_a_segment() -> None:
    embeddings = blobs(9, 12, seed=0)
    segments = segment_image(embeddings, (36, 48), SortingOptions(1), 0.0)
    mask = np.full((36, 48), 255, dtype=np.uint8)
    mask[5, 5:40], mask[20, 10:12], mask[30, 10:13] = 0, 1, 1
    found = split_by_label(segments, embeddings, mask, 255, 0.0, 0.5)
    np.testing.assert_array_equal(found.labels >= 0, mask != 255)


def test_a_thin_stroke_in_a_mask_without_other_labels_is_not_too_small() -> None:
    """It covers a thousandth of the image, and all that is labelled."""
    embeddings = blobs(9, 12, seed=0)
    segments = segment_image(embeddings, (360, 480), SortingOptions(5), 0.0)
    mask = np.full((360, 480), 255, dtype=np.uint8)
    mask[200, 100:280] = 1
    found = split_by_label(segments, embeddings, mask, 255, 0.01)
    np.testing.assert_array_equal(found.labels >= 0, mask == 1)
