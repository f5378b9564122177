"""Results to export: random segments with holes, single pixels, parts at the edge, and names that need care."""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from model_store.card import ClassInfo
from model_store.exporting import ExportImage, ExportSegment
from model_store.labelled import IGNORE

CLASSES = (
    ClassInfo(class_id=0, name="Straße", color=(128, 64, 128)),
    ClassInfo(class_id=1, name='sky, "blue" & <clear>', color=(70, 130, 180)),
    ClassInfo(class_id=2, name="nowhere", color=(10, 200, 30)),  # no segment has it
    ClassInfo(class_id=3, name="木 🌲", color=(0, 0, 0)),
)
NAMES = ("Größe 1.png", "図.jpg", "photo.png", "Photo.PNG")  # the last two differ in their case only
WRITTEN = ("Größe 1.png", "図.jpg", "photo.png", "Photo_2.PNG")


def blobs(seed: int, size: tuple[int, int]) -> np.ndarray:
    """[H, W] int32, positions of segments 0..6, -1 outside.

    Segments 0, 1 and 2 are smooth blobs and have holes, parts, and sides at the edge; 3 is one pixel, and a hole in
    others; 4 are pixels that touch at corners; 5 is unknown; 6 has no pixel.
    """
    rng = np.random.default_rng(seed)
    fields = np.stack([ndimage.gaussian_filter(rng.normal(size=size), 1.5) for _ in range(4)])
    labels = fields.argmax(axis=0).astype(np.int32)
    labels[labels == 3] = -1
    labels[rng.random(size) < 0.03] = rng.integers(-1, 3)  # holes and specks
    H, W = size
    labels[2 : H // 2, 2 : W // 3] = 5
    labels[H // 2 : H // 2 + 4, W // 2 : W // 2 + 4][np.eye(4, dtype=bool)] = 4
    labels[H - 1, W - 1] = 3
    return labels


def segments(image: str) -> list[ExportSegment]:
    """The labels of the segments of `blobs`."""
    return [
        ExportSegment(f"{image}-0", 0, 0.9, True, ("e1", "e2")),
        ExportSegment(f"{image}-1", 1, 0.61239, True, ("e3",)),
        ExportSegment(f"{image}-2", 0, None, True),
        ExportSegment(f"{image}-3", 3, 1.0, True),
        ExportSegment(f"{image}-4", 1, 0.5, True),
        ExportSegment(f"{image}-5", 3, 0.4, False, ("e4",)),
        ExportSegment(f"{image}-6", 1, 0.7, True),
    ]


def image_file(size: tuple[int, int], seed: int = 0, suffix: str = ".png") -> bytes:
    """An image file of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG" if suffix == ".jpg" else "PNG")
        return file.getvalue()


def results(count: int = len(NAMES)) -> list[ExportImage]:
    """Images of several sizes with their files."""
    sizes = [(37, 53), (24, 31), (40, 18), (16, 16)]
    found = []
    for i, (name, size) in enumerate(zip(NAMES[:count], sizes[:count], strict=True)):
        file = image_file(size, i, name[-4:].lower())
        found.append(ExportImage(name, blobs(i, size), segments(f"image{i}"), f"image{i}", content=file))
    return found


def expected_labels(image: ExportImage) -> np.ndarray:
    """[H, W] uint8, class id of each pixel or IGNORE, pixel by pixel."""
    H, W = image.labels.shape
    found = np.full((H, W), IGNORE, dtype=np.uint8)
    for y in range(H):
        for x in range(W):
            number = int(image.labels[y, x])
            if number >= 0:
                segment = image.segments[number]
                if segment.known and segment.class_id is not None:
                    found[y, x] = segment.class_id
    return found


def masks(image: ExportImage) -> dict[str, np.ndarray]:
    """[H, W] bool by segment id, of the segments of known classes that have pixels."""
    found = {}
    for number, segment in enumerate(image.segments):
        mask = image.labels == number
        if segment.known and segment.class_id is not None and mask.any():
            found[segment.segment_id] = mask
    return found
