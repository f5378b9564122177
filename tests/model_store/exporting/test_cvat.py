"""The export `cvat`: "CVAT for images 1.1"."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from model_store.card import ClassInfo
from model_store.exporting import ExportImage, ExportOptions, ExportSegment, write
from model_store.labelled.polygons import fill_rings
from tests.model_store.exporting.samples import CLASSES, WRITTEN, masks, results


def _root(folder: Path) -> ElementTree.Element:
    return ElementTree.fromstring((folder / "annotations.xml").read_bytes())


def _filled(element: ElementTree.Element, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a mask or polygon."""
    if element.tag == "polygon":
        points = [[float(part) for part in pair.split(",")] for pair in element.attrib["points"].split(";")]
        return fill_rings([np.array(points)], size)
    left, top, width, height = (int(element.attrib[side]) for side in ("left", "top", "width", "height"))
    flat, covered = [], False
    for length in element.attrib["rle"].split(","):
        flat += [covered] * int(length)
        covered = not covered
    found = np.zeros(size, dtype=bool)
    found[top : top + height, left : left + width] = np.array(flat).reshape(height, width)
    return found


@pytest.mark.parametrize("polygons", [None, True])
def test_elements_fill_to_exactly_the_segments(polygons: bool | None, tmp_path: Path) -> None:
    write("cvat", results(), CLASSES, tmp_path, ExportOptions(polygons=polygons))
    images = _root(tmp_path).findall("image")
    assert [image.attrib["name"] for image in images] == list(WRITTEN)
    tags = set()
    for number, (element, image) in enumerate(zip(images, results(), strict=True)):
        H, W = image.labels.shape
        assert (element.attrib["id"], element.attrib["width"], element.attrib["height"]) == (
            str(number),
            str(W),
            str(H),
        )
        found = {name: np.zeros((H, W), dtype=bool) for name in masks(image)}
        for part in element:
            tags.add(part.tag)
            attributes = {entry.attrib["name"]: entry.text for entry in part}
            name = attributes["segment_id"] or ""
            (segment,) = [segment for segment in image.segments if segment.segment_id == name]
            assert part.attrib["label"] == CLASSES[segment.class_id or 0].name
            expected = None if segment.confidence is None else str(round(segment.confidence, 4))
            assert attributes.get("confidence") == expected
            found[name] |= _filled(part, (H, W))
        assert all((found[name] == mask).all() for name, mask in masks(image).items())
    assert tags == ({"mask", "polygon"} if polygons else {"mask"})


def test_polygons_of_one_segment_have_one_group(tmp_path: Path) -> None:
    image = ExportImage(
        "a.png",
        np.array([[0, -1, 0, 1]], dtype=np.int32),
        [ExportSegment("s", 0, None, True), ExportSegment("t", 1, None, True)],
        "a",
    )
    write("cvat", [image], CLASSES, tmp_path, ExportOptions(polygons=True))
    polygons = _root(tmp_path).findall("image/polygon")
    assert [polygon.attrib.get("group_id") for polygon in polygons] == ["1", "1", None]


def test_the_labels_are_the_classes(tmp_path: Path) -> None:
    write("cvat", [], CLASSES, tmp_path, ExportOptions(release="streets 2"))
    root = _root(tmp_path)
    assert root.findtext("version") == "1.1"
    assert root.findtext("meta/task/name") == "streets 2"
    labels = root.findall("meta/task/labels/label")
    assert [label.findtext("name") for label in labels] == [info.name for info in CLASSES]
    assert labels[0].findtext("color") == "#804080"
    assert [entry.text for entry in labels[0].findall("attributes/attribute/name")] == ["segment_id", "confidence"]


def test_characters_that_xml_refuses_are_replaced(tmp_path: Path) -> None:
    classes = [ClassInfo(class_id=0, name="a\x00b\x0bc\n<d>", color=(1, 2, 3))]
    image = ExportImage("a.png", np.zeros((1, 1), np.int32), [ExportSegment("s\x1f", 0, None, True)], "a")
    write("cvat", [image], classes, tmp_path)
    mask = _root(tmp_path).find("image/mask")
    assert mask is not None
    assert mask.attrib["label"] == "a\ufffdb\ufffdc\n<d>"
    assert mask.findtext("attribute") == "s\ufffd"
