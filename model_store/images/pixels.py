"""Pixels as networks expect them: upright, RGB, 0..255."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

_DEPTHS = (8, 10, 12, 14, 16)
_BLOCK = 1_000_000  # values that are scaled at once


class Decoded(NamedTuple):
    """A decoded image.

    pixels: [H, W, 3] uint8 RGB, upright; size: (H, W) of the upright image in full, which `pixels` may be a reduction
    of; conversion: what was done to values that were not 8 bits of grey or RGB, in words; None: nothing.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    conversion: str | None


class Scaled(NamedTuple):
    """values: uint8; conversion: what was done, in words."""

    values: np.ndarray
    conversion: str


def to_bytes(values: np.ndarray) -> Scaled:
    """Scale the values of an image to 0..255.

    Whole numbers from 0 to 65535 are scaled from the smallest of 8, 10, 12, 14 and 16 bits that holds the largest of
    them, because cameras and microscopes store 10 or 12 bits in files of 16. Floats from 0 to 1 are multiplied by 255,
    and floats from 0 to 255 are rounded. All other values are scaled from the range that they have. NaN becomes 0.

    Args:
        values: array of bool, whole numbers or floats.
    """
    if values.dtype == bool:
        return Scaled(values.astype(np.uint8) * np.uint8(255), "1 bit: 0 and 1 as 0 and 255")
    low, high = _smallest_and_largest(values)
    if values.dtype.kind == "f":
        low, high, how = _range_of_floats(low, high)
    elif low >= 0 and high <= 65535:
        depth = next(bits for bits in _DEPTHS if high < 1 << bits)
        low, high, how = 0.0, float((1 << depth) - 1), f"whole numbers up to {high:.0f}: as {depth} bits, 0..255"
    else:
        how = f"whole numbers from {low:.0f} to {high:.0f}: their range as 0..255"
    scaled = np.empty(values.shape, dtype=np.uint8)
    for rows in _blocks(values):
        part = np.nan_to_num((values[rows].astype(np.float64) - low) * (255 / max(high - low, 1e-12)))
        scaled[rows] = np.rint(part.clip(0, 255)).astype(np.uint8)
    return Scaled(scaled, how)


def _blocks(values: np.ndarray) -> Iterator[slice]:
    """Rows of at most `_BLOCK` values: temporary arrays of large images would take many times their memory."""
    step = max(_BLOCK // max(values[:1].size, 1), 1)
    return (slice(start, start + step) for start in range(0, len(values), step))


def _smallest_and_largest(values: np.ndarray) -> tuple[float, float]:
    """The range of the finite values; 0 and 0 if there are none."""
    parts = (values[rows] for rows in _blocks(values))
    if values.dtype.kind == "f":
        parts = (part[np.isfinite(part)] for part in parts)
    ranges = [(float(part.min()), float(part.max())) for part in parts if part.size]
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else (0.0, 0.0)


def _range_of_floats(low: float, high: float) -> tuple[float, float, str]:
    """The range that becomes 0..255, and how to say so."""
    if low >= 0 and high <= 1:
        return 0.0, 1.0, "floats from 0 to 1: times 255"
    if low >= 0 and high <= 255:
        return 0.0, 255.0, "floats from 0 to 255: rounded"
    return low, high, f"floats from {low:.4g} to {high:.4g}: their range as 0..255"


def grey(values: np.ndarray) -> np.ndarray:
    """[H, W] as [H, W, 3]."""
    return np.repeat(values[:, :, None], 3, axis=2)


def over_white(rgba: np.ndarray, conversion: str | None) -> tuple[np.ndarray, str | None]:
    """Blend [H, W, 4] uint8 with white, and say so if any pixel is transparent."""
    if (rgba[:, :, 3] == 255).all():
        return np.ascontiguousarray(rgba[:, :, :3]), conversion
    image = Image.fromarray(rgba)
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    blended = np.asarray(Image.alpha_composite(white, image).convert("RGB"))
    return blended, "; ".join(filter(None, (conversion, "transparent pixels over white")))


def turned(pixels: np.ndarray, orientation: object) -> np.ndarray:
    """Turn [H, W, ...] upright by an EXIF orientation, 1..8; any other value changes nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
