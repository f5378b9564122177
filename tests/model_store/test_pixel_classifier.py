"""Labels of a softmax classifier, compared with a naive bilinear interpolation and softmax."""

import math

import numpy as np
import pytest
import torch

from model_store.pixel_classifier import classify_pixels


def naive(logits: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate between the centres of cells (half-pixel centres, clamped at the edges), then softmax."""
    C, h, w = logits.shape
    classes, probabilities = np.zeros((height, width), int), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v, u = (min(max((n + 0.5) * m / size - 0.5, 0), m - 1) for n, m, size in ((y, h, height), (x, w, width)))
            top, left = int(v), int(u)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = v - top, u - left
            values = [
                (1 - a) * ((1 - b) * logits[c, top, left] + b * logits[c, top, right])
                + a * ((1 - b) * logits[c, bottom, left] + b * logits[c, bottom, right])
                for c in range(C)
            ]
            total = sum(math.exp(value) for value in values)
            classes[y, x] = int(np.argmax(values))
            probabilities[y, x] = math.exp(max(values)) / total
    return classes, probabilities


@pytest.mark.parametrize("size", [(9, 14), (3, 4), (12, 16)])
def test_classes_and_probabilities_are_those_of_a_naive_loop(size: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (4, 3, 4)).astype(np.float32)
    classes, probabilities = classify_pixels(torch.from_numpy(logits), size)
    expected_classes, expected = naive(logits, *size)
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
