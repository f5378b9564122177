"""CamVid in the layout of SegNet: images SPLIT/*.{png,jpg}, index masks SPLITannot/*.png with 11 for unlabelled."""

from pathlib import Path

from model_store.card import ClassInfo
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

    The splits are the folders of `root` ("train", "val", "test") and two parts of train, for choices that must not be
    made on val. "held" is the last tenth of each drive, "fit" the rest. Frames of a drive are one second apart, so a
    random tenth would contain near copies of training images.

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
        folder = "train" if split in ("fit", "held") else split
        images = image_files(root / folder, self.survey) if (root / folder).is_dir() else []
        if not images:
            raise ValueError(
                f"{root / folder} has no images; --root must contain the folders SPLIT/ and SPLITannot/, and the split "
                "must be one of them, or 'fit' or 'held' (parts of train)"
            )
        if split in ("fit", "held"):
            held = _last_tenths(images)
            images = [file for file in images if (file in held) == (split == "held")]
        masks = image_files(root / f"{folder}annot", self.survey)
        if split in ("fit", "held"):
            masks = [mask for mask in masks if mask.stem in {file.stem for file in images}]
        self.pairs = pair(images, masks, self.survey)
        self.survey.use(image for image, _ in self.pairs)


def _last_tenths(images: list[Path]) -> set[Path]:
    """The last tenth of the frames of each drive. The name of a file begins with its drive."""
    drives: dict[str, list[Path]] = {}
    for file in images:
        drives.setdefault(file.stem.split("_")[0], []).append(file)
    return {file for frames in drives.values() for file in frames[len(frames) - round(len(frames) / 10) :]}
