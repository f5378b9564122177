"""Annotations as maps of classes."""

import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from service.editing.annotations import IGNORE, Dropped, from_annotations
from service.images.polygons import polygons
from service.problems import Problem

SIZE = (6, 8)
TOP = [0, 0, 8, 0, 8, 3, 0, 3]
LEFT = [0, 0, 4, 0, 4, 6, 0, 6]


def named(name: str, polygon: list[int]) -> dict[str, Any]:
    return {"class_name": name, "polygons": [polygon]}


def test_a_later_annotation_overwrites_an_earlier_one() -> None:
    labels = from_annotations([named("a", TOP), named("b", LEFT)], SIZE)
    assert [ref.name for ref in labels.refs] == ["a", "b"]
    assert (labels.values[:, :4] == 1).all()
    assert (labels.values[:3, 4:] == 0).all()
    assert (labels.values[3:, 4:] == IGNORE).all()


def test_json_text_and_parsed_json_give_the_same_map() -> None:
    annotations = [named("a", TOP)]
    assert (from_annotations(json.dumps(annotations), SIZE).values == from_annotations(annotations, SIZE).values).all()


def test_names_that_differ_in_case_are_one_class() -> None:
    labels = from_annotations([named("Kerb", TOP), named(" kerb", LEFT), {"class_id": 3, "polygons": [LEFT]}], SIZE)
    assert [(ref.name, ref.class_id) for ref in labels.refs] == [("Kerb", None), (None, 3)]


def test_a_mask_of_run_lengths_is_read_by_columns() -> None:
    counts = [6, 6, 36]  # the second column
    labels = from_annotations([{"class_name": "a", "mask": {"size": [6, 8], "counts": counts}}], SIZE)
    assert (labels.values[:, 1] == 0).all()
    assert (labels.values == 0).sum() == 6


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ([], r"annotations: "),
        ("{", r"annotations: "),
        ([{"class_name": "a"}], r"annotations\[0\] needs either a mask"),
        ([{**named("a", TOP), "mask": {"size": [6, 8], "counts": [48]}}], r"annotations\[0\] needs either a mask"),
        ([{**named("a", TOP), "segmentation": [LEFT]}], r"annotations\[0\] needs either a mask"),
        ([{"class_name": "a", "mask": {"size": [6, 8]}}], r"annotations\[0\] needs either a mask"),
        ([{"class_name": "a", "mask": {"size": [8, 6], "counts": [48]}}], "different sizes"),
        ([{"class_name": "a", "mask": {"size": [8, 6], "polygons": [TOP]}}], "different sizes"),
        ([{"class_name": "a", "segmentation": "x"}], r"annotations\[0\]\.segmentation"),
        ([{"polygons": [TOP]}], r"annotations\[0\] needs a class, either by name or by id"),
        ([{**named("a", TOP), "class_id": 1}], r"annotations\[0\] needs a class, either by name or by id"),
        ([named("a", TOP), named("b", [0, 0, 1, float("nan"), 0, 0])], r"annotations\[1\]\.polygons\[0\]\[3\]: "),
        ([{**named("a", TOP), "shape": 1}], r"annotations\[0\]\.shape: "),
    ],
)
def test_annotations_that_are_not_valid_are_refused_by_number(annotations: Any, words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        from_annotations(annotations, SIZE)
    assert refused.value.status == 422
    assert refused.value.fix


def test_a_class_is_named_exactly_if_two_differ_by_case_only() -> None:
    both = from_annotations([named("Car", TOP), named("car", LEFT)], SIZE, ["car", "Car"])
    assert [ref.name for ref in both.refs] == ["Car", "car"]
    one = from_annotations([named("Car", TOP), named("car", LEFT)], SIZE, ["car", "bus"])
    assert [ref.name for ref in one.refs] == ["Car"]


def test_a_new_name_that_is_not_allowed_is_refused_and_an_existing_one_is_used() -> None:
    with pytest.raises(Problem, match="name of the class is not valid"):
        from_annotations([named("a\u200eb", TOP)], SIZE, ["b"])
    assert from_annotations([named("a\u200eb", TOP)], SIZE, ["a\u200eb"]).refs[0].name == "a\u200eb"


@pytest.mark.parametrize("points", [False, True])
def test_what_an_answer_holds_is_taken_back(points: bool) -> None:
    mask = np.zeros(SIZE, dtype=bool)
    mask[1:6, 1:7] = True
    mask[3:5, 2:5] = False
    traced = polygons(mask)
    assert len(traced) == 2
    given = traced if points else [[number for point in ring for number in point] for ring in traced]
    for annotation in (
        {"class_name": "a", "polygons": given},
        {"class_name": "a", "mask": {"size": list(SIZE), "polygons": given}},
    ):
        labels = from_annotations([annotation], SIZE)
        assert ((labels.values == 0) == mask).all()
        assert labels.dropped == ()


def test_annotations_without_a_pixel_are_reported_and_the_others_used() -> None:
    thin, out = [0, 0.1, 8, 0.2, 8, 0.3], [9, 0, 12, 0, 12, 6]
    labels = from_annotations(
        [
            {"class_name": "thin", "polygons": [thin]},
            {"class_name": "a", "polygons": [TOP, out, [1, 1]]},
            {"class_name": "b", "mask": {"size": [6, 8], "counts": [48]}},
            {"class_name": "c", "polygons": []},
        ],
        SIZE,
    )
    assert [ref.name for ref in labels.refs] == ["a"]
    assert (labels.values[:3] == 0).all()
    assert labels.dropped == (
        Dropped(0, 0, "covers no pixel"),
        Dropped(0, None, "covers no pixel"),
        Dropped(1, 1, "outside the image"),
        Dropped(1, 2, "fewer than three points"),
        Dropped(2, None, "covers no pixel"),
        Dropped(3, None, "covers no pixel"),
    )


def test_annotations_that_cover_nothing_at_all_are_refused_with_every_reason() -> None:
    with pytest.raises(Problem, match="No annotation covers a pixel") as refused:
        from_annotations([named("a", [9, 0, 12, 0, 12, 6]), named("b", [1, 1])], SIZE)
    assert refused.value.status == 422
    assert refused.value.received == [
        "annotations[0], polygon 0: outside the image",
        "annotations[0]: covers no pixel",
        "annotations[1], polygon 0: fewer than three points",
        "annotations[1]: covers no pixel",
    ]


OF_COCO = {"id": 17, "image_id": 3, "category_id": 2, "iscrowd": 0, "area": 24.0, "bbox": [0, 0, 8, 3]}
CATEGORIES = [{"id": 1, "name": "road", "supercategory": "flat"}, {"id": 2, "name": "kerb", "supercategory": "flat"}]


def rle(mask: np.ndarray, compressed: bool) -> dict[str, Any]:
    if compressed:
        found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": found["size"], "counts": found["counts"].decode()}
    return {"size": list(mask.shape), "counts": [0, 3] + [3, 3] * 7 + [3]}


@pytest.mark.parametrize("form", ["polygons", "compressed", "uncompressed"])
def test_an_annotation_of_a_coco_file_is_understood_as_it_is(form: str) -> None:
    mask = np.zeros(SIZE, dtype=bool)
    mask[:3] = True
    segmentation = [TOP] if form == "polygons" else rle(mask, form == "compressed")
    annotation = OF_COCO | {"segmentation": segmentation, "iscrowd": int(form == "uncompressed")}
    for categories in (CATEGORIES, json.dumps(CATEGORIES)):
        labels = from_annotations([annotation], SIZE, categories=categories)
        assert [ref.name for ref in labels.refs] == ["kerb"]
        assert ((labels.values == 0) == mask).all()
    named_too = from_annotations([annotation | {"class_name": "wall"}], SIZE)
    assert [ref.name for ref in named_too.refs] == ["wall"]


@pytest.mark.parametrize(
    ("categories", "words"),
    [
        (None, r"annotations\[0\]\.category_id needs `categories`"),
        ([{"id": 1, "name": "road"}], r"annotations\[0\]\.category_id is in no entry of `categories`"),
        ([], r"annotations\[0\]\.category_id is in no entry"),
        ([{"id": 2, "name": "a"}, {"id": 2, "name": "b"}], "Two categories have one id"),
        ([{"id": 2}], r"categories\[0\]\.name: "),
        ("{", "categories: "),
    ],
)
def test_a_category_without_a_name_is_refused_with_a_fix(categories: Any, words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        from_annotations([OF_COCO | {"segmentation": [TOP]}], SIZE, categories=categories)
    assert refused.value.status == 422
    assert '"categories"' in str(refused.value.fix) or "`categories`" in str(refused.value.fix)
