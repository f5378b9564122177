"""Prototypes beside naive means over the cells that a segment covers."""

import numpy as np
import pytest

from segsort.cells import cells_below, centres_of_cells
from segsort.loops import at_most, directions
from segsort.loops.location import append
from segsort.sphere import unit_rows
from tests.segsort.loops.data import random_labels, smooth_embeddings, unit_vectors


def naive_prototype(embeddings: np.ndarray, labels: np.ndarray, segment: int) -> np.ndarray:
    """Mean direction of the cells whose centre lies in the segment, or of the cells below its pixels."""
    (D, h, w), (H, W) = embeddings.shape, labels.shape
    total = np.zeros(D)
    for y in range(h):
        for x in range(w):
            if labels[(2 * y + 1) * H // (2 * h), (2 * x + 1) * W // (2 * w)] == segment:
                total += embeddings[:, y, x]
    if not total.any():
        for y in range(H):
            for x in range(W):
                if labels[y, x] == segment:
                    total += embeddings[:, y * h // H, x * w // W]
    return total / max(np.sqrt((total**2).sum()), 1e-12)


def prototypes(embeddings: np.ndarray, labels: np.ndarray, count: int, weight: float = 0.7) -> np.ndarray:
    _, h, w = embeddings.shape
    return unit_rows(directions.sums(append(embeddings, weight), (h, w), labels, count))


@pytest.mark.parametrize("size", [(9, 12), (36, 48), (35, 50), (5, 7)])
def test_prototypes_are_mean_directions_of_the_cells_at_whose_centres_segments_lie(size: tuple[int, int]) -> None:
    embeddings = smooth_embeddings(5, 9, 12)[0].numpy()
    labels = random_labels(*size, 6, seed=1)
    labels[0, :2] = -1
    found = prototypes(embeddings, labels, 6)
    for segment in range(6):
        np.testing.assert_allclose(found[segment], naive_prototype(embeddings, labels, segment), atol=1e-5)


def test_a_segment_too_thin_for_a_centre_takes_the_cells_below_its_pixels() -> None:
    embeddings = smooth_embeddings(5, 4, 4)[0].numpy()
    labels = np.zeros((16, 16), dtype=np.int32)
    labels[:, 8] = 1  # centres are at 2, 6, 10 and 14
    labels[15, 0:3] = 2
    found = prototypes(embeddings, labels, 3)
    for segment in range(3):
        np.testing.assert_allclose(found[segment], naive_prototype(embeddings, labels, segment), atol=1e-5)


def test_location_plays_no_part() -> None:
    embeddings, labels = smooth_embeddings(5, 9, 12)[0].numpy(), random_labels(36, 48, 6, seed=1)
    np.testing.assert_allclose(
        prototypes(embeddings, labels, 6, weight=0.0), prototypes(embeddings, labels, 6, weight=3.0), atol=1e-5
    )


def test_a_segment_without_pixels_has_a_prototype_of_zero() -> None:
    embeddings = smooth_embeddings(5, 9, 12)[0].numpy()
    found = prototypes(embeddings, np.zeros((36, 48), dtype=np.int32), 2)
    assert found[0].any()
    assert not found[1].any()


def test_threads_add_up_as_one_does() -> None:
    embeddings, labels = smooth_embeddings(8, 90, 120)[0].numpy(), random_labels(360, 480, 40, seed=2, magnified=9)
    found = []
    for count in (1, 4):
        with at_most(count):
            found.append(prototypes(embeddings, labels, 40))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_rows_are_scaled_to_unit_length_without_their_location() -> None:
    rows, labels = unit_vectors(50, 9), np.random.default_rng(0).integers(-1, 4, 50).astype(np.int32)
    sums, sizes = np.zeros((4, 7)), np.zeros(4, dtype=np.int64)
    directions.add_directions(rows, labels, sums, sizes)
    for group in range(4):
        members = [row[:7] / np.linalg.norm(row[:7]) for row, label in zip(rows, labels, strict=True) if label == group]
        np.testing.assert_allclose(sums[group], np.sum(members, axis=0), atol=1e-5)
        assert sizes[group] == len(members)


def test_a_row_without_length_adds_nothing_but_is_counted() -> None:
    sums, sizes = np.zeros((1, 3)), np.zeros(1, dtype=np.int64)
    row = np.array([[0, 0, 0, 0.6, 0.8]], dtype=np.float32)
    directions.add_directions(row, np.zeros(1, dtype=np.int32), sums, sizes)
    assert not sums.any()
    assert sizes.tolist() == [1]


def test_centres_and_cells_agree() -> None:
    """The pixel at the centre of a cell lies in that cell."""
    for cells, pixels in ((9, 36), (9, 35), (7, 7), (12, 50)):
        centres = centres_of_cells(cells, pixels)
        row = np.zeros((1, pixels), dtype=np.int32)
        row[0, centres] = 1
        assert cells_below(row, 1, (1, cells)).tolist() == list(range(cells))
