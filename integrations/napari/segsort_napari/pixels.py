"""The pixels of an image layer as the service takes them: one slice, of 8 or 16 bits. No napari, no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def visible_slice(
    data: Any, rgb: bool, step: Sequence[int], limits: tuple[float, float]
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The slice of a layer that is shown, as an image.

    Args:
        data: array [..., H, W], or [..., H, W, 3 or 4] with `rgb`; numpy or anything that numpy can read a slice of.
        rgb: whether the last axis holds colours.
        step: place on each axis of the viewer, of which the last ones are those of the layer.
        limits: contrast limits: values of black and of white, for values that are neither uint8 nor uint16.

    Returns:
        [H, W] or [H, W, 3 or 4] uint8 or uint16.

    Raises:
        ValueError: if the layer has fewer than two dimensions.
    """
    planes = data.ndim - (3 if rgb else 2)
    if planes < 0:
        raise ValueError(f"The layer has {data.ndim} dimensions; an image has two, or three with colours.")
    place = tuple(step)[len(step) - planes - 2 : len(step) - 2] if planes else ()
    pixels = np.asarray(data[place])
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    return _scaled(pixels, (0.0, 1.0) if rgb else limits)


def _scaled(pixels: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Values from black to white as 0 to 255; what is no number is black."""
    low, high = limits
    share = (pixels.astype(np.float64) - low) / max(high - low, 1e-12)
    scaled: NDArray[np.uint8] = np.rint(np.nan_to_num(share, nan=0.0).clip(0, 1) * 255).astype(np.uint8)
    return scaled
