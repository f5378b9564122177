"""The data set `images`: a folder of image files without labels, for unsupervised training."""

from pathlib import Path

from index_builder.datasets.samples import Photograph, read_upright

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class ImageFolder:
    """Images of `root`, or of its subfolder `split` if it has one.

    Raises:
        ValueError: if there are none.
    """

    name = "images"

    def __init__(self, root: Path, split: str) -> None:
        self.folder = root.resolve().name
        folder = root / split if (root / split).is_dir() else root
        self.images = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
        if not self.images:
            raise ValueError(f"{folder} has no images ({', '.join(SUFFIXES)}); give a folder of images with --root")

    def __len__(self) -> int:
        return len(self.images)

    def photograph(self, i: int) -> Photograph:
        return Photograph(read_upright(self.images[i]), f"images/{self.images[i].stem}")
