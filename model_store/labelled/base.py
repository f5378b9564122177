"""What all formats of labelled files share: images, with labels in mask files or as shapes."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_store.class_info import ClassInfo
from model_store.images import MaskFault, MaskValues, labels_of, read_image, read_mask
from model_store.labelled.samples import IGNORE, Photograph, Sample
from model_store.labelled.survey import Survey


class LabelledFiles(ABC):
    """Images in files, with labels in a format. Base of all formats.

    Attributes:
        name: of the format; folder: name of the folder of the data; split: part of the data; classes: with ids 0, 1,
        2, ...; survey: which files are used.
    """

    name: str
    classes: tuple[ClassInfo, ...]

    def __init__(self, root: Path, split: str) -> None:
        self.folder, self.split, self.survey = root.resolve().name, split, Survey(root)

    @classmethod
    @abstractmethod
    def found(cls, root: Path) -> bool:
        """Whether a folder or a file is in this format, judged by names and the beginnings of files."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def keep(self, chosen: Sequence[int]) -> None:
        """Keep some of the images, in the given order."""

    @abstractmethod
    def image_file(self, i: int) -> Path:
        """The file of an image."""

    @abstractmethod
    def labels(self, i: int, size: tuple[int, int]) -> np.ndarray:
        """Labels of an image.

        Args:
            i: number of the image.
            size: (H, W) of the upright image.

        Returns:
            [H, W] uint8, a class id or IGNORE.

        Raises:
            ValueError: if a file cannot be read or does not fit the image. The message names the file.
        """

    def photograph(self, i: int) -> Photograph:
        """Read an image."""
        file = self.image_file(i)
        decoded = read_image(file)
        self.survey.convert(file, decoded.conversion)
        return Photograph(decoded.pixels, f"{self.name}/{self.split}/{file.stem}")

    def __getitem__(self, i: int) -> Sample:
        """Read an image and its labels.

        Raises:
            ValueError: if a file cannot be read, or the labels do not fit the image.
        """
        image, source = self.photograph(i)
        return Sample(image, self.labels(i, (image.shape[0], image.shape[1])), source)


class MaskedImages(LabelledFiles):
    """Base of the formats that have a mask file for each image.

    Attributes:
        pairs: image file and mask file of each image; values: what the values of masks mean.
    """

    values: MaskValues

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        self.pairs: list[tuple[Path, Path]] = []

    def __len__(self) -> int:
        return len(self.pairs)

    def keep(self, chosen: Sequence[int]) -> None:
        self.pairs = [self.pairs[i] for i in chosen]

    def image_file(self, i: int) -> Path:
        return self.pairs[i][0]

    def labels(self, i: int, size: tuple[int, int]) -> np.ndarray:
        image, file = self.pairs[i]
        try:
            labels = labels_of(read_mask(file), self.values)
        except MaskFault as fault:
            raise ValueError(f"{file}: {fault}") from fault
        if labels.shape != size:
            raise ValueError(
                f"{file} is {labels.shape[1]}x{labels.shape[0]}, its image {image.name} {size[1]}x{size[0]}; "
                "replace it by a mask of the size of the upright image"
            )
        return labels


class Region(NamedTuple):
    """A labelled region of an image.

    class_id: its class; mask: [h, w] bool, its pixels in a part of the image; corner: (row, column) of the part. With
    the corner (0, 0), the mask may be as large as the image.
    """

    class_id: int
    mask: np.ndarray
    corner: tuple[int, int] = (0, 0)


class ShapedImages(LabelledFiles):
    """Base of the formats that describe the labels of an image as shapes.

    Attributes:
        images: the image files; background: class id of pixels in no shape; None: they are unlabelled.
    """

    background: int | None = None

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        self.images: list[Path] = []

    def __len__(self) -> int:
        return len(self.images)

    def keep(self, chosen: Sequence[int]) -> None:
        self.images = [self.images[i] for i in chosen]

    def image_file(self, i: int) -> Path:
        return self.images[i]

    @abstractmethod
    def regions(self, i: int, size: tuple[int, int]) -> Iterable[Region]:
        """The regions of an image in the order in which they are drawn: later ones cover earlier ones.

        Args:
            i: number of the image.
            size: (H, W) of the upright image.

        Raises:
            ValueError: if a shape is malformed, or was drawn on an image of another size. The message names the file.
        """

    def labels(self, i: int, size: tuple[int, int]) -> np.ndarray:
        labels = np.full(size, IGNORE if self.background is None else self.background, dtype=np.uint8)
        for region in self.regions(i, size):
            (top, left), (height, width) = region.corner, region.mask.shape
            labels[top : top + height, left : left + width][region.mask] = region.class_id
        return labels
