"""Image files that the benchmarks of the service send: painted streets in several formats and sizes."""

import io
from collections.abc import Iterator
from itertools import cycle
from typing import Literal

from PIL import Image

from index_builder.datasets import open_dataset

Kind = Literal["JPEG", "PNG", "WEBP"]
USUAL = (480, 360)
MIXED: tuple[tuple[Kind, tuple[int, int]], ...] = (
    ("JPEG", (480, 360)),
    ("PNG", (320, 240)),
    ("JPEG", (640, 480)),
    ("WEBP", (200, 500)),
    ("JPEG", (1024, 768)),
    ("JPEG", (64, 48)),
    ("PNG", (33, 700)),
    ("JPEG", (1600, 1200)),
)


def encoded(image: Image.Image, size: tuple[int, int], kind: Kind = "JPEG") -> bytes:
    """Encode an image as a file of the given size, (width, height) in pixels."""
    file = io.BytesIO()
    image.convert("RGB").resize(size).save(file, kind, quality=90)
    return file.getvalue()


def streets(count: int) -> list[Image.Image]:
    """Painted streets that are not exemplars of the bundled release."""
    dataset = open_dataset("streets", None, "val", count=count)
    return [Image.fromarray(dataset[n].image) for n in range(count)]


def photographs(count: int = 8, size: tuple[int, int] = USUAL) -> list[bytes]:
    """JPEG files of different streets, all of one size."""
    return [encoded(image, size) for image in streets(count)]


def mixed(count: int = 4) -> Iterator[tuple[bytes, str]]:
    """Endless stream of files in the formats and sizes of MIXED, with their media types."""
    files = [(encoded(image, size, kind), f"image/{kind.lower()}") for image in streets(count) for kind, size in MIXED]
    return cycle(files)
