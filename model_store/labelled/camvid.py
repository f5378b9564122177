"""CamVid in the layout of SegNet: images SPLIT/*.{png,jpg}, index masks SPLITannot/*.png with 11 for unlabelled."""

import re
from pathlib import Path
from typing import NamedTuple

from model_store.class_info import ClassInfo
from model_store.images import MaskValues
from model_store.labelled.base import MaskedImages
from model_store.labelled.survey import image_files, pair

UNLABELLED = 11
CLASSES = tuple(
    ClassInfo(class_id=class_id, name=name, color=color)
    for class_id, (name, color) in enumerate(
        {
            "sky": (128, 128, 128),
            "building": (128, 0, 0),
            "pole": (192, 192, 128),
            "road": (128, 64, 128),
            "pavement": (60, 40, 222),
            "tree": (128, 128, 0),
            "sign": (192, 128, 128),
            "fence": (64, 64, 128),
            "car": (64, 0, 128),
            "pedestrian": (64, 64, 0),
            "bicyclist": (0, 128, 192),
        }.items()
    )
)


class CamVid(MaskedImages):
    """CamVid frames and masks.

    The splits are the folders of `root` ("train", "val", "test") and parts of train:

    - "held" is the last tenth of each drive, "fit" the rest, for choices that must not be made on val. Frames of a
      drive are one second apart, so a random tenth would contain near copies of training images.
    - "only-DRIVE" is one drive, such as "only-0016E5", and "without-DRIVE" all others. "fit-without-DRIVE" and
      "held-without-DRIVE" are parts of the latter. They measure on streets that training has never seen.

    Raises:
        ValueError: if a folder has no images. Reading an image also raises it: if its mask has a value above 11 or
            another size.
    """

    name = "camvid"
    classes = CLASSES
    values = MaskValues.of(CLASSES, UNLABELLED)

    @classmethod
    def found(cls, root: Path) -> bool:
        return root.is_dir() and any(root.glob("*annot"))

    def __init__(self, root: Path, split: str) -> None:
        super().__init__(root, split)
        part = Part.of(split)
        folder = "train" if part else split
        is_part = folder in {entry.name for entry in root.glob("*") if entry.is_dir()}  # not a path to somewhere else
        images = image_files(root / folder, self.survey) if is_part else []
        if not images:
            raise ValueError(
                f"{root / folder} has no images; --root must contain the folders SPLIT/ and SPLITannot/, and the split "
                "must be one of them, or a part of train: 'fit', 'held', 'only-DRIVE', 'without-DRIVE', "
                "'fit-without-DRIVE', 'held-without-DRIVE'"
            )
        masks = image_files(root / f"{folder}annot", self.survey)
        if part:
            images = part.choose(images)
            masks = [mask for mask in masks if mask.stem in {file.stem for file in images}]
        self.pairs = pair(images, masks, self.survey)
        self.survey.use(image for image, _ in self.pairs)


class Part(NamedTuple):
    """A part of CamVid train.

    tenths: "fit", "held", or "" for all frames of a drive; drive: the drive that `only` keeps and that is left out
    otherwise, "" if all drives are used.
    """

    tenths: str
    only: bool
    drive: str

    @classmethod
    def of(cls, split: str) -> "Part | None":
        """The part that a split names; None if it names a folder."""
        if split in ("fit", "held"):
            return cls(split, False, "")
        named = re.fullmatch(r"(?:(fit|held)-)?without-(\w+)|only-(\w+)", split)
        return cls(named[1] or "", bool(named[3]), named[2] or named[3]) if named else None

    def choose(self, images: list[Path]) -> list[Path]:
        """Frames of this part, in their order.

        Raises:
            ValueError: if no frame is of the named drive.
        """
        drives = {drive_of(file) for file in images}
        if self.drive and self.drive not in drives:
            raise ValueError(f"drive {self.drive!r} is not in train; name one of {', '.join(sorted(drives))}")
        chosen = [file for file in images if not self.drive or (drive_of(file) == self.drive) == self.only]
        if not self.tenths:
            return chosen
        held = _last_tenths(chosen)
        return [file for file in chosen if (file in held) == (self.tenths == "held")]


def drive_of(file: Path) -> str:
    """The drive of a frame: the first part of its name."""
    return file.stem.split("_")[0]


def _last_tenths(images: list[Path]) -> set[Path]:
    """The last tenth of the frames of each drive."""
    drives: dict[str, list[Path]] = {}
    for file in images:
        drives.setdefault(drive_of(file), []).append(file)
    return {file for frames in drives.values() for file in frames[len(frames) - round(len(frames) / 10) :]}
