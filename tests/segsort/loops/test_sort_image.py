"""Compiled pixel sorting beside the plain E- and M-step."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from segsort.loops import at_most
from segsort.pixel_sorting import grid_labels, sorting_features
from segsort.pixel_sorting import sort_hard as sort  # on a CPU, its compiled form
from tests.segsort.loops.data import smooth_embeddings, unit_vectors
from tests.segsort.loops.eight_bits import cone, cones, patches, purity, thirds

plain = sort.__wrapped__  # type: ignore[attr-defined]


def mean_cosine(features: Tensor, labels: Tensor, theta: Tensor) -> float:
    return float((features[0] * theta[0][labels[0]]).sum(dim=1).mean())


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0, 100.0])
@pytest.mark.parametrize("size", [(33, 41), (8, 8), (1, 30), (90, 120)])
def test_labels_and_means_are_those_of_the_plain_steps(noise: float, size: tuple[int, int]) -> None:
    features = sorting_features(smooth_embeddings(8, *size, noise=noise), 0.5)
    grid = grid_labels(*size, 20)
    labels, theta = sort(features, grid, 20, 10)
    expected, means = plain(features, grid, 20, 10)
    alike = 0.995 if noise <= 1 else 0.98  # in noise, more pixels have means that are almost equally near
    assert (labels == expected).float().mean() > alike
    assert mean_cosine(features, labels, theta) == pytest.approx(mean_cosine(features, expected, means), abs=1e-4)
    if noise <= 0.2:
        torch.testing.assert_close(theta, means, atol=1e-3, rtol=0)


@pytest.mark.parametrize("coarse", [1, 4])
@pytest.mark.parametrize("size", [(33, 41), (32, 40), (1, 1), (2, 1)])
def test_a_coarse_start_is_that_of_the_plain_steps(coarse: int, size: tuple[int, int]) -> None:
    features, grid = sorting_features(smooth_embeddings(8, *size), 0.5), grid_labels(*size, 9)
    count = min(9, size[0] * size[1])
    labels, theta = sort(features, grid, count, 3, coarse)
    expected, means = plain(features, grid, count, 3, coarse)
    assert torch.equal(labels, expected)
    torch.testing.assert_close(theta, means, atol=1e-5, rtol=0)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("coarse", [0, 3])
def test_pixels_left_out_are_left_out_by_both(share: float, coarse: int) -> None:
    features, grid = sorting_features(smooth_embeddings(), 0.5), grid_labels(33, 41, 9)
    left_out = torch.rand(1, 33 * 41, generator=torch.Generator().manual_seed(0)) < share
    labels, theta = sort(features, grid, 9, 4, coarse, left_out=left_out)
    expected, means = plain(features, grid, 9, 4, coarse, left_out=left_out)
    assert torch.equal(labels, expected)
    assert torch.equal(labels == -1, left_out)
    torch.testing.assert_close(theta, means, atol=1e-5, rtol=0)


def test_images_of_a_batch_are_sorted_one_by_one() -> None:
    several = torch.cat([smooth_embeddings(seed=seed) for seed in range(3)])
    features, grid = sorting_features(several, 0.5), grid_labels(33, 41, 9)
    labels, theta = sort(features, grid, 9, 6)
    for image in range(3):
        alone = sort(features[image : image + 1], grid, 9, 6)
        assert torch.equal(labels[image], alone[0][0])
        assert torch.equal(theta[image], alone[1][0])


def test_starting_labels_are_not_changed() -> None:
    grid = grid_labels(33, 41, 9)
    sort(sorting_features(smooth_embeddings(), 0.5), grid, 9, 6, 2)
    assert torch.equal(grid, grid_labels(33, 41, 9))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_threads_sort_as_one_does(precision: Literal["float32", "int8"]) -> None:
    features, grid = sorting_features(smooth_embeddings(8, 90, 120), 0.5), grid_labels(90, 120, 30)
    with at_most(1):
        alone = sort(features, grid, 30, 8, 4, precision)
    with at_most(4):
        shared = sort(features, grid, 30, 8, 4, precision)
    assert torch.equal(alone[0], shared[0])
    torch.testing.assert_close(alone[1], shared[1], atol=1e-6, rtol=0)


def sorted_in_doubles(rows: np.ndarray, labels: np.ndarray, count: int, iterations: int) -> np.ndarray:
    """Hard EM in float64, as a reader would write it: labels [N] of rows [N, D]."""
    for _ in range(iterations):
        sums = np.zeros((count, rows.shape[1]))
        np.add.at(sums, labels, rows)
        means = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        scores = np.where(np.bincount(labels, minlength=count) > 0, rows @ means.T, -np.inf)
        held = scores[np.arange(len(rows)), labels]
        labels = np.where(held == scores.max(axis=1), labels, scores.argmax(axis=1))
    return labels


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("weight", [0.0, 1.0])
@pytest.mark.parametrize("degrees", [1, 5, 20])
@pytest.mark.parametrize("dimension", [2, 3, 8, 32, 64])
def test_narrow_cones_are_sorted_as_in_doubles(
    dimension: int, degrees: float, weight: float, precision: Literal["float32", "int8"]
) -> None:
    size, grid = (48, 64), grid_labels(48, 64, 40)
    kinds = {"one": patches(10, size), "several": 4 * thirds(size) + patches(4, size)}
    for name, given in (("one", cone(degrees, dimension)), ("several", cones(degrees, dimension))):
        features = sorting_features(torch.from_numpy(given), weight)
        found = sort(features, grid, 40, 10, precision=precision)[0][0].numpy()
        expected = sorted_in_doubles(features[0].double().numpy(), grid.flatten().numpy(), 40, 10)
        assert purity(found, kinds[name].ravel()) > purity(expected, kinds[name].ravel()) - 0.03
        assert len(np.unique(found)) == pytest.approx(len(np.unique(expected)), abs=2)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("weight", [0.0, 0.5])
@pytest.mark.parametrize("dimension", [2, 8, 64])
def test_equal_pixels_stay_together(dimension: int, weight: float, precision: Literal["float32", "int8"]) -> None:
    """An image of one colour keeps its segments, and no segment holds pixels of two colours that fill whole cells."""
    grid = grid_labels(48, 64, 16)
    one, other = unit_vectors(2, dimension)
    plain = torch.from_numpy(one)[None, :, None, None].expand(1, dimension, 48, 64).contiguous()
    labels = sort(sorting_features(plain, weight), grid, 16, 10, precision=precision)[0][0]
    assert len(set(labels.tolist())) == 16
    assert weight > 0 or torch.equal(labels, grid.flatten())
    two = plain.clone()
    two[:, :, :, 32:] = torch.from_numpy(other)[:, None, None]
    labels = sort(sorting_features(two, weight), grid, 16, 10, precision=precision)[0][0].reshape(48, 64)
    assert not set(labels[:, :32].flatten().tolist()) & set(labels[:, 32:].flatten().tolist())
