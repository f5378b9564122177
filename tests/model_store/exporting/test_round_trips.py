"""Exports that are read back by the readers of `model_store.labelled`: the labels are exactly the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_store.exporting import ExportImage, ExportOptions, ExportSegment, write
from model_store.labelled import FORMATS, IGNORE, LabelledFiles, detect, open_format
from model_store.labelled.geotransform import MapPlace
from tests.model_store.exporting.samples import CLASSES, WRITTEN, expected_labels, image_file, results

PAIRS = [
    ("coco", "coco", None),
    ("coco", "coco", True),
    ("png", "folder", None),
    ("color-png", "folder", None),
    ("yolo", "yolo", None),
    ("geojson", "geojson", None),
    ("label-studio", "label-studio", None),
    ("label-studio", "label-studio", True),
    ("cvat", "cvat", None),
    ("cvat", "cvat", True),
    ("labelme", "labelme", None),
    ("labelme", "labelme", False),
]  # an export, its reader, and the option `polygons`
ALL_CLASSES = ("coco", "folder", "yolo", "cvat", "labelme")  # readers that know classes that no image has


def _export(name: str, images: list[ExportImage], out: Path, polygons: bool | None) -> None:
    """Export images, and finish what a user does by hand."""
    write(name, images, CLASSES, out, ExportOptions(polygons=polygons))
    if name == "geojson":  # has no images
        for image, written in zip(images, WRITTEN, strict=False):
            (out / written).write_bytes(image.content or b"")
    if name == "label-studio":  # a person accepts the predictions, which are no labels before
        tasks = json.loads((out / "predictions.json").read_bytes())
        accepted = [{"data": task["data"], "annotations": task["predictions"]} for task in tasks]
        (out / "predictions.json").write_text(json.dumps(accepted))


def _check(data: LabelledFiles, images: list[ExportImage], names: tuple[str, ...] = WRITTEN) -> None:
    """Compare the labels of all images, by the names of classes."""
    ids = {info.name: info.class_id for info in CLASSES}
    table = np.full(256, IGNORE, dtype=np.uint8)
    for info in data.classes:
        table[info.class_id] = ids[info.name]
    read = {data.image_file(i).name: table[data[i].labels] for i in range(len(data))}
    for image, name in zip(images, names, strict=True):
        expected = expected_labels(image)
        if name not in read:
            assert (expected == IGNORE).all(), f"{name} has labels, and was not read"
        else:
            assert (read[name] == expected).all(), name


@pytest.mark.parametrize(("name", "reader", "polygons"), PAIRS)
def test_labels_come_back_exactly(name: str, reader: str, polygons: bool | None, tmp_path: Path) -> None:
    images = results()
    _export(name, images, tmp_path, polygons)
    data = open_format(tmp_path, reader, "train")
    assert len(data) == len(images)
    _check(data, images)
    if reader in ALL_CLASSES:
        assert [(info.class_id, info.name) for info in data.classes] == [(info.class_id, info.name) for info in CLASSES]


@pytest.mark.parametrize(("name", "reader"), sorted({(name, reader) for name, reader, _ in PAIRS}))
def test_an_export_is_detected_as_its_format(name: str, reader: str, tmp_path: Path) -> None:
    _export(name, results(), tmp_path, None)
    assert detect(tmp_path) == reader


@pytest.mark.parametrize("name", ["coco", "png", "color-png", "cvat"])
def test_colours_come_back(name: str, tmp_path: Path) -> None:
    _export(name, results(), tmp_path, None)
    data = open_format(tmp_path, detect(tmp_path), "train")
    assert [info.color for info in data.classes] == [info.color for info in CLASSES]


def test_labels_on_a_map_come_back_by_a_world_file(tmp_path: Path) -> None:
    a, b, c, d, e, f = 0.5, 0.0, 400000.25, 0.0, -0.5, 5800000.75
    images = [image._replace(place=MapPlace(np.array([[a, b, c], [d, e, f]]), None)) for image in results()]
    _export("geojson", images, tmp_path, None)
    for name in WRITTEN:
        ending = f"{name[-3]}{name[-1]}w".lower()
        centre = (c + a / 2, f + e / 2)
        (tmp_path / Path(name).with_suffix(f".{ending}")).write_text("\n".join(map(str, (a, d, b, e, *centre))))
    _check(open_format(tmp_path, "geojson", "train"), images)


@pytest.mark.parametrize(("name", "reader", "polygons"), PAIRS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_labels_come_back_exactly(
    name: str, reader: str, polygons: bool | None, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    H, W = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    flat = data.draw(st.lists(st.integers(-1, 3), min_size=H * W, max_size=H * W))
    labels = np.array(flat, dtype=np.int32).reshape(H, W)
    labels.flat[data.draw(st.integers(0, H * W - 1))] = 0  # readers refuse data without any label
    segments = [ExportSegment(f"s{n}", class_id, None, n != 3) for n, class_id in enumerate((0, 1, 3, 2))]
    image = ExportImage(WRITTEN[0], labels, segments, "i", content=image_file((H, W)))
    folder = tmp_path_factory.mktemp("export")
    _export(name, [image], folder, polygons)
    _check(open_format(folder, reader, "train"), [image], WRITTEN[:1])


def test_all_readers_of_the_pairs_exist() -> None:
    assert {reader for _, reader, _ in PAIRS} <= set(FORMATS)
