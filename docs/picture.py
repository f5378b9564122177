"""Makes docs/result.png, the picture of the README, with the bundled release: `python -m docs.picture`.

The scene is painted and is no exemplar of the release; nothing in the picture belongs to anybody else.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from index_builder.datasets import open_dataset
from segsort.masks import decode_rle
from service.answering.engine import Engine, Request
from service.images.drawing import contact_sheet, overlay
from service.records.database import Records
from service.settings import Settings

SCENE = 1  # of the painted validation split
SHOWN = ("bicyclist", "car", "pedestrian", "sign", "tree", "pavement")  # the first three that occur are explained


def main() -> None:
    """Segment the scene and lay the overlay beside the exemplars of some segments."""
    scene = open_dataset("streets", None, "val", count=SCENE + 1)[SCENE].image
    file = io.BytesIO()
    Image.fromarray(scene).save(file, "PNG")
    with TemporaryDirectory() as folder:
        engine = Engine(Settings(data_dir=Path(folder)), Records("sqlite://"))
    answer = engine.segment(file.getvalue(), Request(exemplars=4))
    segments = answer.body["segments"]
    labels = np.zeros(answer.class_map.shape, dtype=np.int32)
    for n, segment in enumerate(segments):
        labels[decode_rle(segment["mask"]["counts"], labels.shape)] = n
    picture = overlay(answer.image, answer.class_map, labels, engine.served.release.card.classes)
    of_class = [[n for n, s in enumerate(segments) if s["class_name"] == name] for name in SHOWN]
    largest = [max(found, key=lambda n: segments[n]["area"]) for found in of_class if found][:3]
    renumbered = np.full_like(labels, -1)
    for row, n in enumerate(largest):
        renumbered[labels == n] = row
    body = answer.body | {"segments": [segments[n] for n in largest]}
    sheet = contact_sheet(answer.image, renumbered, body, engine.served.release, engine.served.release.rows)
    joined = Image.new("RGB", (picture.width + sheet.width, max(picture.height, sheet.height)), "white")
    joined.paste(picture, (0, 0))
    joined.paste(sheet, (picture.width, 0))
    joined.save(Path(__file__).parent / "result.png", optimize=True)


if __name__ == "__main__":
    main()
