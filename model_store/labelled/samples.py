"""What every data set provides: images, and label maps beside them."""

from typing import NamedTuple, Protocol

import numpy as np

from model_store.class_info import ClassInfo
from model_store.images import UNLABELLED

IGNORE = UNLABELLED


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
