"""The format `pairs`: images and masks in one folder, with masks named as their images and an ending."""

from collections.abc import Sequence
from pathlib import Path

from model_store.class_info import ClassInfo
from model_store.images import UNLABELLED, MaskValues
from model_store.labelled.base import MaskedImages
from model_store.labelled.class_lists import is_void, listed_classes, read_names, read_rows
from model_store.labelled.folder import read_classes
from model_store.labelled.mask_values import found_classes, is_black_and_white
from model_store.labelled.splits import WHOLE, choose_split, is_usual
from model_store.labelled.survey import Survey, image_files, stem_key

ENDINGS = tuple(mark + word for word in ("mask", "masks", "label", "labels", "seg") for mark in "_-")
DOCUMENT, TABLE, LISTS = "classes.json", "_classes.csv", ("classes.txt", "labels.txt")
_KNOWN = (DOCUMENT, TABLE, *LISTS)


class Pairs(MaskedImages):
    """Images NAME.* with masks NAME_mask.*; also -mask, _label, _seg and the others of ENDINGS, in any case.

    The images are in the folder, or in folders that are named as splits (train, valid, ...); without these, every
    split is the whole folder. The first of these files, beside the images or one level up, states the classes:
    classes.json of the format `folder`; _classes.csv of Roboflow's semantic masks, with rows "index, name"; classes.txt
    or labels.txt, whose first line has the index 0. Index 255 is unlabelled, and so are names such as void. If a list
    has two names and all masks are black and white, 255 means the second name.

    Without such a file, all masks of the split are read, and the classes are the values in them: "class 0",
    "class 2", ... for indices, of which 255 is unlabelled; "background" and "foreground" if all are 0 or 255; and
    "#rrggbb" for colours, which masks with any colour have.

    Raises:
        ValueError: if there are no pairs, an image has two masks, the file of classes is malformed, or the masks have
            too many values for classes. Reading an image also raises it: if its mask has other values or another size.
    """

    name = "pairs"

    @classmethod
    def found(cls, root: Path) -> bool:
        return bool(_parts(root)) if root.is_dir() else False

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        parts = _parts(root)
        if not parts:
            raise ValueError(f"{root} has no image with a mask; name the mask of a.jpg a_mask.png, with an ending of "
                             f"{', '.join(ENDINGS)}")  # fmt: skip
        folder = parts[choose_split(split, parts, root)]
        self.pairs = _pairs(image_files(folder, self.survey, known=_KNOWN), self.survey)
        self.survey.use(image for image, _ in self.pairs)
        self.classes, self.values = self._classes([mask for _, mask in self.pairs], folder, root)

    def _classes(self, masks: Sequence[Path], *folders: Path) -> tuple[tuple[ClassInfo, ...], MaskValues]:
        """Classes, and the values that mean them in masks."""
        for name in _KNOWN:
            for file in (folder / name for folder in folders):
                if file.is_file() and name == DOCUMENT:
                    return read_classes(file)
                if file.is_file():
                    numbers = _table(file) if name == TABLE else dict(enumerate(read_names(file)))
                    return _listed(file, numbers, masks)
        found = found_classes(masks)
        self.survey.notes.append(f"the classes are the values in the masks: {found.told}; {DOCUMENT} can name them")
        return found.classes, found.values


def _parts(root: Path) -> dict[str, Path]:
    """The folders with images and masks by split."""
    if _has_pair(root):
        return {WHOLE: root}
    folders = sorted(entry for entry in root.glob("*") if entry.is_dir() and is_usual(entry.name))
    return {folder.name: folder for folder in folders if _has_pair(folder)}


def _has_pair(folder: Path) -> bool:
    files = image_files(folder, Survey(folder))
    stems = {stem_key(file.stem) for file in files}
    return any(_owner(stem) in stems for stem in stems)


def _owner(stem: str) -> str | None:
    """The stem of the image that a mask belongs to; None: it has no ending of masks."""
    return next((stem[: -len(ending)] for ending in ENDINGS if stem.lower().endswith(ending)), None)


def _pairs(files: list[Path], survey: Survey) -> list[tuple[Path, Path]]:
    """Pairs of images and masks. The survey notes files without a partner."""
    stems = {stem_key(file.stem) for file in files}
    owners = {_owner(stem) for stem in stems}
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for file in files:
        stem = stem_key(file.stem)
        owner = _owner(stem)
        if owner is not None and owner not in stems and stem not in owners:
            survey.skip(file, "a mask without an image")
            continue
        kind, key = (masks, owner) if owner is not None and owner in stems else (images, stem)
        if key in kind:
            what = "masks" if kind is masks else "images"
            raise ValueError(
                f"{kind[key].name} and {file.name} in {file.parent} are two {what} of one name; remove or rename one"
            )
        kind[key] = file
    for key in images.keys() - masks.keys():
        survey.skip(images[key], "no mask")
    return [(image, masks[key]) for key, image in images.items() if key in masks]


def _table(file: Path) -> dict[int, str]:
    """The names of _classes.csv by index. The first row is a heading."""
    found: dict[int, str] = {}
    for line, row in read_rows(file):
        if len(row) != 2 or not row[0].isdecimal() or not row[1] or int(row[0]) in found:
            raise ValueError(f"{file}: line {line} is {row}; it must be an index and a name, each index once")
        found[int(row[0])] = row[1]
    return found


def _listed(file: Path, names: dict[int, str], masks: Sequence[Path]) -> tuple[tuple[ClassInfo, ...], MaskValues]:
    """Classes that a file lists by index."""
    kept = {index: name for index, name in names.items() if not is_void(name)}
    classes = listed_classes(file, list(kept.values()))
    ids = {index: i for i, index in enumerate(kept)}
    if sorted(names) == [0, 1] and is_black_and_white(masks):
        by_index = {0: ids.get(0, UNLABELLED), 255: ids.get(1, UNLABELLED)}
    else:
        by_index = {255: UNLABELLED, **{index: ids.get(index, UNLABELLED) for index in names}}
    return classes, MaskValues(by_index, {}, {info.class_id: info.name for info in classes})
