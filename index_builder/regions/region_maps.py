"""Precomputed regions: one 16-bit PNG an image, for example from HED-OWT-UCM."""

from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from index_builder.regions.sources import check_image
from model_store.images import read_indices

UNKNOWN = 65535  # value of a pixel whose region is unknown


class FolderRegions:
    """Reads the region map FOLDER/NAME.png of an image, where NAME is the last part of the image's source.

    Each value is one region; values may have gaps. 65535 means unknown.

    Raises:
        ValueError: if the folder does not exist.
    """

    name = "folder"

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder; give the folder of the region maps")
        self.folder = folder

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        check_image(image)
        file = map_file(self.folder, source)
        if not file.is_file():
            raise ValueError(f"{file}, the region map of {source}, is missing; add it, or remove the image")
        values = read_indices(file)
        if values.shape != image.shape[:2]:
            raise ValueError(
                f"{file} has shape {values.shape}; the region map of {source} must have shape {image.shape[:2]}; write "
                "it again, for example with segsort regions write"
            )
        occurs = np.zeros(UNKNOWN + 1, dtype=bool)
        occurs[values] = True
        occurs[UNKNOWN] = False
        table = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
        table[UNKNOWN] = -1
        regions: np.ndarray = table[values]
        return regions


def map_file(folder: Path, source: str) -> Path:
    """Path of the region map of an image."""
    return folder / f"{PurePosixPath(source).name}.png"


def write_map(regions: np.ndarray, file: Path) -> None:
    """Write regions as a 16-bit PNG that `FolderRegions` reads.

    Args:
        regions: [H, W] integers, 0..65534, or -1 where unknown.
        file: path that ends in .png; its folder must exist.

    Raises:
        ValueError: if the regions have another shape, type or range, or the file does not end in .png.
    """
    fits = regions.ndim == 2 and np.issubdtype(regions.dtype, np.integer) and regions.size > 0
    if not fits or regions.min() < -1 or regions.max() >= UNKNOWN:
        raise ValueError(
            f"regions have shape {regions.shape}, type {regions.dtype} and values up to "
            f"{regions.max() if regions.size else 'none'}; they must be [H, W] integers from -1 to {UNKNOWN - 1}; "
            "renumber them"
        )
    if file.suffix != ".png":
        raise ValueError(f"{file} must end in .png; rename it")
    Image.fromarray(np.where(regions < 0, UNKNOWN, regions).astype(np.uint16)).save(file)
