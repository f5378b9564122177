"""A folder of one's own: images/ and masks/ beside classes.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from index_builder.datasets.samples import IGNORE, Photograph, Sample, open_image, read_upright
from model_store.card import ClassInfo

_INDEXED = ("P", "L", "1", "I", "I;16")  # Pillow's modes of masks that hold class numbers
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class Folder:
    """Images in images/, masks of the same stem in masks/ (PNG, indexed or RGB), and classes.json.

    classes.json: {"classes": [{"name": "road", "color": [128, 64, 128]}, ...], "ignore": 255}. A class's number is its
    place in the list; "ignore" is the index, or the colour, of pixels that are not labelled, or null. With sub-folders
    images/SPLIT and masks/SPLIT the split is one of them; without, every split is the whole folder.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """

    name = "folder"

    def __init__(self, root: Path, split: str) -> None:
        self.split = split
        self.classes, self._ignore = _read_classes(root / "classes.json")
        images, masks = root / "images", root / "masks"
        if (images / split).is_dir():
            images, masks = images / split, masks / split
        elif any(entry.is_dir() for entry in images.glob("*")):
            names = sorted(entry.name for entry in images.glob("*") if entry.is_dir())
            raise ValueError(f"split {split!r} is not among the folders of {images}: choose {', '.join(names)}")
        self.images = sorted(file for file in images.glob("*") if file.suffix.lower() in _SUFFIXES)
        self.masks = masks
        if not self.images:
            raise ValueError(f"{images} holds no images ({', '.join(_SUFFIXES)}); put them there")

    def __len__(self) -> int:
        return len(self.images)

    def photograph(self, i: int) -> Photograph:
        return Photograph(read_upright(self.images[i]), f"folder/{self.split}/{self.images[i].stem}")

    def __getitem__(self, i: int) -> Sample:
        file = self.images[i]
        mask_file = self.masks / f"{file.stem}.png"
        if not mask_file.exists():
            raise ValueError(f"{mask_file} is missing, the mask of {file}; add it, or take the image away")
        image, source = self.photograph(i)
        with open_image(mask_file) as opened:
            mask = np.asarray(opened if opened.mode in _INDEXED else opened.convert("RGB"))
        if mask.shape[:2] != image.shape[:2]:
            raise ValueError(
                f"{mask_file} is {mask.shape[1]}x{mask.shape[0]}, its image {image.shape[1]}x{image.shape[0]}; "
                "make the mask as large as the upright image"
            )
        return Sample(image, self._labels(mask, mask_file), source)

    def _labels(self, mask: np.ndarray, file: Path) -> np.ndarray:
        """[H, W] indices or [H, W, 3] colours -> [H, W] uint8 class ids."""
        if mask.ndim == 3:
            code = mask.astype(np.int64) @ (65536, 256, 1)
            numbers = {_code(info.color): info.class_id for info in self.classes}
            if isinstance(self._ignore, list):
                numbers[_code(self._ignore)] = IGNORE
        else:
            code = mask.astype(np.int64)
            numbers = {info.class_id: info.class_id for info in self.classes}
            if isinstance(self._ignore, int):
                numbers[self._ignore] = IGNORE
        labels = np.empty(code.shape, dtype=np.uint8)
        for value in np.unique(code):
            if int(value) not in numbers:
                seen = f"#{value:06x}" if mask.ndim == 3 else str(value)
                allowed = sorted(f"#{n:06x}" if mask.ndim == 3 else str(n) for n in numbers)
                raise ValueError(
                    f"{file} has the value {seen}, which is no class; classes.json allows {', '.join(allowed)}: "
                    "add the class or name it as ignore"
                )
            labels[code == value] = numbers[int(value)]
        return labels


def _code(color: Any) -> int:
    red, green, blue = color
    return int(red) * 65536 + int(green) * 256 + int(blue)


def _read_classes(file: Path) -> tuple[tuple[ClassInfo, ...], int | list[int] | None]:
    try:
        told = json.loads(file.read_text())
        entries = told["classes"]
        classes = tuple(
            ClassInfo(class_id=i, name=entry["name"], color=tuple(entry["color"])) for i, entry in enumerate(entries)
        )
        _check(classes, told.get("ignore"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} cannot be used ({error}); it must hold {{"classes": [{{"name": ..., "color": [r, g, b]}}, ...], '
            '"ignore": index, [r, g, b] or null}'
        ) from error
    return classes, told.get("ignore")


def _check(classes: tuple[ClassInfo, ...], ignore: Any) -> None:
    """Each class can be told from every other, in the mask and by name."""
    names, colors = {info.name for info in classes}, {info.color for info in classes}
    if not 1 <= len(classes) <= IGNORE or len(names) < len(classes) or len(colors) < len(classes):
        raise ValueError(
            f"{len(classes)} classes of {len(names)} names and {len(colors)} colours; there must be 1..{IGNORE} "
            "classes, no name or colour twice"
        )
    for color in [*colors, *([ignore] if isinstance(ignore, list) else [])]:
        if len(color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in color):
            raise ValueError(f"the colour {list(color)}; it must be [r, g, b], each in 0..255")
    if not isinstance(ignore, int | list | None):
        raise ValueError(f"ignore {ignore!r}; it must be an index, a colour or null")
