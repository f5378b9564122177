"""Painted images whose regions are known."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def quarters() -> tuple[np.ndarray, np.ndarray]:
    """Four plain fields with a little noise: [64, 96, 3] uint8, and the field of each pixel: [64, 96] int32."""
    random = np.random.default_rng(0)
    rows, columns = np.arange(64) >= 24, np.arange(96) >= 60
    fields = (2 * rows[:, None] + columns).astype(np.int32)
    colors = np.array([(200, 40, 30), (40, 180, 60), (30, 60, 210), (220, 210, 60)])
    image = np.clip(colors[fields] + random.normal(0, 3, (64, 96, 3)), 0, 255).astype(np.uint8)
    return image, fields
