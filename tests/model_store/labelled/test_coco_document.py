"""COCO's annotation files: recognised by their beginnings, kept compactly, and refused with the entry that is wrong."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.labelled.coco import Coco
from model_store.labelled.coco_document import read_document
from tests.model_store.labelled.naive import photograph, write
from tests.model_store.labelled.test_coco import JSON, SIZE, document, stored


def annotation(**change: Any) -> Callable[[JSON], Any]:
    return lambda content: content["annotations"][0].update(change)


def category(**change: Any) -> Callable[[JSON], Any]:
    return lambda content: content["categories"][0].update(change)


def image(**change: Any) -> Callable[[JSON], Any]:
    return lambda content: content["images"][0].update(change)


def ring(*values: Any) -> Callable[[JSON], Any]:
    return annotation(segmentation=[list(values)])


def encoding(**change: Any) -> Callable[[JSON], Any]:
    return annotation(segmentation={"size": list(SIZE), "counts": [204], **change})


RING = "annotation 1 has a segmentation that is neither polygons"
ENCODING = "annotation 1 has a run-length encoding without"
SEGMENT = {"id": 5, "image_id": 7, "category_id": 2, "file_name": "m.png"}
MALFORMED: list[tuple[Callable[[JSON], Any], str]] = [
    (lambda content: content.pop("images"), 'has no list of objects "images"'),
    (lambda content: content.update(annotations={}), 'has no list of objects "annotations"'),
    (lambda content: content["annotations"].append(3), 'has no list of objects "annotations"'),
    (lambda content: content.update(categories=[]), "there are 0 classes"),
    (category(name="car"), "the names 'car' and 'car' are one"),
    (category(id=2), "two categories with the id 2"),
    (category(name=None), "category 90 has \"name\": 'None'; it must be a text"),
    (category(id="x"), "category x has \"id\": 'x'; it must be a whole number"),
    (image(id=3), "two images with the id 3"),
    (image(file_name=None), "image 7 has \"file_name\": 'None'; it must be a text"),
    (image(id=[1]), r"has \"id\": '\[1\]'; it must be a number or a text"),
    (annotation(image_id=None), "annotation 1 has \"image_id\": 'None'"),
    (annotation(category_id=True), "annotation 1 has \"category_id\": 'True'"),
    (annotation(category_id=[1]), r"annotation 1 has \"category_id\": '\[1\]'"),
    (annotation(segmentation="polygon"), RING),
    (ring(1, 2, 3, 4, 5, 6, 7), RING),
    (ring("1", "2", "3", "4", "5", "6"), RING),
    (ring([1, 2], [3, 4], [5, 6]), RING),
    (ring(1, 2, 3, 4, 5, float("nan")), RING),
    (ring(1, 2, 3, 4, 5, float("inf")), RING),
    (ring(1, 2, 3, 4, 5, 10**400), RING),
    (encoding(size=None), ENCODING),
    (encoding(size=[3]), ENCODING),
    (encoding(size=[3, -4]), ENCODING),
    (encoding(counts=None), ENCODING),
    (encoding(counts=""), ENCODING),
    (encoding(counts=["a"]), ENCODING),
    (encoding(counts=[10**30]), ENCODING),
    (
        lambda content: content["annotations"].append({**SEGMENT, "segments_info": 5}),
        "of the annotation 5 is not a list",
    ),
    (lambda content: content["annotations"].append({**SEGMENT, "segments_info": [{"category_id": 2}]}), 'has "id": '),
]


@pytest.mark.parametrize(("spoil", "said"), MALFORMED, ids=[said for _, said in MALFORMED])
def test_a_malformed_file_is_named_with_its_entry(tmp_path: Path, spoil: Callable[[JSON], Any], said: str) -> None:
    content = document()
    spoil(content)
    file = write(tmp_path / "instances.json", json.dumps(content))
    with pytest.raises(ValueError, match=r"instances\.json") as fault:
        read_document(file)
    assert fault.match(said)


@pytest.mark.parametrize(
    "content",
    [
        {"version": "5.0", "flags": {}, "shapes": [{"label": "a"}], "imagePath": "a.png"},  # LabelMe
        [{"id": 1, "annotations": [], "data": {}}],  # Label Studio
        {"categories": [{"id": 0, "name": "a"}], "info": {}},  # notes.json of Label Studio's YOLO export
        {"info": {}, "categories": {"label": {}}, "items": []},  # Datumaro
        {"images": {}, "annotations": {}, "categories": {}},
        {"set": {"images": [], "annotations": [], "categories": []}},
        {"a.png123": {"filename": "a.png", "regions": []}},  # VGG Image Annotator
        "images annotations categories",
    ],
)
def test_other_json_files_are_not_taken_for_coco(tmp_path: Path, content: Any) -> None:
    photograph(tmp_path / "images" / "a.png", SIZE)
    for file in (tmp_path / "annotations" / "a.json", tmp_path / "a.json", tmp_path / "train" / "annotations.json"):
        write(file, json.dumps(content))
    assert not Coco.found(tmp_path)
    assert not Coco.found(tmp_path / "a.json")
    assert not Coco.found(tmp_path / "missing")


def test_a_long_file_is_recognised_by_its_beginning(tmp_path: Path) -> None:
    content = document()
    content["images"] += [{"id": 1000 + i, "file_name": f"{i}.png", "width": 4, "height": 4} for i in range(5000)]
    root = stored(tmp_path, content)
    assert (root / "annotations" / "instances_val2017.json").stat().st_size > 200_000
    assert Coco.found(root)
    many = {"images": [], "shapes": [{"label": "x" * 40}] * 5000}
    write(root / "annotations" / "instances_val2017.json", json.dumps(many))
    assert not Coco.found(root)


def test_memory_stays_near_the_size_of_the_file(tmp_path: Path) -> None:
    """Lists of Python's numbers would take five times as much."""
    ring = np.random.default_rng(0).uniform(0, 640, 200).round(2).tolist()
    entry = {"category_id": 2, "iscrowd": 0, "bbox": [1.5] * 4, "keypoints": [0.5] * 51, "segmentation": [ring]}
    content = document(annotations=[{**entry, "id": i, "image_id": 7} for i in range(2000)])
    file = write(tmp_path / "instances.json", json.dumps(content))
    tracemalloc.start()
    read = read_document(file)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(read.shapes[7]) == 2000
    assert kept < 1.6 * file.stat().st_size
    assert peak < 4 * file.stat().st_size


def test_memory_of_panoptic_files_stays_near_their_size(tmp_path: Path) -> None:
    segments = [{"id": i, "category_id": 2, "iscrowd": 0, "area": 1.5, "bbox": [1.5, 2.5, 3.5, 4.5]} for i in range(9)]
    entry = {"file_name": "a.png", "segments_info": segments}
    content = document(annotations=[{**entry, "image_id": i} for i in range(2000)])
    content["images"] = [{"id": i, "file_name": f"{i}.png"} for i in range(2000)]
    file = write(tmp_path / "panoptic.json", json.dumps(content))
    tracemalloc.start()
    read = read_document(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(read.maps) == 2000
    assert peak < 4.8 * file.stat().st_size
