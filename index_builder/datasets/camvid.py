"""CamVid in the layout of SegNet: images SPLIT/*.{png,jpg}, index masks SPLITannot/*.png with 11 for unlabelled."""

from pathlib import Path

import numpy as np

from index_builder.datasets.samples import IGNORE, Photograph, Sample, open_image
from model_store.card import ClassInfo

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


class CamVid:
    """CamVid frames and masks.

    The splits are the folders of `root` ("train", "val", "test") and two parts of train, for choices that must not be
    made on val. "held" is the last tenth of each drive, "fit" the rest. Frames of a drive are one second apart, so a
    random tenth would contain near copies of training images.

    Raises:
        ValueError: if a folder or mask is missing, or a mask has a value above 11 or differs in size from its image.
    """

    name = "camvid"
    classes = CLASSES

    def __init__(self, root: Path, split: str) -> None:
        self.split = split
        folder = "train" if split in ("fit", "held") else split
        self.images = sorted(f for f in (root / folder).glob("*") if f.suffix in (".png", ".jpg"))
        self.masks = root / f"{folder}annot"
        if not self.images:
            raise ValueError(
                f"{root / folder} has no .png or .jpg images; --root must contain the folders SPLIT/ and SPLITannot/, "
                "and the split must be one of them, or 'fit' or 'held' (parts of train)"
            )
        if split in ("fit", "held"):
            held = _last_tenths(self.images)
            self.images = [f for f in self.images if (f in held) == (split == "held")]

    def __len__(self) -> int:
        return len(self.images)

    def photograph(self, i: int) -> Photograph:
        with open_image(self.images[i]) as opened:
            return Photograph(np.asarray(opened.convert("RGB")), f"camvid/{self.split}/{self.images[i].stem}")

    def __getitem__(self, i: int) -> Sample:
        file = self.images[i]
        mask = self.masks / f"{file.stem}.png"
        if not mask.exists():
            raise ValueError(f"{mask}, the mask of {file}, is missing; add it, or remove the image")
        image, source = self.photograph(i)
        with open_image(mask) as opened:
            labels = np.array(opened)
        if labels.shape != image.shape[:2] or labels.max() > UNLABELLED:
            raise ValueError(
                f"{mask} has shape {labels.shape} and values up to {labels.max()}; replace it by an index mask of "
                f"shape {image.shape[:2]} with values 0..{UNLABELLED}"
            )
        labels[labels == UNLABELLED] = IGNORE
        return Sample(image, labels, source)


def _last_tenths(images: list[Path]) -> set[Path]:
    """The last tenth of the frames of each drive. The name of a file begins with its drive."""
    drives: dict[str, list[Path]] = {}
    for file in images:
        drives.setdefault(file.stem.split("_")[0], []).append(file)
    return {file for frames in drives.values() for file in frames[len(frames) - round(len(frames) / 10) :]}
