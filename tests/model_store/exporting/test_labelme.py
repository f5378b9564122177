"""The export `labelme`."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_store.exporting import ExportOptions, write
from model_store.labelled.polygons import fill_rings
from tests.model_store.exporting.samples import CLASSES, WRITTEN, masks, results


def _document(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{Path(name).stem}.json").read_bytes())


def _filled(shape: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """The pixels of a shape: a polygon, or a mask between two pixels, both included, as labelme/utils/shape.py does."""
    if shape["shape_type"] == "polygon":
        return fill_rings([np.array(shape["points"])], size)
    (left, top), (right, bottom) = shape["points"]
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))).astype(bool)
    found = np.zeros(size, dtype=bool)
    found[top : bottom + 1, left : right + 1] = mask
    return found


@pytest.mark.parametrize(("polygons", "kinds"), [(None, {"polygon", "mask"}), (False, {"mask"})])
def test_shapes_fill_to_exactly_the_segments(polygons: bool | None, kinds: set[str], tmp_path: Path) -> None:
    write("labelme", results(), CLASSES, tmp_path, ExportOptions(polygons=polygons))
    written = set()
    for image, name in zip(results(), WRITTEN, strict=True):
        document, size = _document(tmp_path, name), image.labels.shape
        assert (document["imageHeight"], document["imageWidth"], document["imagePath"]) == (*size, name)
        assert document["imageData"] is None
        found = {key: np.zeros(size, dtype=bool) for key in masks(image)}
        for shape in document["shapes"]:
            written.add(shape["shape_type"])
            (segment,) = [segment for segment in image.segments if segment.segment_id == shape["segment_id"]]
            assert shape["label"] == CLASSES[segment.class_id or 0].name
            assert shape["confidence"] == (None if segment.confidence is None else round(segment.confidence, 4))
            found[shape["segment_id"]] |= _filled(shape, size)
        assert all((found[key] == mask).all() for key, mask in masks(image).items())
    assert written == kinds


def test_polygons_of_one_segment_have_one_group(tmp_path: Path) -> None:
    write("labelme", results(), CLASSES, tmp_path)
    for name in WRITTEN:
        shapes = [shape for shape in _document(tmp_path, name)["shapes"] if shape["shape_type"] == "polygon"]
        for shape in shapes:
            parts = [other for other in shapes if other["segment_id"] == shape["segment_id"]]
            assert {part["group_id"] for part in parts} == {shape["group_id"]}
            assert (shape["group_id"] is None) == (len(parts) == 1)
        groups = {shape["segment_id"]: shape["group_id"] for shape in shapes if shape["group_id"] is not None}
        assert len(set(groups.values())) == len(groups)


def test_the_labels_are_the_classes(tmp_path: Path) -> None:
    write("labelme", [], CLASSES, tmp_path)
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8").splitlines() == [info.name for info in CLASSES]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # labelme leaves image files open
def test_labelme_reads_the_masks(tmp_path: Path) -> None:
    labelme = pytest.importorskip("labelme", reason="labelme is installed by hand: it needs Qt")
    write("labelme", results(), CLASSES, tmp_path, ExportOptions(polygons=False))
    numbers = {info.name: info.class_id + 1 for info in CLASSES}
    for image, name in zip(results(), WRITTEN, strict=True):
        file = labelme.LabelFile(str(tmp_path / f"{Path(name).stem}.json"))
        labels, _ = labelme.utils.shapes_to_label(image.labels.shape, file.shapes, numbers)
        expected = np.zeros(image.labels.shape, dtype=np.int32)
        for segment in image.segments:
            if segment.segment_id in masks(image):
                expected[masks(image)[segment.segment_id]] = (segment.class_id or 0) + 1
        assert (labels == expected).all()
