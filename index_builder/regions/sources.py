"""The interface of a source of regions, and the check of its input."""

from typing import Protocol

import numpy as np


class Regions(Protocol):
    """Cuts an image into regions. It can be pickled, so that it travels into the workers of a DataLoader."""

    name: str

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        """The regions of one image.

        Args:
            image: [H, W, 3] uint8 RGB.
            source: what the image is called, as a `Sample` says.

        Returns:
            [H, W] int32, 0..R-1 without gaps, -1 where it is not known which region a pixel is of. Computed regions
            know every pixel and are 4-connected; those of a folder are as they lie there.

        Raises:
            ValueError: if the image is not [H, W, 3] uint8, or what is precomputed for it is missing or does not fit.
        """
        ...


def check_image(image: np.ndarray) -> None:
    """Refuse what is no image.

    Raises:
        ValueError: if it is not [H, W, 3] uint8, or empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}; it must be [H, W, 3] uint8 with H, W >= 1; "
            "convert it to RGB first"
        )
