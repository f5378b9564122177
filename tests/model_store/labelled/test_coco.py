"""COCO: polygons, both run-length encodings and panoptic maps give the labels that plain loops give."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
import pytest
from PIL import Image

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.coco_document import read_document
from model_store.labelled.coco_runs import decoded_counts
from tests.model_store.labelled.naive import inside, painted, photograph, write

SIZE = (12, 17)
CAR = [1.0, 1.0, 9.5, 2.0, 8.0, 9.0, 2.0, 8.0]
PART = [10.0, 1.0, 16.0, 1.0, 16.0, 6.0]
OVER = [6.0, 0.0, 20.0, 0.0, 20.0, 30.0, 6.0, 5.0]  # covers the car, and leaves the image
JSON = dict[str, Any]


def points(ring: list[float]) -> list[tuple[float, float]]:
    return list(zip(ring[::2], ring[1::2], strict=True))


def runs(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths of a mask, column after column, by a plain loop."""
    counts, value = [0], False
    for x in range(mask.shape[1]):
        for y in range(mask.shape[0]):
            if bool(mask[y, x]) != value:
                counts.append(0)
                value = not value
            counts[-1] += 1
    return counts


def document(**changes: Any) -> JSON:
    """Two images with three classes, whose categories are not in order."""
    image = {"width": SIZE[1], "height": SIZE[0], "license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
    annotation = {"image_id": 7, "iscrowd": 0, "area": 1.0, "bbox": [0, 0, 1, 1]}
    content = {
        "info": {"year": 2017}, "licenses": [],
        "images": [{"id": 7, "file_name": "a.png", **image}, {"id": 3, "file_name": "b.png", **image}],
        "categories": [
            {"id": 90, "name": "road", "supercategory": "stuff"},
            {"id": 2, "name": "car", "supercategory": "vehicle"},
            {"id": 5, "name": "tree", "supercategory": "stuff"},
        ],
        "annotations": [
            {**annotation, "id": 1, "category_id": 2, "segmentation": [CAR, PART]},
            {**annotation, "id": 2, "category_id": 90, "segmentation": [OVER]},
            {**annotation, "id": 3, "image_id": 3, "category_id": 5, "segmentation": [CAR]},
        ],
    }  # fmt: skip
    return {**content, **changes}


def expected() -> np.ndarray:
    car = inside([points(CAR)], SIZE) | inside([points(PART)], SIZE)
    return painted([(0, car), (2, inside([points(OVER)], SIZE))], SIZE)


def one(segmentation: Any, **more: Any) -> JSON:
    """One annotation of the first image, and one of the second."""
    second = {"id": 9, "image_id": 3, "category_id": 5, "segmentation": [CAR]}
    return document(
        annotations=[{"id": 1, "image_id": 7, "category_id": 2, "segmentation": segmentation, **more}, second]
    )


def stored(
    root: Path, content: JSON, file: str = "annotations/instances_val2017.json", images: str = "val2017"
) -> Path:
    write(root / file, json.dumps(content))
    for seed, name in enumerate(("a.png", "b.png")):
        photograph(root / images / name, SIZE, seed)
    return root


LAYOUTS = {
    "coco": ("annotations/instances_val2017.json", "val2017", "val"),
    "exact name": ("annotations/instances_val2017.json", "val2017", "val2017"),
    "images/split": ("annotations/instances_val.json", "images/val", "val"),
    "images/": ("annotations/instances_default.json", "images", "train"),
    "cvat": ("annotations/instances_default.json", "images/default", "train"),
    "roboflow": ("valid/_annotations.coco.json", "valid", "val"),
    "roboflow in one folder": ("_annotations.coco.json", ".", "train"),
    "beside": ("annotations.json", ".", "train"),
    "label studio": ("result.json", "images", "train"),
    "fiftyone": ("labels.json", "data", "train"),
    "any name": ("my export.json", "pictures", "train"),
    "in one inner folder": ("export/annotations.json", "export", "train"),
    "in one folder": ("train.json", "train", "train"),
}


@pytest.mark.parametrize(("file", "images", "split"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_detected_and_gives_the_same_labels(tmp_path: Path, file: str, images: str, split: str) -> None:
    root = stored(tmp_path, document(), file, images)
    assert detect(root) == "coco"
    data = open_format(root, "coco", split)
    assert [info.name for info in data.classes] == ["car", "tree", "road"]
    assert [data.image_file(i).name for i in range(len(data))] == ["a.png", "b.png"]
    assert data.survey.lines() == ["2 images are used"]
    np.testing.assert_array_equal(data[0].labels, expected())
    np.testing.assert_array_equal(data[1].labels, painted([(1, inside([points(CAR)], SIZE))], SIZE))
    np.testing.assert_array_equal(data[1].image, np.asarray(Image.open(root / images / "b.png")))


@pytest.mark.parametrize(("file", "images", "split"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_annotation_file_itself_may_be_given(tmp_path: Path, file: str, images: str, split: str) -> None:
    root = stored(tmp_path / "streets", document(), file, images)
    assert detect(root / file) == "coco"
    data = open_format(root / file, "coco", "anything")
    beside = Path(file).parent.name
    assert data.folder == (beside if beside not in ("", "annotations") else "streets")
    np.testing.assert_array_equal(data[0].labels, expected())


def test_keep_takes_the_labels_along(tmp_path: Path) -> None:
    data = open_format(stored(tmp_path, document()), "coco", "val")
    data.keep([1])
    assert len(data) == 1
    np.testing.assert_array_equal(data[0].labels, painted([(1, inside([points(CAR)], SIZE))], SIZE))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("form", ["uncompressed", "compressed"])
def test_run_lengths_give_the_mask_that_was_encoded(tmp_path: Path, seed: int, form: str) -> None:
    random = np.random.default_rng(seed)
    mask = np.kron(random.random((4, 6)) < 0.5, np.ones((3, 3)))[: SIZE[0], : SIZE[1]].astype(np.uint8)
    mask[0, 0] = seed % 2  # a mask may begin with either value
    counts: Any = runs(mask)
    if form == "compressed":
        counts = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    root = stored(tmp_path, one({"size": list(SIZE), "counts": counts}, iscrowd=1))
    labels = open_format(root, "coco", "val")[0].labels
    np.testing.assert_array_equal(labels, np.where(mask, 0, IGNORE))


def test_compressed_numbers_of_every_length_are_decoded() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        height = int(random.integers(1, 3000))
        counts = random.integers(0, [2, 40, 40_000][int(random.integers(3))], 30).tolist()
        total = sum(counts)
        counts.append((-total) % height)
        encoded = coco_mask.frPyObjects({"size": [height, (total + counts[-1]) // height], "counts": counts}, 0, 0)
        np.testing.assert_array_equal(decoded_counts(encoded["counts"].decode()), counts)


def test_polygons_agree_with_pycocotools_but_for_their_outlines(tmp_path: Path) -> None:
    """It traces outlines at a fifth of a pixel, so pixels on the outline may differ."""
    random = np.random.default_rng(0)
    differing = total = 0
    for _ in range(30):
        corners = random.uniform(-5, 75, (7, 2))
        ring = corners[np.argsort(np.arctan2(*(corners - 30).T))].ravel().tolist()
        theirs = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([ring], 60, 70))).astype(bool)
        content = one([ring])
        for image in content["images"]:
            image["height"], image["width"] = 60, 70
        root = stored(tmp_path, content)
        photograph(root / "val2017" / "a.png", (60, 70))
        ours = open_format(root, "coco", "val")[0].labels == 0
        differing += int((ours != theirs).sum())
        total += int(theirs.sum())
    assert total > 20_000
    assert differing / total < 0.01


def test_a_split_that_is_missing_or_ambiguous_is_refused(tmp_path: Path) -> None:
    root = stored(tmp_path, document())
    stored(root, document(), "annotations/instances_train2017.json", "train2017")
    with pytest.raises(ValueError, match=r"split 'test' does not exist in .*; choose train2017, val2017"):
        open_format(root, "coco", "test")
    assert open_format(root, "coco", "train").image_file(0) == root / "train2017" / "a.png"
    stored(root, document(), "annotations/instances_train2014.json", "train2014")
    with pytest.raises(ValueError, match=r"split 'train' is ambiguous in .*; choose train2014, train2017"):
        open_format(root, "coco", "train")


def test_what_is_not_used_is_in_the_survey(tmp_path: Path) -> None:
    content = one([CAR])
    box = {"id": 20, "image_id": 7, "category_id": 2, "bbox": [1, 1, 4, 4]}
    content["images"].append({"id": 8, "file_name": "lost.png", "width": 5, "height": 5})
    content["annotations"] += [
        {**box, "segmentation": []},
        {**box, "keypoints": [1, 2, 2]},
        {**box, "segmentation": [[1, 1, 2, 2]]},
        {**box, "segmentation": [CAR], "category_id": 77},
        {**box, "segmentation": [CAR], "image_id": 99},
        {**box, "segmentation": [[3.6, 3.6, 4.4, 3.6, 4.4, 4.4]]},
        {**box, "segmentation": [[30, 3, 40, 3, 40, 5], [-9, 1, -9, 2, -8, 2]]},
    ]
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] != 3]
    root = stored(tmp_path, content)
    photograph(root / "val2017" / "extra.png", SIZE)
    write(root / "val2017" / "readme.md", "x")
    data = open_format(root, "coco", "val")
    assert data.survey.used == ["val2017/a.png"]
    assert data.survey.skipped == {
        "lost.png": "listed in instances_val2017.json, but not found",
        "val2017/b.png": "no annotation that can be used",
        "val2017/extra.png": "not listed in instances_val2017.json",
        "val2017/readme.md": "not an image by its suffix",
    }
    assert data.survey.notes == [
        "2 annotations of instances_val2017.json have no segmentation, but a box, keypoints or a caption",
        "1 annotations of instances_val2017.json have a polygon of fewer than three points",
        "1 annotations of instances_val2017.json have the category id 77, which is not in its list of categories",
        "1 annotations of instances_val2017.json are of an image that is not in its list of images",
    ]
    np.testing.assert_array_equal(data[0].labels, painted([(0, inside([points(CAR)], SIZE))], SIZE))
    assert data.survey.empty == {"val2017/a.png": 2}
    assert "2 shapes cover no pixel, in val2017/a.png" in data.survey.lines()


def test_a_flat_list_is_one_polygon(tmp_path: Path) -> None:
    labels = open_format(stored(tmp_path, one(CAR)), "coco", "val")[0].labels
    np.testing.assert_array_equal(labels, painted([(0, inside([points(CAR)], SIZE))], SIZE))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_is_allowed(tmp_path: Path, mark: str) -> None:
    root = stored(tmp_path, document())
    write(root / "annotations" / "instances_val2017.json", mark + json.dumps(document()))
    assert detect(root) == "coco"
    assert len(open_format(root, "coco", "val")) == 2


@pytest.mark.parametrize(
    "name",
    [
        "/data/a.png",
        "../../a.png",
        "C:\\images\\a.png",
        "http://host/x/a.png",
        "val2017/a.png",
        "./a.png",
        "../val2017/../a.png",
    ],
)
def test_paths_of_other_places_lead_to_the_file_of_the_folder(tmp_path: Path, name: str) -> None:
    photograph(tmp_path / "a.png", (3, 3))
    content = document()
    content["images"][0]["file_name"] = name
    root = stored(tmp_path / "set", content)
    assert open_format(root, "coco", "val").image_file(0) == root / "val2017" / "a.png"


def test_names_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    content = document()
    content["images"][0]["file_name"] = "stra\u00dfe \u00fc.png"
    root = stored(tmp_path, content)
    (root / "val2017" / "a.png").rename(root / "val2017" / "stra\u00dfe u\u0308.png")
    assert len(open_format(root, "coco", "val")) == 2


def test_images_in_folders_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    content = document()
    content["images"][0]["file_name"], content["images"][1]["file_name"] = "x/1.png", "y/1.png"
    write(tmp_path / "annotations.json", json.dumps(content))
    for folder in "xy":
        photograph(tmp_path / "images" / folder / "1.png", SIZE)
    data = open_format(tmp_path, "coco", "train")
    assert [data.image_file(i).parent.name for i in range(2)] == ["x", "y"]
    content["images"][0]["file_name"] = "1.png"  # which of the two is not known
    write(tmp_path / "annotations.json", json.dumps(content))
    assert open_format(tmp_path, "coco", "train").survey.skipped["1.png"] == "listed in annotations.json, but not found"


def test_roboflows_category_of_all_classes_is_no_class(tmp_path: Path) -> None:
    categories = [
        {"id": 0, "name": "car", "supercategory": "none"},
        {"id": 1, "name": "car", "supercategory": "car"},
        {"id": 2, "name": "bus", "supercategory": "car"},
    ]
    content = document(
        categories=categories, annotations=[{"id": 1, "image_id": 7, "category_id": 2, "segmentation": [CAR]}]
    )
    root = stored(tmp_path, content, "valid/_annotations.coco.json", "valid")
    data = open_format(root, "coco", "val")
    assert [info.name for info in data.classes] == ["car", "bus"]
    assert set(np.unique(data[0].labels).tolist()) == {1, IGNORE}
    content["annotations"][0]["category_id"] = 0
    stored(tmp_path, content, "valid/_annotations.coco.json", "valid")
    with pytest.raises(ValueError, match="the names 'car' and 'car' are one"):
        open_format(root, "coco", "val")


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ({"size": [17, 12], "counts": [204]}, "run-length encoding is for 12x17 pixels, the upright image has 17x12"),
        ({"size": [12, 17], "counts": [100]}, r"run lengths of \[100\] ... do not add up to 17x12 = 204 pixels"),
        ({"size": [12, 17], "counts": [300, -96]}, r"run lengths of \[300, -96\]"),
        ({"size": [12, 17], "counts": [2**62, 2**62, 2**62, 2**62, 204]}, "do not add up"),
        ({"size": [12, 17], "counts": "0"}, r"run lengths of \[0\] ... do not add up"),
        ({"size": [12, 17], "counts": "P"}, "a character that is not allowed, or is cut short"),
        ({"size": [12, 17], "counts": "\u00e9 "}, "a character that is not allowed"),
        ({"size": [12, 17], "counts": "o" * 16 + "0"}, "a number of more than 60 bits"),
    ],
)  # fmt: skip
def test_wrong_run_lengths_are_named_when_read(tmp_path: Path, segmentation: JSON, said: str) -> None:
    data = open_format(stored(tmp_path, one(segmentation)), "coco", "val")
    with pytest.raises(ValueError, match=r"instances_val2017\.json: image a\.png: ") as fault:
        data[0]
    assert fault.match(said)


def test_other_files_are_refused(tmp_path: Path) -> None:
    root = stored(tmp_path, document())
    with pytest.raises(ValueError, match="has no COCO annotation file"):
        open_format(root / "val2017", "coco", "val")
    file = write(tmp_path / "broken.json", '{"images": [{"id": 1,')
    with pytest.raises(ValueError, match=r"broken\.json cannot be read as JSON"):
        read_document(file)
    file.write_bytes(b'{"images": "\xff"}')
    with pytest.raises(ValueError, match=r"broken\.json cannot be read as JSON"):
        read_document(file)
    write(file, "[" * 100_000)
    with pytest.raises(ValueError, match=r"broken\.json cannot be read as JSON"):
        read_document(file)


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    root = stored(tmp_path, document())
    photograph(root / "val2017" / "a.png", (17, 12))
    with pytest.raises(ValueError, match=r"describes a\.png as 17x12, but the upright image has 12x17"):
        open_format(root, "coco", "val")[0]


@pytest.mark.parametrize("sides", [(0, 0), (None, 5), (float("inf"), float("nan"))])
def test_a_size_that_is_not_stated_is_not_compared(tmp_path: Path, sides: tuple[Any, Any]) -> None:
    content = document()
    content["images"][0]["width"], content["images"][0]["height"] = sides
    np.testing.assert_array_equal(open_format(stored(tmp_path, content), "coco", "val")[0].labels, expected())


def test_images_that_are_nowhere_are_refused(tmp_path: Path) -> None:
    root = stored(tmp_path, document())
    for name in ("a.png", "b.png"):
        (root / "val2017" / name).unlink()
    with pytest.raises(ValueError, match=r"none of the 2 images of .*val2017\.json is found, for example \['a\.png'\]"):
        open_format(root, "coco", "val")


def test_images_of_another_split_are_not_taken(tmp_path: Path) -> None:
    root = stored(tmp_path, document(), "annotations/instances_train.json", "images/val")  # exported without images
    with pytest.raises(ValueError, match=r"none of the 2 images of .*instances_train\.json is found"):
        open_format(root, "coco", "train")
    stored(root, document(), "annotations/instances_trainval.json", "images/val")
    assert len(open_format(root, "coco", "trainval")) == 2


def test_annotations_without_any_mask_are_refused(tmp_path: Path) -> None:
    root = stored(tmp_path, one([]))
    write(
        root / "annotations/instances_val2017.json",
        json.dumps(document(annotations=[{"id": 1, "image_id": 7, "category_id": 2}])),
    )
    with pytest.raises(
        ValueError, match=r"val2017\.json has no image with a mask\. .*1 annotations .* have no segmentation"
    ):
        open_format(root, "coco", "val")


def test_two_entries_of_one_file_are_refused(tmp_path: Path) -> None:
    content = document()
    content["images"][1]["file_name"] = "old/a.png"
    with pytest.raises(ValueError, match=r"has two images that are the file .*a\.png"):
        open_format(stored(tmp_path, content), "coco", "val")
