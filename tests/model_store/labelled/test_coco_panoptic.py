"""Panoptic maps of COCO."""

import json
from pathlib import Path

import numpy as np
import pytest

from model_store.labelled import IGNORE, detect, open_format
from tests.model_store.labelled.naive import save, write
from tests.model_store.labelled.test_coco import SIZE, document, expected, stored


@pytest.mark.parametrize("color", [None, [[9, 8, 7], [1, 2, 3], [4, 5, 6]]])
def test_panoptic_maps_are_read_by_their_colours(tmp_path: Path, color: list[list[int]] | None) -> None:
    random = np.random.default_rng(0)
    segments = {1: 2, 300: 5, 70_000: 90, 16_000_000: 2}
    numbers = random.choice([0, *segments], SIZE)
    content = document(
        annotations=[
            {
                "image_id": 7, "file_name": "a_map.png",
                "segments_info": [{"id": i, "category_id": c, "iscrowd": 0, "area": 1} for i, c in segments.items()],
            }
        ]
    )  # fmt: skip
    for category, value in zip(content["categories"], color or [], strict=False):
        category["color"] = value
    root = stored(tmp_path, content, "annotations/panoptic_val2017.json")
    colours = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=2).astype(np.uint8)
    save(root / "annotations" / "panoptic_val2017" / "a_map.png", colours)
    assert detect(root) == "coco"
    data = open_format(root, "coco", "val")
    wanted = np.full(SIZE, IGNORE, dtype=np.uint8)
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            if numbers[y, x]:
                wanted[y, x] = {2: 0, 5: 1, 90: 2}[segments[int(numbers[y, x])]]
    np.testing.assert_array_equal(data[0].labels, wanted)
    if color is not None:
        assert [info.color for info in data.classes] == [(1, 2, 3), (4, 5, 6), (9, 8, 7)]
    assert data.survey.skipped == {"val2017/b.png": "no annotation that can be used"}


def panoptic(root: Path, numbers: np.ndarray, place: str = "annotations/panoptic_val2017") -> Path:
    entry = {"image_id": 7, "file_name": "a.png", "segments_info": [{"id": 4, "category_id": 2}]}
    stored(root, document(annotations=[entry]), "annotations/panoptic_val2017.json")
    save(root / place / "a.png", np.stack([numbers, numbers * 0, numbers * 0], axis=2).astype(np.uint8))
    return root


@pytest.mark.parametrize("place", ["annotations/panoptic_val2017", "panoptic_val2017", "annotations"])
def test_panoptic_maps_may_lie_in_several_places(tmp_path: Path, place: str) -> None:
    root = panoptic(tmp_path, np.full(SIZE, 4), place)
    assert (open_format(root, "coco", "val")[0].labels == 0).all()


def test_wrong_panoptic_maps_are_named(tmp_path: Path) -> None:
    root = panoptic(tmp_path, np.full(SIZE, 5))
    with pytest.raises(ValueError, match=r"a\.png has the segments \[5\], which panoptic_val2017\.json does not list"):
        open_format(root, "coco", "val")[0]
    panoptic(tmp_path, np.full((3, 4), 4))
    with pytest.raises(ValueError, match=r"a\.png is 4x3, its image 17x12"):
        open_format(root, "coco", "val")[0]
    (root / "annotations" / "panoptic_val2017" / "a.png").unlink()
    with pytest.raises(ValueError, match=r"a\.png, a panoptic map of .*, is in none of"):
        open_format(root, "coco", "val")[0]


def test_instances_are_preferred_and_the_survey_says_so(tmp_path: Path) -> None:
    root = stored(tmp_path, document())
    write(root / "annotations" / "panoptic_val2017.json", json.dumps(document(annotations=[])))
    write(root / "annotations" / "captions_val2017.json", json.dumps(document(annotations=[])))
    data = open_format(root, "coco", "val")
    np.testing.assert_array_equal(data[0].labels, expected())
    assert data.survey.notes == [
        "panoptic_val2017.json is not used, but instances_val2017.json; name the file itself to use it"
    ]
