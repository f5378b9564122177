"""The data set `images`: a folder of image files without labels, for unsupervised training."""

from collections.abc import Sequence
from pathlib import Path

from model_store.images import SUFFIXES, read_image
from model_store.labelled.samples import Photograph
from model_store.labelled.survey import Survey, image_files


class ImageFolder:
    """Images of `root`, or of its subfolder `split` if it has one.

    Raises:
        ValueError: if there are none.
    """

    name = "images"

    def __init__(self, root: Path, split: str) -> None:
        self.folder = root.resolve().name
        folder = root / split if (root / split).is_dir() else root
        self.survey = Survey(folder)
        self.images = image_files(folder, self.survey)
        self.survey.use(self.images)
        if not self.images:
            raise ValueError(f"{folder} has no images ({', '.join(SUFFIXES)}); give a folder of images with --root")

    def __len__(self) -> int:
        return len(self.images)

    def keep(self, chosen: Sequence[int]) -> None:
        """Keep some of the images."""
        self.images = [self.images[i] for i in chosen]

    def photograph(self, i: int) -> Photograph:
        return Photograph(read_image(self.images[i]).pixels, f"images/{self.images[i].stem}")
