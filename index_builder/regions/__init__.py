"""Sources of regions without class labels: partitions of an image that unsupervised training takes for its segments."""

from pathlib import Path
from typing import Protocol

import numpy as np

SOURCES = ("felzenszwalb", "slic-merge", "folder", "contours")


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


def open_regions(name: str, *, folder: Path | None = None, contours: Path | None = None) -> Regions:
    """Open a source of regions by name, with its default values.

    Args:
        name: "felzenszwalb", "slic-merge", "folder" or "contours".
        folder: where the region maps of `folder` lie.
        contours: the network of `contours`, as `segsort regions train-contours` writes it.

    Raises:
        ValueError: if the name is unknown, or the folder or the network that the source needs is missing.
    """
    from index_builder.regions.contours import ContourRegions
    from index_builder.regions.region_maps import FolderRegions
    from index_builder.regions.superpixels import Felzenszwalb, SlicMerge

    if name == "felzenszwalb":
        return Felzenszwalb()
    if name == "slic-merge":
        return SlicMerge()
    if name == "folder":
        if folder is None:
            raise ValueError("regions 'folder' need the folder that their maps lie in; give it")
        return FolderRegions(folder)
    if name == "contours":
        if contours is None:
            raise ValueError(
                "regions 'contours' need a contour network; give its contours.onnx, which segsort regions "
                "train-contours writes"
            )
        return ContourRegions(contours)
    raise ValueError(f"regions {name!r} are not known; choose {', '.join(SOURCES[:-1])} or {SOURCES[-1]}")


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
