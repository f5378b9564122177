"""Annotation files in which one value is another one: they are read, or refused with the name of a file."""

import copy
import json
import re
from collections.abc import Iterator

import pytest

from model_store.labelled import open_format
from tests.model_store.labelled import test_cvat as cvat
from tests.model_store.labelled import test_geojson as geojson
from tests.model_store.labelled import test_label_studio as label_studio
from tests.model_store.labelled import test_labelme as labelme
from tests.model_store.labelled import test_supervisely as supervisely
from tests.model_store.labelled.naive import photograph, write

STRANGE = (None, True, 3, -1, 1e300, float("nan"), float("inf"), "", "x", [], {}, [[]], [1, 2], [{}], {"a": 1})


def places(value, path=()) -> Iterator[tuple]:
    """The paths to all values in a JSON document."""
    yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*path, key))


def changed(document) -> Iterator[object]:
    """The document with one value replaced, or left out."""
    for path in places(document):
        for strange in STRANGE:
            if not path:
                yield strange
                continue
            damaged = copy.deepcopy(document)
            inner = damaged
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = strange
            yield damaged
        if path and isinstance(path[-1], str):
            damaged = copy.deepcopy(document)
            inner = damaged
            for key in path[:-1]:
                inner = inner[key]
            del inner[path[-1]]
            yield damaged


def check(root, name) -> None:
    """Open the data and read all labels; a refusal must name a file or the folder."""
    message = str(root)
    try:
        data = open_format(root, name, "train")
        for i in range(len(data)):
            data.labels(i, data.photograph(i).image.shape[:2])
    except ValueError as error:
        message = str(error)
    assert str(root) in message


def labelme_document(root):
    photograph(root / "a.png", labelme.SIZE)
    shapes = [
        labelme.shape("tree", labelme.TREE[:3]),
        labelme.shape("disc", labelme.TREE[:2], "circle"),
        labelme.shape("blob", [(2, 3), (7, 7)], "mask", mask=labelme.png(labelme.BLOB)),
    ]
    return root / "a.json", labelme.document(shapes, "a.png")


def label_studio_document(root):
    photograph(root / "a.png", label_studio.SIZE)
    regions = [
        label_studio.polygon("tree", label_studio.TREE[:3]),
        label_studio.ellipse("disc"),
        label_studio.rectangle("car", 20.0, 10.0, 40.0, 50.0),
    ]
    return root / "export.json", [label_studio.task("a.png", label_studio.annotation(*regions))]


def json_min_document(root):
    photograph(root / "a.png", label_studio.SIZE)
    value = {
        **label_studio.polygon("tree", label_studio.TREE[:3])["value"],
        "original_width": label_studio.SIZE[1],
        "original_height": label_studio.SIZE[0],
    }
    brush = {"format": "rle", "rle": [0, 0, 6, 64, 57], "brushlabels": ["a"]}
    return root / "export.json", [{"image": "a.png", "id": 1, "tag": [value, brush], "updated_at": "2024"}]


def supervisely_document(root):
    photograph(root / "ds/img/a.png", supervisely.SIZE)
    write(root / "meta.json", json.dumps(supervisely.meta()))
    parts = [{"exterior": [[0, 0], [3, 0], [3, 3]], "interior": [[[1, 1], [2, 1], [1, 2]]]}]
    return root / "ds/ann/a.png.json", supervisely.annotation(
        supervisely.polygon("tree", supervisely.TREE[:3]),
        supervisely.item("any", "multipolygon", parts=parts),
        supervisely.bitmap("blob", supervisely.BLOB, (1, 1)),
    )


def meta_document(root):
    file, content = supervisely_document(root)
    write(file, json.dumps(content))
    return root / "meta.json", supervisely.meta()


def geojson_document(root):
    geojson.store_on_map(root, {})
    features = [
        geojson.feature({"classification": {"name": "a", "color": [1, 2, 3]}}, geojson.on_map(geojson.HOLE)),
        geojson.feature({"class": 3}, kind="MultiPolygon", coordinates=[[geojson.closed(geojson.BOX[:3])]]),
    ]
    return root / "a.geojson", geojson.collection(*features, **geojson.system("EPSG:32633"))


@pytest.mark.parametrize(
    ("name", "prepare"),
    [
        ("labelme", labelme_document),
        ("label-studio", label_studio_document),
        ("label-studio", json_min_document),
        ("supervisely", supervisely_document),
        ("supervisely", meta_document),
        ("geojson", geojson_document),
    ],
)
def test_one_strange_value_in_a_json_never_gives_another_error(tmp_path, name, prepare):
    file, document = prepare(tmp_path)

    for damaged in changed(document):
        write(file, json.dumps(damaged))
        check(tmp_path, name)


def test_one_strange_attribute_in_an_xml_never_gives_another_error(tmp_path):
    photograph(tmp_path / "images/a.png", cvat.SIZE)
    shapes = (
        cvat.polygon("car", cvat.TREE, z_order=1)
        + cvat.element("box", "car", xtl="1", ytl="2", xbr="5", ybr="6", rotation="3", z_order="0")
        + cvat.element("ellipse", "car", cx="3", cy="3", rx="2", ry="1", rotation="3", z_order="0")
        + cvat.element("mask", "tree", rle=cvat.RUNS, left="14", top="9", width="6", height="5", z_order="0")
    )
    document = cvat.document(cvat.image("a.png", shapes, subset="train"))

    for found in re.finditer(r' (\w+)="([^"]*)"|<(name|color|type)>([^<]*)<', document):
        group = 2 if found[1] else 4
        for strange in ("", "x", "-1", "1e300", "nan", "inf", "1,2", ";", "99999999999999999999", "\u0660"):
            damaged = document[: found.start(group)] + strange + document[found.end(group) :]
            check_xml(tmp_path, damaged)
        check_xml(tmp_path, document[: found.start()] + document[found.end() - (found[1] is None) :])


def check_xml(root, text) -> None:
    write(root / "annotations.xml", text)
    check(root, "cvat")
