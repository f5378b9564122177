"""The format `folder`: images/, masks/ and classes.json in one folder."""

import json
from pathlib import Path
from typing import Any

from model_store.class_info import ClassInfo
from model_store.class_names import check_names
from model_store.images import SUFFIXES, MaskValues
from model_store.labelled.base import MaskedImages
from model_store.labelled.samples import IGNORE
from model_store.labelled.survey import image_files, is_leftover, pair


class Folder(MaskedImages):
    """Images in images/, masks with the same stem in masks/, and classes.json.

    classes.json: {"classes": [{"name": "road", "color": [128, 64, 128]}, ...], "ignore": 255}. The id of a class is its
    "id", or its position in the list if no class has an "id". "ignore" is the index or the colour of unlabelled pixels,
    or null. The split is a subfolder images/SPLIT with masks/SPLIT; without subfolders every split is the whole folder.
    `model_store.images.labels_of` describes the masks.

    Raises:
        ValueError: if a file is missing or wrong; the message names the file.
    """

    name = "folder"

    @classmethod
    def found(cls, root: Path) -> bool:
        return (root / "classes.json").is_file() and (root / "images").is_dir()

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        self.classes, self.values = read_classes(root / "classes.json")
        images, masks = root / "images", root / "masks"
        parts = sorted(entry.name for entry in images.glob("*") if entry.is_dir() and not is_leftover(Path(entry.name)))
        if split in parts:
            images, masks = images / split, masks / split
        elif parts:
            raise ValueError(f"split {split!r} is not a folder of {images}; choose {', '.join(parts)}")
        found = image_files(images, self.survey)
        if not found:
            raise ValueError(f"{images} has no images ({', '.join(SUFFIXES)}); put them there")
        self.pairs = pair(found, image_files(masks, self.survey), self.survey)
        self.survey.use(image for image, _ in self.pairs)
        if not self.pairs:
            raise ValueError(f"no image of {images} has a mask of its name in {masks}; add masks, for example "
                             f"{masks / (found[0].stem + '.png')}")  # fmt: skip


def read_classes(file: Path) -> tuple[tuple[ClassInfo, ...], MaskValues]:
    """Read classes.json, see `Folder`.

    Raises:
        ValueError: if it is missing or wrong.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
        entries, ignore = document["classes"], document.get("ignore")
        classes = tuple(
            ClassInfo(class_id=i, name=entry["name"], color=tuple(entry["color"])) for i, entry in enumerate(entries)
        )
        _check(classes, ignore)
        values = MaskValues.of(classes, ignore, _indices(entries, ignore))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{file} cannot be used ({error}); it must contain {{"classes": [{{"name": ..., "color": [r, g, b]}}, '
            '...], "ignore": index, [r, g, b] or null}'
        ) from error
    return classes, values


def _indices(entries: list[dict[str, Any]], ignore: Any) -> list[int] | None:
    """The "id" of each class, or None if no class has one."""
    given = [entry.get("id") for entry in entries]
    if all(number is None for number in given):
        return None
    indices = [number for number in given if isinstance(number, int) and 0 <= number <= 65535]
    if len(indices) < len(entries) or len(set(indices)) < len(entries) or ignore in indices:
        raise ValueError(f'the "id" of the classes are {given}, and "ignore" is {ignore}; give each class another id')
    return indices


def _check(classes: tuple[ClassInfo, ...], ignore: Any) -> None:
    """Check that names and colours are unique and valid."""
    check_names([info.name for info in classes])
    colors = {info.color for info in classes}
    if not 1 <= len(classes) <= IGNORE or len(colors) < len(classes):
        raise ValueError(
            f"{len(classes)} classes with {len(colors)} colours; give 1..{IGNORE} classes with different colours"
        )
    for color in [*colors, *([ignore] if isinstance(ignore, list) else [])]:
        if len(color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in color):
            raise ValueError(f"the colour {list(color)} is not [r, g, b], each in 0..255")
    if not isinstance(ignore, int | list | None):
        raise ValueError(f"ignore is {ignore!r}; it must be an index, a colour or null")
