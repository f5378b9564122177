"""The format `cityscapes`: leftImg8bit/ and gtFine/ with the label maps of Cityscapes."""

from pathlib import Path

from model_store.class_info import ClassInfo
from model_store.images import UNLABELLED, MaskValues
from model_store.labelled.base import MaskedImages
from model_store.labelled.class_lists import is_void, listed_classes, read_text
from model_store.labelled.matching import by_path, pair_paths
from model_store.labelled.palette import Colour
from model_store.labelled.splits import choose_split
from model_store.labelled.survey import Survey, is_leftover

IMAGES, ENDING = ("leftImg8bit", "imgsFine/leftImg8bit"), "_leftImg8bit"
MASKS = ("gtFine", "gtCoarse")
HIGHEST = 33  # label id
LICENCE_PLATE = 255  # the label id -1, as a byte
TABLE: dict[int, tuple[str, Colour]] = {
    7: ("road", (128, 64, 128)), 8: ("sidewalk", (244, 35, 232)), 11: ("building", (70, 70, 70)),
    12: ("wall", (102, 102, 156)), 13: ("fence", (190, 153, 153)), 17: ("pole", (153, 153, 153)),
    19: ("traffic light", (250, 170, 30)), 20: ("traffic sign", (220, 220, 0)), 21: ("vegetation", (107, 142, 35)),
    22: ("terrain", (152, 251, 152)), 23: ("sky", (70, 130, 180)), 24: ("person", (220, 20, 60)),
    25: ("rider", (255, 0, 0)), 26: ("car", (0, 0, 142)), 27: ("truck", (0, 0, 70)), 28: ("bus", (0, 60, 100)),
    31: ("train", (0, 80, 100)), 32: ("motorcycle", (0, 0, 230)), 33: ("bicycle", (119, 11, 32)),
}  # fmt: skip
CLASSES = tuple(
    ClassInfo(class_id=i, name=name, color=color) for i, (name, color) in enumerate(TABLE.values())
)  # in the order of their train ids


class Cityscapes(MaskedImages):
    """Images leftImg8bit/SPLIT/CITY/*_leftImg8bit.png with masks gtFine/SPLIT/CITY/*_gtFine_labelIds.png.

    Masks *_labelTrainIds.png are taken if there are no labelIds, and gtCoarse/ if there is no gtFine/. The classes are
    the 19 with a train id in the table of Cityscapes
    (https://github.com/mcordts/cityscapesScripts/blob/master/cityscapesscripts/helpers/labels.py); all other label ids
    are unlabelled. label_colors.txt, which CVAT and Datumaro write, replaces the table: its lines are
    "red green blue name", and the place of a line is the label id.

    Raises:
        ValueError: if a folder or the split is missing, label_colors.txt is malformed, or no image has a mask. Reading
            an image also raises it: if its mask has other values or another size.
    """

    name = "cityscapes"

    @classmethod
    def found(cls, root: Path) -> bool:
        return _existing(root, IMAGES) is not None and _existing(root, MASKS) is not None

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        images, masks = _existing(root, IMAGES), _existing(root, MASKS)
        if images is None or masks is None:
            raise ValueError(f"{root} is not in the format of Cityscapes; it must have leftImg8bit/ and gtFine/")
        part = choose_split(split, _folders(images) & _folders(masks), root)
        expected = by_path(images / part, self.survey, ENDING)
        found, trained = _masks(masks / part, masks.name)
        self.classes, self.values = _classes(root / "label_colors.txt", trained)
        self.pairs = pair_paths(expected, found, self.survey)
        self.survey.use(image for image, _ in self.pairs)
        if not self.pairs:
            raise ValueError(
                f"no image CITY/*{ENDING}.png of {images / part} has a mask CITY/*_{masks.name}_labelIds.png in "
                f"{masks / part}; add masks"
            )


def _existing(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _folders(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.is_dir() and not is_leftover(Path(entry.name))}


def _masks(folder: Path, kind: str) -> tuple[dict[str, Path], bool]:
    """The masks below a folder by city and name, and whether they have train ids."""
    aside = Survey(folder)  # colours, instances and polygons beside the masks are no news
    found = by_path(folder, aside, f"_{kind}_labelIds")
    return (found, False) if found else (by_path(folder, aside, f"_{kind}_labelTrainIds"), True)


def _classes(file: Path, trained: bool) -> tuple[tuple[ClassInfo, ...], MaskValues]:
    """Classes, and the values that mean them in masks."""
    if file.is_file():
        return _listed(file)
    numbers = range(len(CLASSES)) if trained else TABLE
    by_index = {} if trained else dict.fromkeys(range(HIGHEST + 1), UNLABELLED)
    by_index |= {LICENCE_PLATE: UNLABELLED, **{number: i for i, number in enumerate(numbers)}}
    return CLASSES, MaskValues(by_index, {}, {info.class_id: info.name for info in CLASSES})


def _listed(file: Path) -> tuple[tuple[ClassInfo, ...], MaskValues]:
    """The classes of label_colors.txt. Labels that are called void or unlabelled are none."""
    lines = [(number, line.split(maxsplit=3)) for number, line in enumerate(read_text(file).splitlines(), 1)]
    names: list[str] = []
    colours: dict[str, Colour] = {}
    for number, parts in lines:
        if not parts or parts[0].startswith("#"):
            continue
        values = [int(part) for part in parts[:3] if part.isdecimal() and int(part) <= 255]
        if len(parts) != 4 or len(values) != 3:
            raise ValueError(f"{file}: line {number} is {' '.join(parts)[:80]!r}; it must be: red green blue name")
        names.append(parts[3].strip())
        colours[names[-1]] = (values[0], values[1], values[2])
    classes = listed_classes(file, [name for name in names if not is_void(name)], colours)
    ids = {info.name: info.class_id for info in classes}
    by_index = {LICENCE_PLATE: UNLABELLED, **{i: ids.get(name, UNLABELLED) for i, name in enumerate(names)}}
    return classes, MaskValues(by_index, {}, {info.class_id: info.name for info in classes})
