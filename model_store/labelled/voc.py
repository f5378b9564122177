"""The format `voc`: PASCAL VOC's folders of class masks, also as CVAT and Datumaro write them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from model_store.class_info import ClassInfo
from model_store.images import SUFFIXES, UNLABELLED, MaskValues
from model_store.labelled.base import MaskedImages
from model_store.labelled.class_lists import is_void, listed_classes, read_text
from model_store.labelled.matching import by_path, pair_paths
from model_store.labelled.palette import Colour
from model_store.labelled.splits import choose_split
from model_store.labelled.survey import stem_key

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID_INDEX = 255  # of pixels on the border of objects


class _Label(NamedTuple):
    """A line of labelmap.txt; its place is the index in masks. colour: None: it is not stated."""

    name: str
    colour: Colour | None


class Voc(MaskedImages):
    """Images in JPEGImages/ with masks of the same name in SegmentationClass/ (the segmentation task of
    http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html).

    The masks have a palette, colours or indices. ImageSets/Segmentation/SPLIT.txt lists the images of a split, one name
    without suffix a line; "default.txt" alone, which CVAT writes, and no list at all mean that every split is the whole
    folder. The classes are the 21 of VOC with their colours, and `background` is one of them. labelmap.txt
    (https://docs.cvat.ai/docs/dataset_management/formats/format-smask) replaces them: its lines are
    "name:red,green,blue:parts:actions", and the place of a line is its index. Index 255, its colour and labels that
    are called void or ignored are unlabelled.

    Raises:
        ValueError: if a folder or a listed split is missing, labelmap.txt is malformed, or no image has a mask. Reading
            an image also raises it: if its mask has other values or another size.
    """

    name = "voc"

    @classmethod
    def found(cls, root: Path) -> bool:
        return _folder_of(root) is not None

    def __init__(self, root: Path, split: str) -> None:
        folder = _folder_of(root)
        if folder is None:
            raise ValueError(f"{root} is not in the format of VOC; it must have {MASKS}/ and {IMAGES}/")
        super().__init__(folder, split)
        file = folder / "labelmap.txt"
        if (folder / "dataset_meta.json").is_file() and not file.is_file():
            raise ValueError(
                f"{folder} describes its classes in dataset_meta.json; describe them in labelmap.txt instead"
            )
        labels = read_labelmap(file) if file.is_file() else _vocs_labels()
        self.classes, self.values = _classes(file, labels)
        if not (folder / IMAGES).is_dir():
            raise ValueError(f"{folder} has no folder {IMAGES}; put the images there, with the names of the masks")
        images, masks = by_path(folder / IMAGES, self.survey), by_path(folder / MASKS, self.survey)
        listed = _listed(folder, split)
        if listed is not None:
            listed = list(dict.fromkeys(name if name in images else _bare(name) for name in listed))
            for name in listed:
                if name not in images:
                    self.survey.skip(folder / IMAGES / name, "listed in the split, but there is no such image")
            images = {name: images[name] for name in listed if name in images}
            masks = {name: mask for name, mask in masks.items() if name in images}
        self.pairs = pair_paths(images, masks, self.survey)
        self.survey.use(image for image, _ in self.pairs)
        if not self.pairs:
            raise ValueError(f"no image of {folder / IMAGES} has a mask of its name in {folder / MASKS}; add masks")


def colour_of(index: int) -> Colour:
    """VOC's colour of an index: its bits, three at a time, are the upper bits of red, green and blue."""
    parts = [sum((index >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)]
    return parts[0], parts[1], parts[2]


def read_labelmap(file: Path) -> list[_Label]:
    """The labels of a labelmap.txt, in the order of their indices.

    Raises:
        ValueError: if a line is malformed. The message names it.
    """
    labels = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in line.split(":")]
        colour = _colour(fields[1]) if len(fields) == 4 and fields[1] else None
        if len(fields) != 4 or not fields[0] or (fields[1] and colour is None):
            raise ValueError(
                f"{file}: line {number} is {line.strip()[:80]!r}; it must be name:red,green,blue:parts:actions with a "
                "colour of 0..255, or without a colour"
            )
        labels.append(_Label(fields[0], colour))
    if labels and all(label.colour is None for label in labels):
        return [_Label(label.name, colour_of(i)) for i, label in enumerate(labels)]
    return labels


def _folder_of(root: Path) -> Path | None:
    """The folder with SegmentationClass/: `root`, or the only one of the challenge's archive (VOCdevkit/VOC2012)."""
    choices = [root, *sorted(root.glob("VOC20*")), *sorted(root.glob("VOCdevkit/VOC20*"))]
    found = [folder for folder in choices if (folder / MASKS).is_dir()]
    found = [folder for folder in found if any((folder / name).exists() for name in (IMAGES, LISTS, "labelmap.txt"))]
    return found[0] if found and (found[0] == root or len(found) == 1) else None


def _vocs_labels() -> list[_Label]:
    return [_Label(name, colour_of(i)) for i, name in enumerate(NAMES)]


def _classes(file: Path, labels: Sequence[_Label]) -> tuple[tuple[ClassInfo, ...], MaskValues]:
    """Classes, and the values that mean them in masks."""
    owner: dict[Colour, str] = {}
    for name, colour in labels:
        if colour is not None and owner.setdefault(colour, name) != name:
            raise ValueError(f"{file}: {owner[colour]} and {name} have one colour, {colour}; give each its own")
    kept = [label for label in labels if not is_void(label.name)]
    colours = {label.name: label.colour for label in kept if label.colour is not None}
    classes = listed_classes(file, [label.name for label in kept], colours)
    ids = {info.name: info.class_id for info in classes}
    by_index = {VOID_INDEX: UNLABELLED, **{i: ids.get(label.name, UNLABELLED) for i, label in enumerate(labels)}}
    by_colour = {colour_of(VOID_INDEX): UNLABELLED}
    by_colour.update({colour: ids.get(name, UNLABELLED) for colour, name in owner.items()})
    codes = {red * 65536 + green * 256 + blue: class_id for (red, green, blue), class_id in by_colour.items()}
    return classes, MaskValues(by_index, codes, {info.class_id: info.name for info in classes})


def _colour(text: str) -> Colour | None:
    parts = [int(part) for part in text.split(",") if part.strip().isdecimal()]
    if len(parts) != 3 or text.count(",") != 2 or max(parts) > 255:
        return None
    return parts[0], parts[1], parts[2]


def _bare(name: str) -> str:
    """A listed name without a suffix, which some tools add."""
    return name[: -len(suffix)] if (suffix := PurePosixPath(name).suffix).lower() in SUFFIXES else name


def _listed(folder: Path, split: str) -> list[str] | None:
    """The names that a split lists, in NFC; None: all images belong to every split."""
    files = {file.stem: file for file in sorted((folder / LISTS).glob("*.txt"))}
    if not files or set(files) == {"default"}:
        return None
    text = read_text(files[choose_split(split, files, folder / LISTS)])
    lines = (line.strip().strip('"') for line in text.splitlines())
    return list(dict.fromkeys(stem_key(line) for line in lines if line))
