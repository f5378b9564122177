"""Photographs of scikit-image with masks computed by a rule, cut into crops to label and crops to measure on.

It uses only photographs that are in the package of scikit-image and may be published: `coins` (Brooklyn Museum, no
known copyright restrictions), `immunohistochemistry` (CMMI, no known copyright restrictions), and `brick`, `grass` and
`gravel` (CC0).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import skimage.data
from scipy.ndimage import binary_fill_holes, gaussian_filter
from skimage.color import rgb2hed
from skimage.filters import threshold_otsu
from skimage.morphology import opening

UNLABELLED = 255
LABELLED = 3  # number of crops to label
MOSAIC = 256  # pixels; side of a mosaic of textures, half the side of a photograph


class Crop(NamedTuple):
    """image: [H, W, 3] uint8 RGB; labels: [H, W] uint8, position in the class names, or `UNLABELLED`."""

    image: np.ndarray
    labels: np.ndarray


class Collection(NamedTuple):
    """classes: names; labelled, measured: crops of the same photographs that do not overlap each other."""

    classes: tuple[str, ...]
    labelled: list[Crop]
    measured: list[Crop]


def coins() -> Collection:
    """Coins on cloth, in 2 x 3 crops. Coins are brighter than Otsu's threshold after background removal."""
    gray = _sample("coins")
    flat = gray - gaussian_filter(gray.astype(np.float32), 50)
    disk = np.hypot(*np.mgrid[-4:5, -4:5]) <= 4
    coin = opening(binary_fill_holes(gaussian_filter(flat, 1) > _otsu(flat)), disk)
    crops = list(_grid(_rgb(gray), np.where(coin, 0, 1), 2, 3))
    return Collection(("coin", "cloth"), crops[:LABELLED], crops[LABELLED:])


def stained_tissue() -> Collection:
    """Brown-stained glands, in 3 x 3 crops: Otsu's threshold of the blurred brown stain."""
    image = _sample("immunohistochemistry")
    brown = gaussian_filter(rgb2hed(image)[:, :, 2], 2)
    labels = np.where(brown > _otsu(brown), 0, 1)
    crops = list(_grid(image, labels, 3, 3))
    return Collection(("stained tissue", "other tissue"), crops[:LABELLED], crops[LABELLED:])


def textures() -> Collection:
    """A disc of one texture on two others. Crops to label come from the upper halves of the photographs."""
    names = ("gravel", "grass", "brick")
    photographs = [_sample(name) for name in names]
    random = np.random.default_rng(3)
    upper, lower = (
        [_mosaic([photograph[rows] for photograph in photographs], random) for _ in range(count)]
        for rows, count in ((slice(0, MOSAIC), LABELLED), (slice(MOSAIC, None), 6))
    )
    return Collection(names, upper, lower)


COLLECTIONS: dict[str, Callable[[], Collection]] = {
    "coins": coins,
    "immunohistochemistry": stained_tissue,
    "textures": textures,
}


def _grid(image: np.ndarray, labels: np.ndarray, rows: int, columns: int) -> Iterator[Crop]:
    """Crops in the order of the white fields of a chessboard, then the black ones, so that the first are spread out."""
    height, width = labels.shape[0] // rows, labels.shape[1] // columns
    places = sorted(((row, column) for row in range(rows) for column in range(columns)), key=lambda at: sum(at) % 2)
    for row, column in places:
        part = slice(row * height, (row + 1) * height), slice(column * width, (column + 1) * width)
        yield Crop(np.ascontiguousarray(image[part]), labels[part].astype(np.uint8))


def _mosaic(images: list[np.ndarray], random: np.random.Generator) -> Crop:
    """One image of three textures; images: three of [MOSAIC, W] uint8."""
    starts = random.integers([image.shape[1] - MOSAIC + 1 for image in images]).tolist()
    patches = [image[:, start : start + MOSAIC] for image, start in zip(images, starts, strict=True)]
    y, x = np.mgrid[:MOSAIC, :MOSAIC] - MOSAIC / 2
    angle = random.uniform(0, 2 * np.pi)
    inside = np.hypot(*(axis - random.uniform(-40, 40) for axis in (y, x))) < random.uniform(60, 90)
    order = random.permutation(3)
    labels = np.where(x * np.cos(angle) + y * np.sin(angle) > 0, order[0], order[1])
    labels = np.where(inside, order[2], labels)
    return Crop(_rgb(np.choose(labels, patches)), labels.astype(np.uint8))


def _rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[:, :, None], 3, axis=2)


def _sample(name: str) -> np.ndarray:
    return np.asarray(getattr(skimage.data, name)())


def _otsu(values: np.ndarray) -> float:
    return float(threshold_otsu(values))  # type: ignore[no-untyped-call]
