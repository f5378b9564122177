"""The export `label-studio`, read by its own brush decoder."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from model_store.exporting import ExportOptions, write
from model_store.exporting.brush_code import brush_rle
from model_store.labelled.polygons import fill_rings
from tests.model_store.exporting.samples import CLASSES, WRITTEN, masks, results


def unpack(code: list[int], size: tuple[int, int]) -> np.ndarray:
    """Decode a brush bit by bit, as https://github.com/thi-ng/umbrella rle-pack describes: [H, W, 4]."""
    bits = "".join(f"{byte:08b}" for byte in code)
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        run = take(1)
        length = take(sizes[take(2)]) + 1
        values += [take(word)] * length if run else [take(word) for _ in range(length)]
    assert len(values) == total
    assert len(bits) - at < 8, "less than a byte is left"
    return np.array(values, dtype=np.uint8).reshape(*size, 4)


def _tasks(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "predictions.json").read_bytes())


def _brush_masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    long = np.zeros((200, 400), dtype=bool)
    long[50:130] = True  # runs of 80_000, 128_000 and 112_000 values, more than 65_536
    exact = np.zeros((3, 16_384), dtype=bool)
    exact[1] = True  # runs of exactly 65_536 values
    random = [rng.random((13, 17)) < share for share in (0.02, 0.5, 0.98)]
    return [
        long,
        exact,
        *random,
        np.ones((1, 1), dtype=bool),
        np.zeros((2, 3), dtype=bool),
        np.ones((64, 70), dtype=bool),
    ]


@pytest.mark.parametrize("mask", _brush_masks())
def test_a_brush_decodes_to_its_mask(mask: np.ndarray) -> None:
    pixels = unpack(brush_rle(mask), mask.shape)
    assert (pixels == np.where(mask, 255, 0)[:, :, None]).all(), "all four channels are 0 or 255"


def test_label_studio_decodes_a_brush() -> None:
    brush = pytest.importorskip(
        "label_studio_sdk.converter.brush", reason="label-studio-sdk is installed by hand: it needs an old opencv"
    )
    for mask in _brush_masks():
        code = brush_rle(mask)
        assert (brush.decode_rle(code).reshape(*mask.shape, 4)[:, :, 3] == np.where(mask, 255, 0)).all()
        theirs = brush.encode_rle(np.repeat(np.where(mask, 255, 0).astype(np.uint8).ravel(), 4))
        assert code == theirs[: len(code)], "their code ends with up to a byte of zeros"


def test_a_mask_that_is_too_large_is_refused() -> None:
    huge = np.broadcast_to(np.zeros(1, dtype=bool), (1 << 15, 1 << 15))
    with pytest.raises(ValueError, match="a mask of 1073741824 pixels is too large for Label Studio's brush"):
        brush_rle(huge)


def test_tasks_have_exactly_the_masks(tmp_path: Path) -> None:
    write("label-studio", results(), CLASSES, tmp_path, ExportOptions(release="streets 2"))
    tasks = _tasks(tmp_path)
    assert len(tasks) == len(WRITTEN)
    for image, name, task in zip(results(), WRITTEN, tasks, strict=True):
        assert task["data"]["segsort_id"] == image.image_id
        prefix, file = task["data"]["image"].split("?d=images/")
        assert (prefix, unquote(file)) == ("/data/local-files/", name)
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "streets 2"
        H, W = image.labels.shape
        found = {}
        for result in prediction["result"]:
            assert (result["type"], result["from_name"], result["to_name"]) == ("brushlabels", "brush", "image")
            assert (result["original_width"], result["original_height"], result["image_rotation"]) == (W, H, 0)
            found[result["id"]] = unpack(result["value"]["rle"], (H, W))[:, :, 3] > 0
            (segment,) = [segment for segment in image.segments if segment.segment_id == result["id"]]
            assert result["value"]["brushlabels"] == [CLASSES[segment.class_id or 0].name]
            assert result.get("score") == (None if segment.confidence is None else round(segment.confidence, 4))
        expected = masks(image)
        assert set(found) == set(expected)
        assert all((found[key] == expected[key]).all() for key in expected)


def test_the_score_of_a_prediction_is_the_mean_by_area(tmp_path: Path) -> None:
    (image,) = results(1)
    write("label-studio", [image], CLASSES, tmp_path)
    total = weight = 0.0
    for number, segment in enumerate(image.segments):
        if segment.known and segment.confidence is not None:
            area = float((image.labels == number).sum())
            total, weight = total + area * segment.confidence, weight + area
    assert _tasks(tmp_path)[0]["predictions"][0]["score"] == pytest.approx(total / weight, abs=1e-4)


def test_polygons_are_an_option_and_segments_with_holes_stay_masks(tmp_path: Path) -> None:
    write("label-studio", results(), CLASSES, tmp_path, ExportOptions(polygons=True, image_prefix="s3://b/"))
    kinds = set()
    for image, task in zip(results(), _tasks(tmp_path), strict=True):
        assert task["data"]["image"].startswith("s3://b/")
        H, W = image.labels.shape
        ids = [result["id"] for result in task["predictions"][0]["result"]]
        assert len(set(ids)) == len(ids)
        found = {name: np.zeros((H, W), dtype=bool) for name in masks(image)}
        for result in task["predictions"][0]["result"]:
            kinds.add(result["type"])
            name = "-".join(result["id"].split("-")[:2])
            if result["type"] == "polygonlabels":
                assert result["from_name"] == "polygon"
                points = np.array(result["value"]["points"]) * (W / 100, H / 100)
                found[name] |= fill_rings([points], (H, W))
            else:
                found[name] |= unpack(result["value"]["rle"], (H, W))[:, :, 3] > 0
        assert all((found[name] == mask).all() for name, mask in masks(image).items())
    assert kinds == {"polygonlabels", "brushlabels"}


@pytest.mark.parametrize(("polygons", "tags"), [(None, ["BrushLabels"]), (True, ["BrushLabels", "PolygonLabels"])])
def test_the_labeling_interface_has_all_classes(polygons: bool | None, tags: list[str], tmp_path: Path) -> None:
    write("label-studio", [], CLASSES, tmp_path, ExportOptions(polygons=polygons))
    view = ElementTree.fromstring((tmp_path / "label_config.xml").read_bytes())
    assert [child.tag for child in view] == ["Image", *tags]
    assert view[0].attrib["value"] == "$image"
    for control in view[1:]:
        assert control.attrib == {"name": control.tag.removesuffix("Labels").lower(), "toName": "image"}
        assert [label.attrib["value"] for label in control] == [info.name for info in CLASSES]
        assert control[0].attrib["background"] == "#804080"
