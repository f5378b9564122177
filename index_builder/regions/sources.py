"""The interface of a source of regions, and the check of its input."""

from typing import Protocol

import numpy as np


class Regions(Protocol):
    """Partitions an image into regions. It can be pickled, so that the workers of a DataLoader can use it."""

    name: str

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        """Compute or read the regions of one image.

        Args:
            image: [H, W, 3] uint8 RGB.
            source: name of the image, as in `Sample.source`.

        Returns:
            [H, W] int32, 0..R-1 without gaps, -1 where the region is unknown. Computed regions cover every pixel and
            are 4-connected. Regions read from a folder may be neither.

        Raises:
            ValueError: if the image is not [H, W, 3] uint8, or its precomputed map is missing or does not fit.
        """
        ...


def check_image(image: np.ndarray) -> None:
    """Check that an array is an RGB image.

    Raises:
        ValueError: if it is not [H, W, 3] uint8, or it is empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}; it must be [H, W, 3] uint8 with H, W >= 1; "
            "convert it to RGB first"
        )
