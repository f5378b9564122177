"""The data set `folder`: images/, masks/ and classes.json in one folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from index_builder.datasets.samples import IGNORE, Photograph, Sample, open_image, read_upright
from model_store.card import ClassInfo

_INDEXED = ("P", "L", "1", "I", "I;16")  # modes in which Pillow opens index masks
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


class Folder:
    """Images in images/, masks with the same stem in masks/ (PNG, index or RGB), and classes.json.

    classes.json: {"classes": [{"name": "road", "color": [128, 64, 128]}, ...], "ignore": 255}. The id of a class is its
    position in the list. "ignore" is the index or the colour of unlabelled pixels, or null. The split is a subfolder
    images/SPLIT with masks/SPLIT; without subfolders every split is the whole folder.

    Raises:
        ValueError: if a file is missing or wrong; the message names the file.
    """

    name = "folder"

    def __init__(self, root: Path, split: str) -> None:
        self.split, self.folder = split, root.resolve().name
        self.classes, self._ignore = _read_classes(root / "classes.json")
        images, masks = root / "images", root / "masks"
        if (images / split).is_dir():
            images, masks = images / split, masks / split
        elif any(entry.is_dir() for entry in images.glob("*")):
            names = sorted(entry.name for entry in images.glob("*") if entry.is_dir())
            raise ValueError(f"split {split!r} is not a folder of {images}; choose {', '.join(names)}")
        self.images = sorted(file for file in images.glob("*") if file.suffix.lower() in _SUFFIXES)
        self.masks = masks
        if not self.images:
            raise ValueError(f"{images} has no images ({', '.join(_SUFFIXES)}); put them there")

    def __len__(self) -> int:
        return len(self.images)

    def photograph(self, i: int) -> Photograph:
        return Photograph(read_upright(self.images[i]), f"folder/{self.split}/{self.images[i].stem}")

    def __getitem__(self, i: int) -> Sample:
        file = self.images[i]
        mask_file = self.masks / f"{file.stem}.png"
        if not mask_file.exists():
            raise ValueError(f"{mask_file}, the mask of {file}, is missing; add it, or remove the image")
        image, source = self.photograph(i)
        with open_image(mask_file) as opened:
            mask = np.asarray(opened if opened.mode in _INDEXED else opened.convert("RGB"))
        if mask.shape[:2] != image.shape[:2]:
            raise ValueError(
                f"{mask_file} is {mask.shape[1]}x{mask.shape[0]}, its image {image.shape[1]}x{image.shape[0]}; "
                "replace it by a mask of the size of the upright image"
            )
        return Sample(image, self._labels(mask, mask_file), source)

    def _labels(self, mask: np.ndarray, file: Path) -> np.ndarray:
        """Convert a mask of [H, W] indices or [H, W, 3] colours to [H, W] uint8 class ids."""
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
                    f"{file} has the value {seen}, which is not a class; classes.json allows {', '.join(allowed)}; "
                    "add the class there, or set ignore to this value"
                )
            labels[code == value] = numbers[int(value)]
        return labels


def _code(color: Any) -> int:
    red, green, blue = color
    return int(red) * 65536 + int(green) * 256 + int(blue)


def _read_classes(file: Path) -> tuple[tuple[ClassInfo, ...], int | list[int] | None]:
    try:
        document = json.loads(file.read_text())
        entries = document["classes"]
        classes = tuple(
            ClassInfo(class_id=i, name=entry["name"], color=tuple(entry["color"])) for i, entry in enumerate(entries)
        )
        _check(classes, document.get("ignore"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} cannot be used ({error}); it must contain {{"classes": [{{"name": ..., "color": [r, g, b]}}, '
            '...], "ignore": index, [r, g, b] or null}'
        ) from error
    return classes, document.get("ignore")


def _check(classes: tuple[ClassInfo, ...], ignore: Any) -> None:
    """Check that names and colours are unique and valid."""
    names, colors = {info.name for info in classes}, {info.color for info in classes}
    if not 1 <= len(classes) <= IGNORE or len(names) < len(classes) or len(colors) < len(classes):
        raise ValueError(
            f"{len(classes)} classes with {len(names)} names and {len(colors)} colours; give 1..{IGNORE} classes with "
            "different names and colours"
        )
    for color in [*colors, *([ignore] if isinstance(ignore, list) else [])]:
        if len(color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in color):
            raise ValueError(f"the colour {list(color)} is not [r, g, b], each in 0..255")
    if not isinstance(ignore, int | list | None):
        raise ValueError(f"ignore is {ignore!r}; it must be an index, a colour or null")
