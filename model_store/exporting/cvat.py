"""The format `cvat`: "CVAT for images 1.1", https://docs.cvat.ai/docs/other/xml_format."""

from collections.abc import Iterator
from xml.etree import ElementTree

from model_store.card import ClassInfo
from model_store.exporting.files import Files
from model_store.exporting.names import FileName
from model_store.exporting.outlines import outlines_of, run_lengths
from model_store.exporting.results import ExportImage, SegmentShape
from model_store.exporting.writer import ExportOptions, Writer, rounded, xml_text


class Cvat(Writer):
    """One annotations.xml with a mask for each segment of a known class, or polygons by option.

    A mask is given as the runs of its box, row by row. Polygons of one segment have one group. `confidence` and
    `segment_id` are attributes, which CVAT imports if the labels of its task have them, and ignores otherwise.
    """

    name = "cvat"
    media_type, suffix = "application/xml", ".xml"
    about = (
        "Make a task of these images whose labels have the names in annotations.xml, then upload annotations.xml as\n"
        '"CVAT 1.1".'
    )

    def __init__(self, files: Files, classes: tuple[ClassInfo, ...], options: ExportOptions) -> None:
        super().__init__(files, classes, options)
        self._count = 0
        self._document = files.document("annotations.xml")
        self._document.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        self._write(_meta(classes, options))

    def add(self, image: ExportImage, name: FileName) -> None:
        H, W = image.size
        entry = ElementTree.Element("image", id=str(self._count), name=str(name), width=str(W), height=str(H))
        self._count += 1
        for info, shape in self.known_shapes(image):
            for element in self._elements(shape):
                element.set("label", xml_text(info.name))
                _attribute(element, "segment_id", xml_text(shape.segment.segment_id))
                confidence = rounded(shape.segment.confidence)
                if confidence is not None:
                    _attribute(element, "confidence", str(confidence))
                entry.append(element)
        self._write(entry)

    def finish(self) -> None:
        self._document.write(b"</annotations>\n")

    def _elements(self, shape: SegmentShape) -> Iterator[ElementTree.Element]:
        """The elements of a segment: a mask, or a polygon for each of its parts."""
        common = {"label": "", "source": "auto", "occluded": "0"}
        x, y, width, height = shape.box
        polygons = outlines_of(shape.mask, x, y) if self.options.polygons else []
        if not polygons or any(polygon.holes for polygon in polygons):
            runs = ", ".join(map(str, run_lengths(shape.mask).tolist()))
            place = {"left": str(x), "top": str(y), "width": str(width), "height": str(height)}
            yield ElementTree.Element("mask", common | {"rle": runs} | place | {"z_order": "0"})
            return
        for polygon in polygons:
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in polygon.exterior.tolist())
            group = {"group_id": str(shape.number + 1)} if len(polygons) > 1 else {}
            yield ElementTree.Element("polygon", common | {"points": points, "z_order": "0"} | group)

    def _write(self, element: ElementTree.Element) -> None:
        ElementTree.indent(element, level=1)
        self._document.write(b"  " + ElementTree.tostring(element, encoding="unicode").encode() + b"\n")


def _meta(classes: tuple[ClassInfo, ...], options: ExportOptions) -> ElementTree.Element:
    """The description of the task: the release, and its labels with their colours and attributes."""
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    described = {"name": options.release, "mode": "annotation", "overlap": "0"} | options.origin
    for tag, text in described.items():
        ElementTree.SubElement(task, tag).text = xml_text(text)
    labels = ElementTree.SubElement(task, "labels")
    for info in classes:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = xml_text(info.name)
        ElementTree.SubElement(label, "color").text = "#{:02x}{:02x}{:02x}".format(*info.color)
        ElementTree.SubElement(label, "type").text = "any"
        attributes = ElementTree.SubElement(label, "attributes")
        for name in ("segment_id", "confidence"):
            attribute = ElementTree.SubElement(attributes, "attribute")
            fields = {"name": name, "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
            for tag, text in fields.items():
                ElementTree.SubElement(attribute, tag).text = text
    return meta


def _attribute(element: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(element, "attribute", name=name).text = value
