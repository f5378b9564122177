"""Photographs in a folder, without labels: what unsupervised training needs, and no more."""

from pathlib import Path

from index_builder.datasets.samples import Photograph, read_upright

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class ImageFolder:
    """Images of `root`, or of its folder `split` where there is one.

    Raises:
        ValueError: if there are none.
    """

    name = "images"

    def __init__(self, root: Path, split: str) -> None:
        folder = root / split if (root / split).is_dir() else root
        self.images = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
        if not self.images:
            raise ValueError(f"{folder} holds no image ({', '.join(SUFFIXES)}); give a folder that does with --root")

    def __len__(self) -> int:
        return len(self.images)

    def photograph(self, i: int) -> Photograph:
        return Photograph(read_upright(self.images[i]), f"images/{self.images[i].stem}")
