"""Painted textures: images of four classes that no network was trained on, with exact masks."""

import colorsys

import numpy as np
from scipy.ndimage import gaussian_filter

from index_builder.datasets import IGNORE, Photograph, Sample
from model_store.card import ClassInfo

SIDE = 256  # pixels
NAMES = ("stripes", "spots", "smooth", "grain")
EDGE = 2  # pixels at each border between classes that are unlabelled


class Textures:
    """Patches of four textures in random colours. The texture is the class; the colour says nothing.

    Args:
        count: number of images.
        seed: of all images.
    """

    name = "textures"
    split = "painted"
    classes = tuple(
        ClassInfo(class_id=n, name=name, color=tuple(round(255 * v) for v in colorsys.hsv_to_rgb(n / 4, 0.7, 0.9)))
        for n, name in enumerate(NAMES)
    )

    def __init__(self, count: int, seed: int) -> None:
        self._seeds = [seed * 100_000 + n for n in range(count)]

    def __len__(self) -> int:
        return len(self._seeds)

    def photograph(self, i: int) -> Photograph:
        return Photograph(self[i].image, f"textures/{self._seeds[i]}")

    def __getitem__(self, i: int) -> Sample:
        random = np.random.default_rng(self._seeds[i])
        sites = random.uniform(0, SIDE, (10, 2))
        y, x = np.mgrid[:SIDE, :SIDE]
        distance = (y[None] - sites[:, 0, None, None]) ** 2 + (x[None] - sites[:, 1, None, None]) ** 2
        nearest = np.sqrt(np.sort(distance, axis=0)[:2])
        kinds = np.concatenate([np.arange(4), random.integers(0, 4, 6)])
        labels = kinds[distance.argmin(axis=0)].astype(np.uint8)
        image = np.zeros((SIDE, SIDE, 3))
        for cell in range(10):
            inside = distance.argmin(axis=0) == cell
            colour = np.array(colorsys.hsv_to_rgb(random.random(), 0.4, 0.6))
            image[inside] = colour + (0.18 * _texture(NAMES[kinds[cell]], random))[inside, None]
        image += random.normal(0, 0.02, image.shape)
        labels[nearest[1] - nearest[0] < EDGE] = IGNORE
        return Sample((image.clip(0, 1) * 255).astype(np.uint8), labels, f"textures/{self._seeds[i]}")


def _texture(name: str, random: np.random.Generator) -> np.ndarray:
    """A texture of about unit variance: [SIDE, SIDE]."""
    y, x = np.mgrid[:SIDE, :SIDE]
    noise = random.normal(0, 1, (SIDE, SIDE))
    if name == "stripes":
        angle, period = random.uniform(0, np.pi), random.uniform(6, 10)
        return np.asarray(np.sqrt(2) * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period))
    if name == "spots":
        blurred = gaussian_filter(noise, 2.5)
        return np.asarray(np.where(blurred > blurred.std(), 2.0, -0.4))
    sigma = 8.0 if name == "smooth" else 1.0
    blurred = gaussian_filter(noise, sigma)
    return np.asarray(blurred / blurred.std())
