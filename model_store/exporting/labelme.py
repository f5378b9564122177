"""The format `labelme`: one JSON for each image, https://github.com/wkentaro/labelme."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from PIL import Image

from model_store.card import ClassInfo
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.outlines import outlines_of
from model_store.exporting.png import png_of
from model_store.exporting.results import ExportImage, SegmentShape
from model_store.exporting.writer import ExportOptions, Writer, rounded

_VERSION = "5.5.0"  # of labelme, the first whose masks are as here


class Labelme(Writer):
    """STEM.json for each image, to lie beside the image file, and labels.txt with the classes.

    A segment is a polygon, because labelme edits polygons, not masks. A segment with holes is a mask, because polygons
    of labelme have none; the option `polygons` False makes all of them masks. Polygons of one segment have one
    `group_id`. Labelme keeps the fields `segment_id`, `confidence`, `release` and `release_digest`.
    """

    name = "labelme"
    images = ""
    about = "A JSON for each image. Copy the images beside them, and open the folder: labelme . --labels labels.txt"

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        files.put("labels.txt", "".join(f"{' '.join(info.name.splitlines())}\n" for info in classes).encode())

    def add(self, image: ExportImage, name: FileName) -> None:
        H, W = image.size
        shapes = [entry for info, shape in self.known_shapes(image) for entry in self._entries(info, shape)]
        document: dict[str, Any] = {
            "version": _VERSION, "flags": {}, "imagePath": str(name), "imageData": None, "imageHeight": H,
            "imageWidth": W, "shapes": shapes,
        }  # fmt: skip
        document |= self.options.origin
        self.files.put(f"{name.stem}.json", orjson.dumps(document))

    def _entries(self, info: ClassInfo, shape: SegmentShape) -> Iterator[dict[str, Any]]:
        """The shapes of a segment: a mask, or a polygon for each of its parts."""
        x, y, width, height = shape.box
        polygons = outlines_of(shape.mask, x, y) if self.options.polygons is not False else []
        if not polygons or any(polygon.holes for polygon in polygons):
            pixels = base64.b64encode(png_of(Image.fromarray(shape.mask.astype(np.uint8)))).decode()
            corners = [[x, y], [x + width - 1, y + height - 1]]  # the first and the last pixel
            yield _entry(info, shape) | {"points": corners, "shape_type": "mask", "mask": pixels}
            return
        group = shape.number if len(polygons) > 1 else None
        for polygon in polygons:
            yield _entry(info, shape) | {"points": polygon.exterior.tolist(), "group_id": group}


def _entry(info: ClassInfo, shape: SegmentShape) -> dict[str, Any]:
    """A polygon without its points."""
    return {
        "label": info.name, "points": [], "group_id": None, "description": "", "shape_type": "polygon", "flags": {},
        "mask": None, "segment_id": shape.segment.segment_id, "confidence": rounded(shape.segment.confidence),
    }  # fmt: skip
