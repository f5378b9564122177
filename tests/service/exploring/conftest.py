"""Painted images with things that the tiny release does not know: yellow, magenta and cyan squares on known colours."""

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.conftest import BLOCK_CLASSES
from tests.service.conftest import encoded

FOREIGN = {"yellow": (235, 225, 25), "magenta": (225, 30, 225), "cyan": (20, 230, 230)}
HEIGHT, WIDTH = 72, 96


def painted(*kinds: str, seed: int, side: int = 28) -> np.ndarray:
    """[72, 96, 3] uint8: a ground in the colour of a known class, and one square of each kind, with noise.

    Squares begin and end between cells of the embedding, so that no cell is of two kinds.
    """
    random = np.random.default_rng(seed)
    image = np.empty((HEIGHT, WIDTH, 3))
    image[:] = BLOCK_CLASSES[seed % 3].color
    for n, kind in enumerate(kinds):
        left, top = 4 + 44 * n + 4 * int(random.integers(0, 3)), 4 * int(random.integers(1, (HEIGHT - side) // 4))
        image[top : top + side, left : left + side] = FOREIGN[kind]
    noisy = image + random.normal(0, 6, image.shape)
    return np.asarray(noisy.clip(0, 255).astype(np.uint8))


def kind_of(color: np.ndarray) -> str:
    """The foreign kind or the known class whose colour is nearest to a mean colour."""
    every = {info.name: info.color for info in BLOCK_CLASSES} | FOREIGN
    return min(every, key=lambda name: float(np.abs(np.array(every[name]) - color).sum()))


@pytest.fixture
def send(client: TestClient) -> Callable[[np.ndarray], dict]:
    """Sends an image to be segmented; returns the answer."""

    def segment(image: np.ndarray) -> dict:
        found: dict = client.post("/segment", content=encoded(image)).raise_for_status().json()
        return found

    return segment
