"""Writes the sample images of the page: `python -m tools.samples NUCLEI`, the folder of the nuclei data set."""

import sys
from pathlib import Path

from PIL import Image

from index_builder.datasets import open_dataset

SAMPLES = Path(__file__).parents[1] / "service" / "static" / "samples"
STREETS = (1, 3, 5, 6)  # of the painted validation set, whose images are no exemplars
NUCLEI = ("020", "022", "028", "002", "004", "018")  # of its validation set
QUALITY = 88  # of 100


def main() -> None:
    """Write the painted streets and, if its folder is given, the nuclei."""
    SAMPLES.mkdir(exist_ok=True)
    streets = open_dataset("streets", None, "val", count=max(STREETS) + 1)
    for number, i in enumerate(STREETS, 1):
        _write(Image.fromarray(streets[i].image), f"streets-{number}.webp")
    for folder in map(Path, sys.argv[1:2]):
        for number, name in enumerate(NUCLEI, 1):
            with Image.open(folder / "images" / "val" / f"{name}.png") as image:
                _write(image.convert("RGB"), f"nuclei-{number}.webp")


def _write(image: Image.Image, name: str) -> None:
    image.save(SAMPLES / name, "WEBP", quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
