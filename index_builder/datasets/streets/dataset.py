"""The data set `streets`: painted scenes numbered by seeds, with nothing to download and free to publish."""

from index_builder.datasets.streets.painter import paint_street
from model_store.labelled import CAMVID_CLASSES as CLASSES
from model_store.labelled import Photograph, Sample

FIRST_SEEDS = {"train": 0, "val": 10_000_000, "test": 20_000_000}
MAX_COUNT = 10_000_000  # seeds between two splits


class Streets:
    """Painted streets with the classes of CamVid, 480x360 pixels.

    Args:
        split: "train", "val" or "test". Their seeds do not overlap.
        count: number of images.

    Raises:
        ValueError: if the split is unknown or the count is not in 1..10,000,000.
    """

    name = "streets"
    classes = CLASSES
    licence = "painted by this project: Apache-2.0"

    def __init__(self, split: str, count: int) -> None:
        if split not in FIRST_SEEDS:
            raise ValueError(f"split {split!r} of streets is not known; choose {', '.join(FIRST_SEEDS)}")
        if not 1 <= count <= MAX_COUNT:
            raise ValueError(f"count={count} is not allowed; choose a number of streets from 1 to {MAX_COUNT:,}")
        self.split, self.count = split, count

    def __len__(self) -> int:
        return self.count

    def photograph(self, i: int) -> Photograph:
        """Image i without its labels."""
        sample = self[i]
        return Photograph(sample.image, sample.source)

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < self.count:
            raise IndexError(f"street {i} does not exist; the positions are 0..{self.count - 1}")
        image, labels = paint_street(FIRST_SEEDS[self.split] + i)
        return Sample(image, labels, f"streets/{self.split}/{i:06d}")
