"""Outlines beside naive bilinear interpolation, pixel by pixel."""

import numpy as np
import pytest

from segsort.loops import at_most, outline
from segsort.loops.sharing import counters
from tests.segsort.loops.data import random_labels, unit_vectors


def naive_place(pixel: int, length: int, cells: int) -> tuple[int, float]:
    at = min(max((pixel + 0.5) * cells / length - 0.5, 0), cells - 1)
    return int(at), at - int(at)


def naive_outline(
    features: np.ndarray, theta: np.ndarray, cells: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """[H, W] best segment among those of the four cells, and by how much its cosine exceeds the second best."""
    (h, w), (H, W) = cells.shape, size
    grid = features.reshape(h, w, -1).astype(float)
    labels, margin = np.zeros(size, dtype=np.int32), np.full(size, np.inf)
    for y in range(H):
        for x in range(W):
            (y0, v), (x0, u) = naive_place(y, H, h), naive_place(x, W, w)
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            vector = (
                grid[y0, x0] * (1 - v) * (1 - u) + grid[y0, x1] * (1 - v) * u
                + grid[y1, x0] * v * (1 - u) + grid[y1, x1] * v * u
            )  # fmt: skip
            around = {int(cells[at]) for at in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))}
            scores = sorted(((float(vector @ theta[s]), s) for s in around), reverse=True)
            labels[y, x] = scores[0][1]
            if len(scores) > 1:
                margin[y, x] = scores[0][0] - scores[1][0]
    return labels, margin


@pytest.mark.parametrize("cells", [(1, 1), (5, 7), (1, 9), (9, 1), (8, 8)])
@pytest.mark.parametrize("scale", [1, 2.5, 4])
def test_every_pixel_takes_the_best_of_the_four_cells_around_it(cells: tuple[int, int], scale: float) -> None:
    size = (int(cells[0] * scale), int(cells[1] * scale))
    assigned = random_labels(*cells, 5, seed=3, magnified=2).astype(np.int64)
    features, theta = unit_vectors(cells[0] * cells[1], 6), unit_vectors(5, 6, seed=1)
    found = outline.labels_of(features, theta, assigned, size)
    expected, margin = naive_outline(features, theta, assigned, size)
    clear = margin > 1e-5  # elsewhere rounding may decide
    np.testing.assert_array_equal(found[clear], expected[clear])
    assert found.dtype == np.int32
    assert clear.mean() > 0.95


def test_an_image_smaller_than_its_cells_is_outlined() -> None:
    assigned = random_labels(6, 8, 3, seed=0, magnified=1).astype(np.int64)
    features, theta = unit_vectors(48, 6), unit_vectors(3, 6, seed=1)
    expected, margin = naive_outline(features, theta, assigned, (3, 2))
    found = outline.labels_of(features, theta, assigned, (3, 2))
    np.testing.assert_array_equal(found[margin > 1e-5], expected[margin > 1e-5])


def test_where_the_four_cells_agree_the_pixels_get_their_segment_whatever_the_cosines() -> None:
    theta = np.array([[-1, 0], [1, 0]], dtype=np.float32)
    features = np.tile(np.array([[1, 0]], dtype=np.float32), (12, 1))  # all are nearest to segment 1
    found = outline.labels_of(features, theta, np.zeros((3, 4), dtype=np.int64), (12, 16))
    assert not found.any()


def test_between_two_cells_the_border_lies_where_the_cosines_cross() -> None:
    """Cell 0 is at -3 of segment 0's way to segment 1, so that three quarters of the pixels between go to segment 1."""
    theta = np.eye(2, dtype=np.float32)
    features = np.array([[0.5 + 0.1, 0.5 - 0.1], [0.5 - 0.3, 0.5 + 0.3]], dtype=np.float32)
    found = outline.labels_of(features, theta, np.array([[0, 1]]), (1, 80))
    assert found[0].tolist() == [0] * 30 + [1] * 50  # centres at 20 and 60, the cosines cross at 30


def test_threads_outline_as_one_does() -> None:
    assigned = random_labels(60, 80, 9, seed=5).astype(np.int64)
    features, theta = unit_vectors(4800, 6), unit_vectors(9, 6, seed=1)
    found = []
    for count in (1, 3):
        with at_most(count):
            found.append(outline.labels_of(features, theta, assigned, (240, 320)))
    np.testing.assert_array_equal(*found)


def test_a_thread_that_comes_late_leaves_a_finished_outline_alone() -> None:
    assigned = random_labels(5, 7, 3, seed=5).astype(np.int32)
    features, theta = unit_vectors(35, 6), unit_vectors(3, 6, seed=1)
    labels, taken = np.empty((20, 28), dtype=np.int32), counters(1)
    outline.outline(assigned, features, theta, labels, taken)
    before = labels.copy()
    labels[:] = -1
    outline.outline(assigned, features, theta, labels, taken)
    assert (labels == -1).all()
    assert (before >= 0).all()


@pytest.mark.parametrize(("length", "cells"), [(1, 1), (16, 4), (17, 4), (4, 16), (5, 1)])
def test_places_are_those_of_pixel_centres_among_cell_centres(length: int, cells: int) -> None:
    before, share = outline._places(length, cells)
    expected = [naive_place(pixel, length, cells) for pixel in range(length)]
    assert before.tolist() == [cell for cell, _ in expected]
    np.testing.assert_allclose(share, [way for _, way in expected], atol=1e-6)
