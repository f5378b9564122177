"""Shows rare classes more often: crops are placed on them, and parts of such crops are pasted into others."""

import numpy as np
import torch
from torch import Tensor

from index_builder.datasets import IGNORE

DONORS = 32  # most recent crops on rare classes that are kept for pasting
SMALL = 0.08  # largest share of a crop that a pasted class may cover
LEAST = 24  # pixels of a class that an image must show to be chosen for it


class ClassPlaces:
    """Which classes occur in which images, and where. Images are added when they are first read."""

    def __init__(self) -> None:
        self._images: dict[int, list[int]] = {}  # by class
        self._pixels: dict[int, int] = {}
        self._seen: set[int] = set()

    def add(self, image: int, labels: np.ndarray, unknown: int) -> None:
        """Remember the classes of an image; labels: [H, W] int."""
        if image in self._seen:
            return
        self._seen.add(image)
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            if label != unknown and count >= LEAST:
                self._images.setdefault(int(label), []).append(image)
                self._pixels[int(label)] = self._pixels.get(int(label), 0) + int(count)

    def draw(self, random: np.random.Generator) -> tuple[int, int] | None:
        """An image and a class that it shows. A class is drawn by the inverse square root of its pixels.

        Returns:
            Number of the image and class; None while no image was added.
        """
        if not self._images:
            return None
        classes = list(self._images)
        weights = np.array([self._pixels[c] for c in classes], dtype=float) ** -0.5
        drawn = classes[int(random.choice(len(classes), p=weights / weights.sum()))]
        return self._images[drawn][int(random.integers(len(self._images[drawn])))], drawn


def place_of(labels: np.ndarray, label: int, random: np.random.Generator) -> tuple[int, int]:
    """Row and column of a random pixel of a class that occurs; labels: [H, W] int."""
    found = np.flatnonzero(labels == label)
    row, column = divmod(int(found[int(random.integers(len(found)))]), labels.shape[1])
    return row, column


def paste_small_classes(
    crop: tuple[Tensor, Tensor], donor: tuple[Tensor, Tensor], random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Paste the small things of one crop into another one, at their places: streets look alike in that.

    Args:
        crop: image [3, h, w] uint8 and labels [h, w] int32, -1 where unknown.
        donor: a crop of the same size. Of its classes that cover at most 8 % of it, each is pasted with probability
            2/3.
        random: the random choices.

    Returns:
        A new image and new labels.
    """
    labels, counts = torch.unique(donor[1], return_counts=True)
    small = [
        int(label)
        for label, count in zip(labels, counts, strict=True)
        if 0 <= label < IGNORE and count <= SMALL * donor[1].numel() and random.random() < 2 / 3
    ]
    pasted = torch.isin(donor[1], torch.tensor(small, dtype=donor[1].dtype))
    return torch.where(pasted, donor[0], crop[0]), torch.where(pasted, donor[1], crop[1])
