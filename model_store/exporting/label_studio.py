"""The format `label-studio`: predictions for import, https://labelstud.io/guide/predictions."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import orjson

from model_store.card import ClassInfo
from model_store.exporting.brush_code import brush_rle
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.outlines import outlines_of
from model_store.exporting.results import ExportImage, SegmentShape
from model_store.exporting.writer import ExportOptions, Writer, rounded, xml_text


class LabelStudio(Writer):
    """predictions.json with a task for each image, and label_config.xml for the settings of the project.

    Segments are brush masks, which are exact, or polygons by option. The image of a task is `image_prefix` and its file
    name; the default fits a local storage whose document root holds images/. The score of a prediction is the mean
    confidence of its segments by area. The `meta` of a task names the release and its digest.
    """

    name = "label-studio"
    about = (
        "Make a project with the labeling interface label_config.xml, then import predictions.json.\n"
        "Copy the images into images/ below the root of local files, or replace the addresses of images."
    )

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        files.put("label_config.xml", _config(classes, bool(options.polygons)))
        self._document = files.document("predictions.json")
        self._document.write(b"[")
        self._count = 0

    def add(self, image: ExportImage, name: FileName) -> None:
        results: list[dict[str, Any]] = []
        scores, areas = [], []
        for info, shape in self.known_shapes(image):
            results.extend(self._results(info, shape, image.size))
            if shape.segment.confidence is not None:
                scores.append(shape.segment.confidence)
                areas.append(shape.area)
        prediction: dict[str, Any] = {"model_version": self.options.release, "result": results}
        if scores:
            prediction["score"] = rounded(float(np.average(scores, weights=areas)))
        address = self.options.image_prefix + quote(str(name))
        data = {"image": address, "segsort_id": image.image_id}
        task = {"data": data, "meta": self.options.origin, "predictions": [prediction]}
        self._document.write((b",\n" if self._count else b"\n") + orjson.dumps(task))
        self._count += 1

    def finish(self) -> None:
        self._document.write(b"\n]\n")

    def _results(self, info: ClassInfo, shape: SegmentShape, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
        """The regions of a segment: a mask, or a polygon for each of its parts."""
        H, W = size
        x, y, width, height = shape.box
        polygons = outlines_of(shape.mask, x, y) if self.options.polygons else []
        if not polygons or any(polygon.holes for polygon in polygons):
            mask = np.zeros(size, dtype=bool)
            mask[y : y + height, x : x + width] = shape.mask
            value: dict[str, Any] = {"format": "rle", "rle": brush_rle(mask), "brushlabels": [info.name]}
            yield _region(shape, size, shape.segment.segment_id, "brush") | {"value": value}
            return
        for part, polygon in enumerate(polygons):
            name = shape.segment.segment_id + (f"-{part + 1}" if part else "")
            points = np.round(polygon.exterior * (100 / W, 100 / H), 8).tolist()  # per cent
            value = {"points": points, "closed": True, "polygonlabels": [info.name]}
            yield _region(shape, size, name, "polygon") | {"value": value}


def _region(shape: SegmentShape, size: tuple[int, int], name: str, tag: str) -> dict[str, Any]:
    """A region without its value."""
    region: dict[str, Any] = {
        "id": name, "from_name": tag, "to_name": "image", "type": f"{tag}labels", "origin": "prediction",
        "original_width": size[1], "original_height": size[0], "image_rotation": 0,
    }  # fmt: skip
    score = rounded(shape.segment.confidence)
    return region if score is None else region | {"score": score}


def _config(classes: tuple[ClassInfo, ...], polygons: bool) -> bytes:
    """The labeling interface: an image, a brush, and polygons if there are any."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image", zoom="true")
    for tag in ("Brush", "Polygon") if polygons else ("Brush",):
        labels = ElementTree.SubElement(view, f"{tag}Labels", name=tag.lower(), toName="image")
        for info in classes:
            colour = "#{:02x}{:02x}{:02x}".format(*info.color)
            ElementTree.SubElement(labels, "Label", value=xml_text(info.name), background=colour)
    ElementTree.indent(view)
    return f"{ElementTree.tostring(view, encoding='unicode')}\n".encode()
