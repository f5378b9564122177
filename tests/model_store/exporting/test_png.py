"""The exports `png` and `color-png`, read by Pillow alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.card import ClassInfo
from model_store.exporting import ExportImage, ExportSegment, write
from tests.model_store.exporting.samples import CLASSES, WRITTEN, expected_labels, results


def _mask(folder: Path, name: str) -> Image.Image:
    return Image.open(folder / "masks" / f"{Path(name).stem}.png")


def test_a_png_has_the_class_ids_and_the_colours_of_classes(tmp_path: Path) -> None:
    write("png", results(), CLASSES, tmp_path)
    for image, name in zip(results(), WRITTEN, strict=True):
        mask, expected = _mask(tmp_path, name), expected_labels(image)
        assert mask.mode == "P"
        assert (np.asarray(mask) == expected).all()
        colours = np.asarray(mask.convert("RGB"))
        for info in CLASSES:
            assert (colours[expected == info.class_id] == info.color).all()
    document = json.loads((tmp_path / "classes.json").read_bytes())
    assert document["ignore"] == 255
    assert [(e["id"], e["name"], tuple(e["color"])) for e in document["classes"]] == [
        (info.class_id, info.name, info.color) for info in CLASSES
    ]


def test_a_colour_png_has_the_colours_of_its_legend(tmp_path: Path) -> None:
    write("color-png", results(), CLASSES, tmp_path)
    document = json.loads((tmp_path / "classes.json").read_bytes())
    assert document["ignore"] == [255, 255, 255], "black is the colour of a class"
    legend = {entry["id"]: entry["color"] for entry in document["classes"]} | {255: document["ignore"]}
    for image, name in zip(results(), WRITTEN, strict=True):
        mask, expected = _mask(tmp_path, name), expected_labels(image)
        assert mask.mode == "RGB"
        colours = np.array([[legend[int(label)] for label in row] for row in expected])
        assert (np.asarray(mask) == colours).all()


@pytest.mark.parametrize("name", ["png", "color-png"])
def test_classes_of_one_colour_get_others_and_unlabelled_pixels_a_colour_of_no_class(name: str, tmp_path: Path) -> None:
    colours = [(0, 0, 0), (255, 255, 255), (9, 9, 9), (9, 9, 9), (0, 0, 0)]
    classes = [ClassInfo(class_id=i, name=str(i), color=colour) for i, colour in enumerate(colours)]
    labels = np.arange(-1, 5, dtype=np.int32)[None].repeat(2, axis=0)
    segments = [ExportSegment(str(i), i, None, True) for i in range(5)]
    write(name, [ExportImage("a.png", labels, segments, "a")], classes, tmp_path)
    entries = json.loads((tmp_path / "classes.json").read_bytes())["classes"]
    written = [tuple(entry["color"]) for entry in entries]
    assert written[:3] == colours[:3], "the first class of a colour keeps it"
    pixels = np.asarray(_mask(tmp_path, "a.png").convert("RGB"))[0]
    assert len({tuple(pixel) for pixel in pixels.tolist()}) == 6, "five classes, and unlabelled"
    assert [tuple(pixel) for pixel in pixels[1:].tolist()] == written


def test_ids_with_gaps_are_kept(tmp_path: Path) -> None:
    classes = [ClassInfo(class_id=i, name=str(i), color=(i, 0, 0)) for i in (2, 254)]
    segments = [ExportSegment("a", 2, None, True), ExportSegment("b", 254, None, True)]
    write("png", [ExportImage("a.png", np.array([[0, 1, -1]], np.int32), segments, "a")], classes, tmp_path)
    assert np.asarray(_mask(tmp_path, "a.png")).tolist() == [[2, 254, 255]]


@pytest.mark.parametrize("name", ["png", "color-png"])
def test_too_many_classes_are_refused(name: str, tmp_path: Path) -> None:
    classes = [ClassInfo(class_id=i, name=str(i), color=(i % 256, i // 256, 0)) for i in range(256)]
    with pytest.raises(ValueError, match="export as coco"):
        write(name, [], classes, tmp_path)
