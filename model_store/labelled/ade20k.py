"""The format `ade20k`: the scene parsing benchmark of ADE20K, images/ and annotations/ with indices from 1."""

from pathlib import Path

from model_store.class_info import ClassInfo
from model_store.images import SUFFIXES, UNLABELLED, MaskValues, read_indices
from model_store.labelled.base import MaskedImages
from model_store.labelled.class_lists import listed_classes, read_names, read_rows
from model_store.labelled.matching import by_path, pair_paths
from model_store.labelled.splits import choose_split, is_usual

TABLES, LIST = ("objectInfo150.txt", "objectInfo150.csv"), "classes.txt"
HIGHEST = 255  # index


class Ade20k(MaskedImages):
    """Images images/SPLIT/*.jpg with masks annotations/SPLIT/*.png, as in ADEChallengeData2016
    (https://github.com/CSAILVision/sceneparsing).

    Masks have indices; 0 is unlabelled. The split is "training" or "validation"; "train" and "val" mean them, too. The
    names of the classes are the first name of each line of objectInfo150.txt, or the lines of classes.txt, whose first
    line has the index 1. Without such a file the classes are "class 1", "class 2", ... up to the largest index in the
    masks of the split, which are all read for it. sceneCategories.txt is not used.

    Raises:
        ValueError: if the split is missing, a file of names is malformed, or no image has a mask. Reading an image also
            raises it: if its mask has other values or another size.
    """

    name = "ade20k"

    @classmethod
    def found(cls, root: Path) -> bool:
        folder = _folder_of(root)
        return any(
            file.suffix.lower() in SUFFIXES
            for part in _parts(folder)
            for file in (folder / "annotations" / part).glob("*")
        )

    def __init__(self, root: Path, split: str) -> None:
        folder = _folder_of(root)
        super().__init__(folder, split)
        parts = _parts(folder)
        if not parts:
            raise ValueError(
                f"{root} is not in the format of ADE20K; it must have images/training/ and annotations/training/, or "
                "images/validation/ and annotations/validation/"
            )
        part = choose_split(split, parts, folder)
        images, masks = folder / "images" / part, folder / "annotations" / part
        self.pairs = pair_paths(by_path(images, self.survey), by_path(masks, self.survey), self.survey)
        self.survey.use(image for image, _ in self.pairs)
        if not self.pairs:
            raise ValueError(f"no image of {images} has a mask of its name in {masks}; add masks")
        self.classes, numbers = _classes(folder, [mask for _, mask in self.pairs])
        by_index = {0: UNLABELLED, **{number: i for i, number in enumerate(numbers)}}
        self.values = MaskValues(by_index, {}, {info.class_id: info.name for info in self.classes})


def _folder_of(root: Path) -> Path:
    """The folder of the data: `root`, or the folder of the benchmark's archive in it."""
    inner = root / "ADEChallengeData2016"
    return inner if inner.is_dir() else root


def _parts(folder: Path) -> set[str]:
    """The splits with images and annotations."""
    images, masks = (
        {entry.name for entry in (folder / name).glob("*") if entry.is_dir()} for name in ("images", "annotations")
    )
    return {part for part in images & masks if is_usual(part)}


def _classes(folder: Path, masks: list[Path]) -> tuple[tuple[ClassInfo, ...], list[int]]:
    """Classes, and the index of each in masks."""
    for file in (folder / name for name in TABLES):
        if file.is_file():
            return _table(file)
    file = folder / LIST
    if file.is_file():
        names = read_names(file)
    else:
        highest = max(int(read_indices(mask).max()) for mask in masks)
        if not 1 <= highest < HIGHEST:
            raise ValueError(
                f"the largest index in the masks of {masks[0].parent} is {highest}, and 1..{HIGHEST - 1} is allowed; "
                f"name the classes in {TABLES[0]} or {LIST}"
            )
        names = [f"class {i}" for i in range(1, highest + 1)]
    return listed_classes(file, names), list(range(1, len(names) + 1))


def _table(file: Path) -> tuple[tuple[ClassInfo, ...], list[int]]:
    """The classes of objectInfo150: rows with an index first and names last. The first row is a heading."""
    found: dict[int, str] = {}
    for line, row in read_rows(file, "," if file.suffix == ".csv" else "\t"):
        index = int(row[0]) if row[0].isdecimal() else 0
        if len(row) < 2 or not row[-1] or not 1 <= index <= 65535 or index in found:
            raise ValueError(
                f"{file}: line {line} is {row!r:.80}; it must be a row whose first field is an index from 1 on, each "
                "once, and whose last field has the names"
            )
        found[index] = row[-1]
    order = sorted(found)
    short = [found[index].replace(";", ",").split(",")[0].strip() for index in order]
    names = short if len(set(short)) == len(short) else [found[index] for index in order]
    return listed_classes(file, names), order
