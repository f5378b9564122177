"""Exemplars of an audit, drawn at random: clusters of unit vectors in several images."""

from collections.abc import Callable

import numpy as np
import pytest

from model_store.auditing import Material


@pytest.fixture
def draw() -> Callable[..., Material]:
    """Makes exemplars of three classes around three directions."""

    def make(n: int = 150, images: int = 12, seed: int = 0, k: int = 7, spread: float = 0.25) -> Material:
        random = np.random.default_rng(seed)
        centres = np.linalg.qr(random.normal(size=(8, 3)))[0].T
        class_ids = random.integers(0, 3, n)
        prototypes = centres[class_ids] + random.normal(0, spread, (n, 8))
        prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
        return Material(
            np.arange(n) * 2, prototypes.astype(np.float32), class_ids, random.integers(0, images, n),
            random.integers(1, 4, n).astype(np.float32), 3, k, 10.0,
        )  # fmt: skip

    return make
