import numpy as np
import pytest

from segsort.masks import bounding_boxes, encode_rle
from service.answering.answers import Shapes
from service.explaining.boundary import boundary_of


def shapes_of(labels: np.ndarray) -> Shapes:
    count = int(labels.max()) + 1
    areas = np.bincount(labels.ravel(), minlength=count).tolist()
    return Shapes(
        labels.shape, encode_rle(labels, count), bounding_boxes(labels, count).tolist(), areas, np.zeros((count, 2))
    )


def naive(labels: np.ndarray, own: int) -> tuple[float, dict[int, float]]:
    """Boundary shares, by comparing each pixel of the segment with every pixel of the image."""
    pixels = np.argwhere(labels == own)
    near = [set(labels[tuple(np.argwhere(_disc(labels.shape, pixel)).T)]) - {own} for pixel in pixels]
    others = {n: sum(n in found for found in near) / len(pixels) for n in set().union(*near)}
    return sum(bool(found) for found in near) / len(pixels), others


def _disc(size: tuple[int, ...], pixel: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return (y - pixel[0]) ** 2 + (x - pixel[1]) ** 2 <= 9


@pytest.mark.parametrize("seed", range(5))
def test_the_boundary_is_that_of_comparing_every_two_pixels(seed: int) -> None:
    random = np.random.default_rng(seed)
    centres = random.uniform(0, 24, (5, 2))
    y, x = np.mgrid[:20, :24]
    labels = ((y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2).argmin(axis=2).astype(np.int32)
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    for own in range(int(labels.max()) + 1):
        share, shares = naive(labels, own)
        found = boundary_of(shapes_of(labels), own)
        assert found.share == pytest.approx(share)
        assert found.shares == pytest.approx(shares)
        assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)


def test_blocks_of_pixels_give_what_all_pixels_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(1).integers(0, 3, (9, 11)).astype(np.int32)
    monkeypatch.setattr("service.explaining.boundary._BLOCK", 4)
    for own in range(3):
        share, shares = naive(labels, own)
        found = boundary_of(shapes_of(labels), own)
        assert found.share == pytest.approx(share)
        assert found.shares == pytest.approx(shares)


def test_pixels_at_a_distance_of_exactly_three_are_close_and_farther_ones_are_not() -> None:
    labels = np.zeros((1, 12), dtype=np.int32)
    labels[0, 6:] = 1
    assert boundary_of(shapes_of(labels), 0) == (0.5, {1: 0.5})  # columns 3, 4 and 5 of six


def test_a_segment_that_is_the_whole_image_has_no_boundary() -> None:
    found = boundary_of(shapes_of(np.zeros((5, 7), dtype=np.int32)), 0)
    assert found == (0.0, {})
