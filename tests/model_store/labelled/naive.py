"""Slow and plain computations that readers of formats are compared with, and small files for them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def inside(rings: Sequence[Sequence[tuple[float, float]]], size: tuple[int, int]) -> np.ndarray:
    """[H, W] bool: the pixels from whose centre a ray to the right crosses the rings an odd number of times."""
    mask = np.zeros(size, dtype=bool)
    for y in range(size[0]):
        for x in range(size[1]):
            crossings = 0
            for ring in rings:
                for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
                    if (y0 <= y + 0.5) != (y1 <= y + 0.5):
                        crossings += x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0) > x + 0.5
            mask[y, x] = crossings % 2 == 1
    return mask


def painted(parts: Sequence[tuple[int, np.ndarray]], size: tuple[int, int], rest: int = 255) -> np.ndarray:
    """A label map [H, W] on which masks are painted one after another, each with its class id."""
    labels = np.full(size, rest, dtype=np.uint8)
    for class_id, mask in parts:
        for y, x in np.argwhere(mask):
            labels[y, x] = class_id
    return labels


def photograph(file: Path, size: tuple[int, int], seed: int = 0) -> None:
    """Write an image of noise, with the folders of its path. size: (H, W)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def write(file: Path, text: str) -> Path:
    """Write a text file, with the folders of its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def save(file: Path, values: np.ndarray, palette: Sequence[int] | None = None) -> Path:
    """Write a mask file, with the folders of its path. palette: red, green, blue, red, ...; None: grey or RGB."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette is not None:
        image = image.convert("P") if image.mode != "L" else image
        image.putpalette(list(palette))
    image.save(file)
    return file
