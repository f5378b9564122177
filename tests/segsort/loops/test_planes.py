"""Normalised planes beside numpy."""

import numpy as np
import pytest

from segsort.loops import normalise_planes

MEAN, SCALE = np.array([123.7, 116.3, 103.5], np.float32), np.array([0.0171, 0.0175, 0.0174], np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (32, 32)])
@pytest.mark.parametrize("padding", [(0, 0), (3, 0), (0, 5), (31, 2)])
def test_planes_are_scaled_and_padded_by_their_last_row_and_column(
    shape: tuple[int, int], padding: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    size = (shape[0] + padding[0], shape[1] + padding[1])
    found = normalise_planes(image, MEAN, SCALE, size)
    scaled = (image.astype(np.float32) - MEAN[:, None, None]) * SCALE[:, None, None]
    expected = np.pad(scaled, ((0, 0), (0, padding[0]), (0, padding[1])), mode="edge")
    assert found.shape == (1, 3, *size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_each_channel_has_its_own_mean_and_scale() -> None:
    image = np.full((3, 2, 2), 100, dtype=np.uint8)
    mean, scale = np.array([100, 0, 90], np.float32), np.array([7, 1, 2], np.float32)
    found = normalise_planes(image, mean, scale, (2, 2))
    assert [float(found[0, channel, 0, 0]) for channel in range(3)] == [0, 100, 20]


def test_a_single_channel_is_enough() -> None:
    found = normalise_planes(
        np.array([[[4, 8]]], np.uint8), np.array([4], np.float32), np.array([0.5], np.float32), (2, 3)
    )
    assert found.tolist() == [[[[0, 2, 2], [0, 2, 2]]]]
