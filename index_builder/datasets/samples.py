"""What every data set provides: images, and label maps beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps

from model_store.card import ClassInfo

IGNORE = 255  # label of a pixel whose class is unknown


class Sample(NamedTuple):
    """One labelled image.

    image: [H, W, 3] uint8 RGB; labels: [H, W] uint8, a class id or IGNORE; source: name of the image in its data set.
    """

    image: np.ndarray
    labels: np.ndarray
    source: str


class Photograph(NamedTuple):
    """One image without labels.

    image: [H, W, 3] uint8 RGB; source: name of the image in its data set.
    """

    image: np.ndarray
    source: str


def licence_of(images: "Images") -> str:
    """Statement on the licence of the images of a data set, for the card of a release that is built from them.

    A data set with the attribute `licence` states it. Other images are the user's, and their licence is not known.
    """
    stated = getattr(images, "licence", None)
    return str(stated) if stated else f"{origin_of(images)}, provided by the user; their licence was not stated"


def origin_of(images: "Images") -> str:
    """What images a data set has, in words: "images of camvid", or "images of the folder tissue"."""
    folder = getattr(images, "folder", None)
    return f"images of the folder {folder}" if folder else f"images of {images.name}"


class Images(Protocol):
    """Images without labels. Reading one never reads a mask."""

    name: str

    def __len__(self) -> int: ...

    def photograph(self, i: int) -> Photograph: ...


class Dataset(Protocol):
    """Images with masks. The ids of `classes` are 0, 1, 2, ..., without gaps."""

    name: str
    classes: tuple[ClassInfo, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Sample: ...

    def photograph(self, i: int) -> Photograph: ...


@contextmanager
def open_image(file: Path) -> Iterator[Image.Image]:
    """Open an image file for reading.

    Raises:
        ValueError: if the file is damaged or not an image. Pillow's own errors do not always name the file.
    """
    try:
        with Image.open(file) as opened:
            yield opened
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{file} cannot be read as an image ({error}); replace it") from error


def read_upright(file: Path) -> np.ndarray:
    """Read an image and apply its EXIF orientation: [H, W, 3] uint8 RGB.

    Raises:
        ValueError: if the file is damaged or not an image.
    """
    with open_image(file) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
