"""Data sets of labelled images, one file a format; all give the same `Sample`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from index_builder.progress import spread
from model_store.card import ClassInfo

IGNORE = 255  # label of a pixel whose class is not known


class Sample(NamedTuple):
    """image: [H, W, 3] uint8 RGB; labels: [H, W] uint8, a class id or IGNORE; source: what the image is called."""

    image: np.ndarray
    labels: np.ndarray
    source: str


class Photograph(NamedTuple):
    """image: [H, W, 3] uint8 RGB; source: what the image is called."""

    image: np.ndarray
    source: str


class Images(Protocol):
    """Images without a word of what they show; reading one reads no mask."""

    name: str

    def __len__(self) -> int: ...

    def photograph(self, i: int) -> Photograph: ...


class Dataset(Protocol):
    """Images with masks. `classes` are numbered 0.. without gaps."""

    name: str
    classes: tuple[ClassInfo, ...]

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Sample: ...

    def photograph(self, i: int) -> Photograph: ...


def open_images(name: str, root: Path | None, split: str, *, count: int | None = None) -> Images:
    """Open images to train on without labels: those of a data set (`open_dataset`), or "images", a folder of them.

    Raises:
        ValueError: as `open_dataset`; if the folder holds no image.
    """
    if name != "images":
        return open_dataset(name, root, split, count=count)
    from index_builder.datasets.image_folder import ImageFolder

    if root is None:
        raise ValueError("data set 'images' needs the folder it lies in; give --root")
    data = ImageFolder(root, split)
    if count is not None:
        data.images = [data.images[i] for i in spread(len(data.images), count)]
    return data


def open_dataset(name: str, root: Path | None, split: str, *, count: int | None = None) -> Dataset:
    """Open a data set by name.

    Args:
        name: "camvid", "folder" or "streets".
        root: folder of the data; `streets` needs none, it is painted.
        split: part of the data set; which there are depends on it.
        count: images at most, evenly spread; of `streets`, how many are painted (default 400).

    Raises:
        ValueError: if the name is unknown, the root is missing, the count is below 1, or the data are not as the format
            says.
    """
    from index_builder.datasets.camvid import CamVid
    from index_builder.datasets.labelled_folder import Folder
    from index_builder.datasets.streets import Streets

    if name == "streets":
        return Streets(split, count=count if count is not None else 400)
    if name not in ("camvid", "folder"):
        raise ValueError(f"data set {name!r} is not known; choose camvid, folder or streets")
    if root is None:
        raise ValueError(f"data set {name!r} needs the folder it lies in; give --root")
    if count is not None and count < 1:
        raise ValueError(f"count={count} must be at least 1; leave it out to take every image")
    data = CamVid(root, split) if name == "camvid" else Folder(root, split)
    if count is not None:
        data.images = [data.images[i] for i in spread(len(data.images), count)]
    return data


@contextmanager
def open_image(file: Path) -> Iterator[Image.Image]:
    """An image file, open for reading.

    Raises:
        ValueError: if it is damaged or no image; Pillow's own errors do not always name the file.
    """
    try:
        with Image.open(file) as opened:
            yield opened
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{file} cannot be read as an image ({error}); replace it") from error
