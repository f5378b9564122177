"""Annotations and mask files as maps of classes."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.editing.annotations import IGNORE, from_annotations, from_mask
from service.problems import Problem

SIZE = (6, 8)
TOP = [0, 0, 8, 0, 8, 3, 0, 3]
LEFT = [0, 0, 4, 0, 4, 6, 0, 6]


def named(name: str, polygon: list[int]) -> dict[str, Any]:
    return {"class_name": name, "polygons": [polygon]}


def png(values: np.ndarray, palette: bool = False) -> bytes:
    image, file = Image.fromarray(values), io.BytesIO()
    if palette:
        image.putpalette([9, 9, 9] * 256)
    image.save(file, "PNG")
    return file.getvalue()


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
        ([{"class_name": "a"}], r"annotations\[0\] needs either a mask or polygons"),
        (
            [{"class_name": "a", "polygons": [TOP], "mask": {"size": [6, 8], "counts": [48]}}],
            r"annotations\[0\] needs either a mask or polygons",
        ),
        ([named("a", TOP), named("b", [0, 0, 0, 0, 0, 0])], r"annotations\[1\] covers no pixel"),
        ([{**named("a", TOP), "shape": 1}], r"annotations\[0\]\.shape: "),
    ],
)
def test_annotations_that_are_not_valid_are_refused_by_number(annotations: Any, words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        from_annotations(annotations, SIZE)
    assert refused.value.status == 422
    assert refused.value.fix


def test_an_indexed_mask_and_an_rgb_mask_give_the_same_map() -> None:
    indices = np.random.default_rng(0).integers(0, 3, SIZE, dtype=np.uint8)
    colors = np.array([(0, 0, 0), (255, 0, 0), (1, 2, 3)], np.uint8)[indices]
    by_index = from_mask(png(indices, palette=True), '{"1": "a", "2": {"class_id": 5}}', SIZE, 99)
    grey = from_mask(png(indices), '{"1": "a", "2": {"class_id": 5}}', SIZE, 99)
    by_color = from_mask(png(colors), '{"#ff0000": "a", "010203": {"class_id": 5}}', SIZE, 99)
    expected = np.where(indices == 0, IGNORE, indices.astype(np.int32) - 1)
    for labels in (by_index, grey, by_color):
        assert (labels.values == expected).all()
        assert [(ref.name, ref.class_id) for ref in labels.refs] == [("a", None), (None, 5)]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ('{"7": "a"}', "No pixel of the mask"),
        ('{"256": "a"}', "not an index"),
        ('{"red": "a"}', "not an index"),
        ("{}", "classes: "),
        ("[]", "classes: "),
        ('{"1": 5}', "classes"),
        ('{"1": {"name": "a", "class_id": 1}}', "either a name or an id"),
    ],
)
def test_classes_that_do_not_fit_the_mask_are_refused(classes: str, words: str) -> None:
    with pytest.raises(Problem, match=words) as refused:
        from_mask(png(np.ones(SIZE, np.uint8)), classes, SIZE, 99)
    assert refused.value.status == 422


def test_the_values_of_a_mask_are_named_where_none_has_a_class() -> None:
    with pytest.raises(Problem) as refused:
        from_mask(png(np.full((*SIZE, 3), 16, np.uint8)), '{"#ff0000": "a"}', SIZE, 99)
    assert refused.value.received == ["#101010"]


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(Problem, match="The image and the mask have different sizes"):
        from_mask(png(np.ones((8, 6), np.uint8)), '{"1": "a"}', SIZE, 99)
