"""Label Studio: exports as JSON and as JSON-MIN, with brush strokes, polygons, rectangles and ellipses."""

import json

import numpy as np
import pytest

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.label_studio import LabelStudio
from tests.model_store.labelled.naive import inside, painted, photograph, write
from tests.model_store.labelled.naive_shapes import elliptic, turned_box
from tests.model_store.labelled.test_brush import brush_code

SIZE = (16, 25)
TREE = [(6.0, 10.0), (90.0, 12.5), (70.0, 95.0), (10.0, 60.0)]  # percent
BLOB = np.random.default_rng(0).random(SIZE) > 0.6


def result(kind, label, value, number="r1", **more):
    name = {"brushlabels": "brush", "polygonlabels": "polygon"}.get(kind, "tag")
    return {
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "value": {**value, kind: [label]},
        "id": number,
        "from_name": name,
        "to_name": "image",
        "type": kind,
        "origin": "manual",
        **more,
    }


def polygon(label, points=TREE, **more):
    return result("polygonlabels", label, {"points": [list(point) for point in points], "closed": True}, **more)


def rectangle(label, x, y, width, height, rotation=0.0, **more):
    return result(
        "rectanglelabels", label, {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}, **more
    )


def brush(label, mask=BLOB, **more):
    return result("brushlabels", label, {"format": "rle", "rle": list(brush_code(mask))}, **more)


def ellipse(label, **more):
    return result(
        "ellipselabels", label, {"x": 50.0, "y": 45.0, "radiusX": 30.0, "radiusY": 20.0, "rotation": 25.0}, **more
    )


def annotation(*results, when="2024-05-01T10:00:00.000000Z", **more):
    return {
        "id": 3,
        "completed_by": 1,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": when,
        "updated_at": when,
        "draft_created_at": None,
        "lead_time": 3.2,
        "prediction": {},
        "result_count": 0,
        "task": 5,
        "parent_prediction": None,
        "parent_annotation": None,
        **more,
    }


def task(image, *annotations, number=5, **more):
    return {
        "id": number,
        "annotations": list(annotations),
        "file_upload": "a.jpg",
        "drafts": [],
        "predictions": [],
        "data": {"image": image},
        "meta": {},
        "created_at": "2024-05-01T09:00:00.000000Z",
        "inner_id": 1,
        "total_annotations": 1,
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "project": 1,
        **more,
    }


def export(root, *tasks, images=("a.png",)):
    for name in images:
        photograph(root / name, SIZE)
    return write(root / "project-1-at-2024-05-01-10-00-12345678.json", json.dumps(list(tasks), ensure_ascii=False))


def in_pixels(points):
    return [(x / 100 * SIZE[1], y / 100 * SIZE[0]) for x, y in points]


TREE_MASK = inside([in_pixels(TREE)], SIZE)
ALL = [
    polygon("tree"),
    rectangle("car", 20.0, 10.0, 40.0, 50.0, number="r2"),
    brush("blob", number="r3"),
    rectangle("tree", 40.0, 20.0, 30.0, 25.0, rotation=35.0, number="r4"),
    ellipse("disc", number="r5"),
]


def all_labels():
    box = in_pixels([(20, 10), (60, 10), (60, 60), (20, 60)])
    left, top = 10.0, 3.2
    turned = turned_box(left, top, left + 7.5, top + 4.0, 35, (left, top))  # around its first corner
    return painted(
        [
            (3, TREE_MASK),
            (1, inside([box], SIZE)),
            (0, BLOB),
            (3, inside([turned], SIZE)),
            (2, elliptic((12.5, 7.2), (7.5, 3.2), 25, SIZE)),
        ],
        SIZE,
    )


def test_all_kinds_of_regions_with_an_area(tmp_path):
    export(tmp_path, task("/data/upload/1/0a1b2c3d-a.png", annotation(*ALL)))

    data = open_format(tmp_path, detect(tmp_path), "train")

    assert (data.name, [info.name for info in data.classes]) == ("label-studio", ["blob", "car", "disc", "tree"])
    assert (data[0].labels == all_labels()).all()
    assert set(np.unique(all_labels())) == {0, 1, 2, 3, IGNORE}
    assert data.survey.lines() == ["1 images are used"]


def test_json_min_has_the_same_regions(tmp_path):
    def fields(*parts):
        return [{**part["value"], "original_width": SIZE[1], "original_height": SIZE[0]} for part in parts]

    photograph(tmp_path / "a.png", SIZE)
    row = {
        "image": "/data/upload/1/0a1b2c3d-a.png",
        "id": 5,
        "polygon": fields(ALL[0]),
        "tag": fields(ALL[1]),
        "brush": fields(ALL[2]),
        "turned": fields(ALL[3]),
        "ellipse": fields(ALL[4]),
        "quality": "good",
        "notes": ["a", "b"],
        "keys": [{"x": 1.0, "y": 2.0, "width": 0.3, "keypointlabels": ["nose"]}],
        "review": [{"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "choices": ["yes"]}],
        "annotator": 1,
        "annotation_id": 3,
        "created_at": "2024-05-01T10:00:00Z",
        "updated_at": "2024-05-01T10:00:00Z",
        "lead_time": 3.2,
    }
    write(tmp_path / "min.json", json.dumps([row]))

    assert detect(tmp_path) == "label-studio"
    data = LabelStudio(tmp_path, "train")
    assert (data[0].labels == all_labels()).all()
    assert data.survey.notes == ["1 shape is not used: kind keypointlabels"]


def test_cancelled_annotations_and_predictions_are_no_labels(tmp_path):
    export(
        tmp_path,
        task(
            "a.png",
            annotation(polygon("car"), when="2025-01-01T00:00:00Z", was_cancelled=True),
            annotation(polygon("tree")),
            predictions=[{"result": [polygon("guess")]}, {"result": []}],
        ),
        task("b.png", annotation(polygon("car"), was_cancelled=True)),
        task("c.png", predictions=[{"result": [polygon("guess")]}]),
        images=("a.png", "b.png", "c.png"),
    )

    data = LabelStudio(tmp_path, "train")

    assert [info.name for info in data.classes] == ["tree"]
    assert (data[0].labels == painted([(0, TREE_MASK)], SIZE)).all()
    assert data.survey.skipped == {"b.png": "no labels", "c.png": "no labels"}
    assert data.survey.notes == [
        "2 annotations are not used: cancelled",
        "3 predictions are not used: no label of a person",
    ]


@pytest.mark.parametrize(
    ("annotations", "used"),
    [
        ([annotation(polygon("old"), when="2024-01-01"), annotation(polygon("new"), when="2024-02-01")], "new"),
        ([annotation(polygon("new"), when="2024-02-01"), annotation(polygon("old"), when="2024-01-01")], "new"),
        ([annotation(polygon("truth"), when="2024-01-01", ground_truth=True), annotation(polygon("new"))], "truth"),
    ],
)
def test_of_several_annotations_the_truth_or_the_latest_is_used(tmp_path, annotations, used):
    export(tmp_path, task("a.png", *annotations))

    data = LabelStudio(tmp_path, "train")

    assert [info.name for info in data.classes] == [used]
    assert data.survey.notes == ["1 annotation is not used: another one of the image comes first"]


def test_regions_without_an_area_or_a_label_are_noted(tmp_path):
    point = result("keypointlabels", "nose", {"x": 5.0, "y": 6.0, "width": 0.4}, number="k")
    export(
        tmp_path,
        task(
            "a.png",
            annotation(
                polygon("tree"),
                point,
                polygon("car", TREE[:2]),
                rectangle("car", 5, 5, 0, 7),
                polygon("car", image_rotation=90),
                {**polygon("car"), "value": {"points": TREE, "closed": False, "polygonlabels": ["car"]}},
                {
                    "original_width": SIZE[1],
                    "original_height": SIZE[0],
                    "value": {"points": TREE},
                    "id": "p",
                    "type": "polygon",
                },
                polygon("car", item_index=1),
                result("bitmasklabels", "car", {"imageDataURL": "data:image/png;base64,"}),
                {"from_id": "r1", "to_id": "k", "type": "relation", "direction": "right"},
                {
                    "value": {"choices": ["good"]},
                    "id": "c",
                    "from_name": "quality",
                    "to_name": "image",
                    "type": "choices",
                },
            ),
        ),
    )

    data = LabelStudio(tmp_path, "train")

    assert (data[0].labels == painted([(0, TREE_MASK)], SIZE)).all()
    assert data.survey.notes == [
        "1 shape is not used: kind keypointlabels",
        "3 shapes are not used: no area, or fewer than three points",
        "1 shape is not used: image rotated in Label Studio",
        "1 shape is not used: no label",
        "1 shape is not used: on another image of a task with several images",
        "1 shape is not used: kind bitmasklabels",
    ]


def test_a_shape_and_its_label_may_be_two_entries(tmp_path):
    """Brush and Labels as two tags of the configuration: the region is stated for each of them."""
    code = {"format": "rle", "rle": list(brush_code(BLOB))}
    about = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0, "id": "r1"}
    export(
        tmp_path,
        task(
            "a.png",
            annotation(
                {**about, "value": code, "from_name": "brush", "type": "brush"},
                {**about, "value": {**code, "labels": ["blob"]}, "type": "labels"},
            ),
        ),
    )

    data = LabelStudio(tmp_path, "train")

    assert (data[0].labels == painted([(0, BLOB)], SIZE)).all()
    assert data.survey.notes == []


def test_a_region_without_the_size_of_its_image_is_in_percent_of_the_file(tmp_path):
    export(tmp_path, task("a.png", annotation(polygon("tree", original_width=None, original_height=None))))

    assert (LabelStudio(tmp_path, "train")[0].labels == painted([(0, TREE_MASK)], SIZE)).all()


def test_a_missing_image_is_noted(tmp_path):
    export(
        tmp_path,
        task("a.png", annotation(polygon("tree"))),
        task("/data/upload/1/01234567-lost.png", annotation()),
        task("", annotation(polygon("tree")), data={"text": "hello"}),
    )
    write(tmp_path / "other.json", "{}")

    data = LabelStudio(tmp_path, "train")

    assert data.survey.skipped == {
        "01234567-lost.png": "named by the export, but missing",
        "other.json": "not project-1-at-2024-05-01-10-00-12345678.json",
    }
    assert data.survey.notes == ["1 annotation is not used: the task names no image"]


def test_one_file_is_a_data_set(tmp_path):
    file = export(tmp_path, task("a.png", annotation(polygon("tree"))))
    write(tmp_path / "older.json", file.read_text())

    assert LabelStudio(file, "train").survey.used == ["a.png"]
    with pytest.raises(ValueError, match=r"has 2 exports of Label Studio .*older\.json"):
        LabelStudio(tmp_path, "train")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [task("a.png", annotation({**polygon("a"), "value": {"points": [[1, "x"]], "polygonlabels": ["a"]}}))],
            r"export\.json: region 0 of a\.png: points\[0\]\[1\] is 'x'",
        ),
        (
            [task("a.png", annotation({**brush("a"), "value": {"rle": [1, 256], "brushlabels": ["a"]}}))],
            r"region 0 of a\.png: rle is \[1, 256\].*from 0 to 255",
        ),
        (
            [task("a.png", annotation({**polygon("a"), "value": {"points": TREE, "polygonlabels": "a"}}))],
            r"region 0 of a\.png: polygonlabels is 'a'",
        ),
        ([task("a.png", annotation(polygon("a"), result="none"))], r"export\.json: \[0\]\.annotations\[0\]\.result is"),
        ([task("a.png", annotation(polygon("a")), data=[])], r"export\.json: \[0\]\.data is \[\]"),
        ([task("a.png", annotation(polygon("a"))), 3], r"export\.json: \[1\] is 3"),
        ([task("a.png", annotation(polygon("a"), polygon("b", original_width=26)))], r"images of several sizes"),
        ([task("a.png", annotation(), annotation())], "has no region that can be used. .*1 annotation is not used"),
        ([task("b.png", annotation(polygon("a")))], "has no region .* named by the export, but missing: b.png"),
    ],
)
def test_malformed_files_are_refused(tmp_path, content, message):
    photograph(tmp_path / "a.png", SIZE)
    file = write(tmp_path / "export.json", json.dumps(content))

    with pytest.raises(ValueError, match=message):
        LabelStudio(file, "train")


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (polygon("a", original_width=26), r"the labels were drawn on 26x16 pixels"),
        (
            result("brushlabels", "a", {"rle": list(brush_code(np.ones((3, 3))))}),
            r"class 'a' .* 36 values, and 1600 are",
        ),
        (result("brushlabels", "a", {"rle": list(brush_code(BLOB))[:-9]}), r"class 'a' .*the brush strokes end after"),
    ],
)
def test_regions_that_do_not_fit_the_image_are_refused(tmp_path, region, message):
    export(tmp_path, task("a.png", annotation(region)))
    data = LabelStudio(tmp_path, "train")

    with pytest.raises(ValueError, match=message):
        data[0]


def test_other_files_are_not_taken_for_exports(tmp_path):
    write(tmp_path / "coco.json", json.dumps({"images": [], "annotations": [], "categories": [], "data": {}}))
    write(tmp_path / "list.json", json.dumps([{"name": "x", "labels": ["a"]}]))

    assert not LabelStudio.found(tmp_path)
    with pytest.raises(ValueError, match="has 0 exports of Label Studio"):
        LabelStudio(tmp_path, "train")
