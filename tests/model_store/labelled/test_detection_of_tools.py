"""Detection: what one annotation tool exports is not taken for the format of another one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model_store.labelled import FORMATS, _reader, detect
from tests.model_store.labelled import test_cvat as cvat
from tests.model_store.labelled import test_geojson as geojson
from tests.model_store.labelled import test_label_studio as label_studio
from tests.model_store.labelled import test_labelme as labelme
from tests.model_store.labelled import test_supervisely as supervisely
from tests.model_store.labelled.naive import photograph, write


def stored_cvat(root: Path) -> Path:
    photograph(root / "images/a.png", cvat.SIZE)
    return write(root / "annotations.xml", cvat.document(cvat.image("a.png", cvat.polygon("car", cvat.TREE))))


def stored_json_min(root: Path) -> Path:
    region = label_studio.brush("blob")
    photograph(root / "images/a.png", label_studio.SIZE)
    row = {"image": "a.png", "id": 1, "tag": [{**region["value"], "original_width": 25, "original_height": 16}]}
    return write(root / "min.json", json.dumps([row]))


def unlabelled_tasks(root: Path) -> Path:
    """An export that begins with many tasks without annotations."""
    region = label_studio.annotation(label_studio.polygon("tree"))
    tasks = [label_studio.task(f"{i}.png") for i in range(300)]
    return label_studio.export(root, *tasks, label_studio.task("a.png", region))


SAMPLES: dict[str, tuple[str, Callable[[Path], Path | None]]] = {
    "labelme": ("labelme", lambda root: labelme.store(root, [labelme.shape("tree", labelme.TREE)])),
    "labelme in splits": (
        "labelme",
        lambda root: (
            labelme.store(root / "train", [labelme.shape("tree", labelme.TREE)], imageData="A" * 100_000) and None
        ),
    ),
    "cvat": ("cvat", stored_cvat),
    "label-studio": (
        "label-studio",
        lambda root: label_studio.export(root, label_studio.task("a.png", label_studio.annotation(*label_studio.ALL))),
    ),
    "label-studio, minimal": ("label-studio", stored_json_min),
    "label-studio, first tasks without labels": ("label-studio", unlabelled_tasks),
    "supervisely": ("supervisely", lambda root: supervisely.store(root, supervisely.polygon("tree", supervisely.TREE))),
    "geojson": (
        "geojson",
        lambda root: geojson.store(root, geojson.collection(geojson.feature({"class": "a"}, geojson.TREE))),
    ),
    "geojson of qupath": ("geojson", lambda root: geojson.store(root, [geojson.feature({"class": "a"}, geojson.TREE)])),
}


@pytest.mark.parametrize(("name", "store"), SAMPLES.values(), ids=SAMPLES)
def test_one_reader_finds_its_format(tmp_path: Path, name: str, store: Callable[[Path], Path | None]) -> None:
    file = store(tmp_path)

    for root in (tmp_path, file):
        if root is not None:
            assert [other for other in FORMATS if _reader(other).found(root)] == [name]
            assert detect(root) == name
