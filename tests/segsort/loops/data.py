"""Inputs that the tests of several loops share."""

import numpy as np
import torch

from segsort.sphere import normalize


def smooth_embeddings(
    dimension: int = 8, height: int = 33, width: int = 41, noise: float = 0.2, seed: int = 0
) -> torch.Tensor:
    """[1, D, h, w] unit vectors that change slowly over the image, so that sorting finds something."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, dimension, 5, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return normalize(smooth + noise * torch.randn(smooth.shape, generator=generator), dim=1)


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    """[count, dimension] float32 random unit vectors."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def random_labels(height: int, width: int, kinds: int, seed: int, magnified: int = 3) -> np.ndarray:
    """[height, width] int32 labels 0..kinds-1 in blocks of `magnified` pixels a side, with some single pixels."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, kinds, (-(-height // magnified), -(-width // magnified)), dtype=np.int32)
    labels = blocks.repeat(magnified, 0).repeat(magnified, 1)[:height, :width].copy()
    alone = random.random(labels.shape) < 0.05
    labels[alone] = random.integers(0, kinds, int(alone.sum()))
    return labels
