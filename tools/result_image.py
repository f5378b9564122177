"""Makes docs/result.png, the first image of the README, with the bundled release.

    python -m tools.result_image

The scene is painted and none of the release's exemplars is from it, so the image may be published.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from index_builder.datasets import open_dataset
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.images.drawing import contact_sheet, overlay
from service.records.database import Records
from service.settings import Settings

SCENE = 1  # of the painted validation split
EXPLAINED = ("bicyclist", "car", "pedestrian", "sign", "tree", "pavement")  # the first three that occur
FILE = Path(__file__).parent.parent / "docs" / "result.png"


def main() -> None:
    """Segment the scene and put the labels beside the exemplars of some segments."""
    with TemporaryDirectory() as folder:
        engine = Engine(Settings(data_dir=Path(folder)), Records("sqlite://"))
    scene = open_dataset("streets", None, "val", count=SCENE + 1)[SCENE].image
    answer = engine.segment(_png(scene), SegmentRequest(exemplars=4))
    release = engine.served.release
    segments = answer.body["segments"]
    explained = _largest_of_classes(segments)
    rows = np.full_like(answer.labels, -1)
    for row, n in enumerate(explained):
        rows[answer.labels == n] = row
    body = answer.body | {"segments": [segments[n] for n in explained]}
    labelled = overlay(scene, answer.class_map, answer.labels, answer.classes)
    sheet = contact_sheet(scene, rows, body, release, release.rows)
    _side_by_side(labelled, sheet).save(FILE, optimize=True)


def _png(image: np.ndarray) -> bytes:
    """The bytes of a PNG file. image: [H, W, 3] uint8."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _largest_of_classes(segments: list[dict[str, Any]]) -> list[int]:
    """Indices of the largest segments of the first three classes of EXPLAINED that occur."""
    of_class = [[n for n, segment in enumerate(segments) if segment["class_name"] == name] for name in EXPLAINED]
    return [max(found, key=lambda n: segments[n]["area"]) for found in of_class if found][:3]


def _side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    joined = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), "white")
    joined.paste(left, (0, 0))
    joined.paste(right, (left.width, 0))
    return joined


if __name__ == "__main__":
    main()
