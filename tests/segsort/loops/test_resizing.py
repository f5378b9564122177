"""Resizing beside PyTorch's interpolation, byte by byte, and beside a naive loop."""

import numpy as np
import pytest
import torch

from segsort.loops import at_most, resize_planes, resizing
from segsort.loops.resizing import taps


def interpolated(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    found = torch.nn.functional.interpolate(planes, size, mode="bilinear", antialias=True)
    return np.asarray(found[0].numpy())


def drawn(height: int, width: int, seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image if seed % 2 else np.where(image > 127, np.uint8(255), np.uint8(0))  # extremes meet rounding and clamps


@pytest.mark.parametrize("seed", range(60))
def test_the_bytes_are_those_of_pytorch(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resizing, "_BYTES_A_THREAD", 1000)  # small images for several threads too
    random = np.random.default_rng(seed)
    height, width, h, w = random.integers(1, (8, 300, 300, 300) if seed % 5 == 0 else 300, 4).tolist()
    h, w = (height if seed % 7 == 0 else h), (width if seed % 11 == 0 else w)
    image = drawn(height, width, seed)
    with at_most(1 + seed % 3):
        found = resize_planes(image, (h, w))
    np.testing.assert_array_equal(found, interpolated(image, (h, w)))


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (480, 1), (32, 32), (360, 640)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (700, 1), (1080, 1920)])
def test_sides_of_one_pixel_and_large_images_are_resized_alike(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = drawn(*shape, seed=1)
    with at_most(2):
        np.testing.assert_array_equal(resize_planes(image, size), interpolated(image, size))


def test_no_byte_wraps_around_where_a_very_long_image_is_white() -> None:
    white = np.full((30_000, 40, 3), 255, dtype=np.uint8)
    assert (resize_planes(white, (32, 32)) == 255).all()


def test_an_image_of_the_wanted_size_is_split_into_planes() -> None:
    image = drawn(37, 53, seed=1)
    found = resize_planes(image, (37, 53))
    np.testing.assert_array_equal(found, image.transpose(2, 0, 1))
    assert found.flags.c_contiguous


@pytest.mark.parametrize(("length", "wanted"), [(10, 10), (7, 3), (3, 7), (1, 9), (9, 1), (1000, 33)])
def test_weights_are_those_of_a_triangle_and_add_up_to_one(length: int, wanted: int) -> None:
    found, scale = taps(length, wanted), length / wanted
    for i in range(wanted):
        at = range(int(found.first[i]), int(found.first[i] + found.number[i]))
        inside = [max(0.0, 1 - abs(j + 0.5 - scale * (i + 0.5)) / max(scale, 1)) for j in at]
        weights = found.weights[i, : len(at)] / 2 ** int(found.digits)
        np.testing.assert_allclose(weights, np.array(inside) / sum(inside), atol=2.0 ** -int(found.digits))
        assert not found.weights[i, len(at) :].any()
