"""YOLO: polygons of shares of the image give the labels that plain loops give."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_store.labelled import detect, open_format
from model_store.labelled.yolo import Yolo
from tests.model_store.labelled.naive import inside, painted, photograph, write

SIZE = (10, 16)
FIRST = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.72), (0.1, 0.8)]
SECOND = [(0.5, 0.0), (1.0, 0.0), (1.2, 1.0), (0.45, 1.03)]  # covers the first, and leaves the image
NAMES = "names:\n  0: car\n  1: bus\n"


def text(*shapes: tuple[int, list[tuple[float, float]]]) -> str:
    return "".join(f"{index} {' '.join(f'{x} {y}' for x, y in points)}\n" for index, points in shapes)


LABELS = text((1, FIRST), (0, SECOND))


def mask(points: list[tuple[float, float]]) -> np.ndarray:
    return inside([[(x * SIZE[1], y * SIZE[0]) for x, y in points]], SIZE)


def expected() -> np.ndarray:
    return painted([(1, mask(FIRST)), (0, mask(SECOND))], SIZE)


def stored(root: Path, yaml: str, images: str = "images/train", labels: str = "labels/train") -> Path:
    for seed, name in enumerate(("a", "b")):
        photograph(root / images / f"{name}.jpg", SIZE, seed)
        write(root / labels / f"{name}.txt", LABELS if name == "a" else text((0, FIRST)))
    if yaml:
        write(root / "data.yaml", yaml)
    return root


ULTRALYTICS = "path: ../datasets/x\ntrain: images/train # 2 images\nval: images/val\ntest:\n"
ROBOFLOW = """train: ../train/images
val: ../valid/images

nc: 2
names: ['car', 'bus']
roboflow:
  version: 1
"""
LISTED = "train:\n  - images/train/a.jpg\n  - images/train/b.jpg\n"
LAYOUTS = {
    "ultralytics": (ULTRALYTICS + NAMES, "images/train", "labels/train", "train"),
    "the same folder for two splits": ("train: images\nval: images\n" + NAMES, "images", "labels", "val"),
    "absolute path": ("path: /data\ntrain: /data/images/train\n" + NAMES, "images/train", "labels/train", "train"),
    "of windows": ("train: C:\\data\\images\\train\n" + NAMES, "images/train", "labels/train", "train"),
    "roboflow": (ROBOFLOW, "valid/images", "valid/labels", "val"),
    "a list": (LISTED + NAMES, "images/train", "labels/train", "train"),
    "folders alone": (NAMES, "images/valid", "labels/valid", "val"),
    "folders of splits alone": (NAMES, "valid/images", "valid/labels", "val"),
    "one folder": (NAMES, "images", "labels", "anything"),
    "beside the images": ("train: ./all\n" + NAMES, "all", "all", "train"),
    "beside images in images": ("train: images/train\n" + NAMES, "images/train", "images/train", "train"),
    "images in the folder itself": ("train: .\n" + NAMES, ".", ".", "train"),
    "deeper folders": ("train: images/train\n" + NAMES, "images/train/x", "labels/train/x", "train"),
    "images twice": ("train: images/images\n" + NAMES, "images/images", "images/labels", "train"),
}


@pytest.mark.parametrize(("yaml", "images", "labels", "split"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_gives_the_same_labels(tmp_path: Path, yaml: str, images: str, labels: str, split: str) -> None:
    root = stored(tmp_path, yaml, images, labels)
    data = open_format(root, "yolo", split)
    assert [info.name for info in data.classes] == ["car", "bus"]
    assert [data.image_file(i).name for i in range(len(data))] == ["a.jpg", "b.jpg"]
    np.testing.assert_array_equal(data[0].labels, expected())
    np.testing.assert_array_equal(data[1].labels, painted([(0, mask(FIRST))], SIZE))
    data.keep([1])
    np.testing.assert_array_equal(data[0].labels, painted([(0, mask(FIRST))], SIZE))
    assert data.survey.notes == []
    if "labels" in labels:
        assert data.survey.skipped == {}
        if labels.count("/") < 2 and labels != "images/labels":
            assert detect(root) == "yolo"
            assert detect(root / "data.yaml") == "yolo"
    np.testing.assert_array_equal(open_format(root / "data.yaml", "yolo", split)[0].labels, expected())


@pytest.mark.parametrize("prefix", ["", "data/", "./", "/home/someone/set/"])
def test_cvats_list_of_images_states_the_split(tmp_path: Path, prefix: str) -> None:
    root = stored(tmp_path, "path: .\ntrain: train.txt\n" + NAMES)
    photograph(root / "images/train/unlisted.jpg", SIZE)
    write(root / "train.txt", f"{prefix}images/train/a.jpg\n\n{prefix}images/train/lost.jpg\n{prefix}train.txt\n")
    assert detect(root) == "yolo"
    data = open_format(root, "yolo", "train")
    assert data.survey.used == ["images/train/a.jpg"]
    lost = {str(Path(f"{prefix}images/train/lost.jpg")), str(Path(f"{prefix}train.txt"))}
    assert data.survey.skipped == dict.fromkeys(lost, "listed in train.txt, but not found")


def test_the_classes_of_label_studio_are_in_a_list(tmp_path: Path) -> None:
    root = stored(tmp_path, "", "images", "labels")
    write(root / "classes.txt", "car\nbus\n\n")
    write(root / "notes.json", '{"categories": [{"id": 0, "name": "car"}], "info": {"year": 2024}}')
    assert detect(root) == "yolo"
    data = open_format(root, "yolo", "train")
    assert [info.name for info in data.classes] == ["car", "bus"]
    np.testing.assert_array_equal(data[0].labels, expected())


def test_indices_of_names_may_have_gaps(tmp_path: Path) -> None:
    root = stored(tmp_path, "names: {7: bus, 3: 'car'}\n", "images", "labels")
    write(root / "labels" / "a.txt", text((7, FIRST), (3, SECOND)))
    write(root / "labels" / "b.txt", text((3, FIRST)).replace("3 ", "3.0 ", 1))
    data = open_format(root, "yolo", "train")
    assert [info.name for info in data.classes] == ["car", "bus"]
    np.testing.assert_array_equal(data[0].labels, expected())


def test_what_is_not_used_is_in_the_survey(tmp_path: Path) -> None:
    root = stored(tmp_path, "train: images/train\n" + NAMES)
    for name in ("none", "empty", "boxes", "tiny"):
        photograph(root / "images/train" / f"{name}.jpg", SIZE)
    write(root / "labels/train/empty.txt", "\n")
    write(
        root / "labels/train/boxes.txt", "0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.2\n0 0.1 0.1\n5 0.1 0.1 0.3 0.1 0.3 0.3\n"
    )
    write(
        root / "labels/train/tiny.txt", "0 0.1 0.1 0.101 0.1 0.1 0.101\n0 1.5 0.1 1.9 0.1 1.9 0.4\n" + text((1, FIRST))
    )
    write(root / "labels/train/lonely.txt", LABELS)
    write(root / "labels/train/classes.txt", "car\nbus\n")
    write(root / "images/train/readme.md", "x")
    data = open_format(root, "yolo", "train")
    assert data.survey.used == [f"images/train/{name}.jpg" for name in ("a", "b", "tiny")]
    assert data.survey.skipped == {
        "images/train/none.jpg": "no label file",
        "images/train/empty.jpg": "no polygon in its label file",
        "images/train/boxes.jpg": "no polygon in its label file",
        "labels/train/lonely.txt": "a label file without an image",
        "images/train/readme.md": "not an image by its suffix",
    }
    assert data.survey.notes == [
        "2 lines of label files have four coordinates, which is a box; they are not used",
        "1 lines of label files have fewer than three points; they are not used",
        "1 lines of label files have the class 5, which has no name; they are not used",
    ]
    np.testing.assert_array_equal(data[2].labels, painted([(1, mask(FIRST))], SIZE))
    assert data.survey.empty == {"images/train/tiny.jpg": 2}


@pytest.mark.parametrize("shape", ["[17, 3]", "[2, 2]"])
def test_keypoints_and_boxes_alone_are_refused(tmp_path: Path, shape: str) -> None:
    root = stored(tmp_path, f"train: images/train\nkpt_shape: {shape}\n" + NAMES)
    write(root / "labels/train/a.txt", "0 0.5 0.5 0.2 0.2 0.5 0.5 2 0.1 0.1 0\n")
    with pytest.raises(ValueError, match=r"has no image with a polygon\. .*2 lines of label files are keypoints"):
        open_format(root, "yolo", "train")
    stored(tmp_path, "train: images/train\n" + NAMES)
    for name in "ab":
        write(root / f"labels/train/{name}.txt", "0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(ValueError, match="2 lines of label files have four coordinates, which is a box"):
        open_format(root, "yolo", "train")


LINE = r"a\.txt: line 2 is .* fields; it must be the index of a class and pairs of coordinates"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0", LINE),
        ("0 0.1", LINE),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.9", LINE),
        ("car 0.1 0.1 0.2 0.2 0.3 0.3", LINE),
        ("-1 0.1 0.1 0.2 0.2 0.3 0.3", LINE),
        ("0.5 0.1 0.1 0.2 0.2 0.3 0.3", LINE),
        ("inf 0.1 0.1 0.2 0.2 0.3 0.3", LINE),
        ("0 0.1 0.1 0.2 nan 0.3 0.3", LINE),
        ("0,0.1,0.1,0.2,0.2,0.3,0.3", LINE),
        ("0 10 12 200 14 3 3", r"a\.txt: line 2 has coordinates from 3 to 200; they must be shares"),
        ("0 0.1 0.1 0.2 0.2 0.3 -3", r"a\.txt: line 2 has coordinates from -3 to 0.3"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    root = stored(tmp_path, NAMES)
    write(root / "labels/train/a.txt", text((1, FIRST)) + line + "\n")
    with pytest.raises(ValueError, match=said):
        open_format(root, "yolo", "train")


def remove_images(root: Path) -> None:
    (root / "images").rename(root / "pictures")


@pytest.mark.parametrize(
    ("yaml", "spoil", "said"),
    [
        ("train: images/train\n", None, r"has no data\.yaml and no classes\.txt"),
        ("names: car\n", None, r"data\.yaml: names is car; it must be a list of names, or a mapping"),
        ("names:\n  a: car\n", None, r"data\.yaml: names is .*; it must be a list"),
        ("names:\n  0: ''\n", None, r"data\.yaml: names is .*; it must be a list"),
        ("names: [a, b]\nnc: 3\n", None, r"data\.yaml: nc is 3, and there are 2 names"),
        ("names: [a, a]\n", None, r"data\.yaml: .*another name"),
        ("names: []\n", None, r"data\.yaml: there are 0 classes"),
        (NAMES, remove_images, r"has no images; they must be in the folders that data\.yaml states"),
        ("train: images/train\nval: images/val\n" + NAMES, None, r"split 'test' does not exist in .*; choose train"),
        (NAMES, None, r"split 'test' does not exist in .*; choose train"),
    ],
)
def test_a_malformed_data_set_is_named(
    tmp_path: Path, yaml: str, spoil: Callable[[Path], None] | None, said: str
) -> None:
    root = stored(tmp_path, yaml)
    if spoil is not None:
        spoil(root)
    with pytest.raises(ValueError, match=said):
        open_format(root, "yolo", "test")


def test_paths_outside_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    photograph(tmp_path / "secret" / "images" / "s.jpg", SIZE)
    write(tmp_path / "secret" / "labels" / "s.txt", LABELS)
    yaml = f"path: {tmp_path}/secret\ntrain: ../secret/images\nval: {tmp_path}/secret/images/s.jpg\n" + NAMES
    root = stored(tmp_path / "set", yaml)
    data = open_format(root, "yolo", "train")
    assert all(root in data.image_file(i).resolve().parents for i in range(len(data)))
    with pytest.raises(ValueError, match="split 'val' does not exist"):
        open_format(root, "yolo", "val")


def test_the_images_of_a_missing_split_are_not_those_of_all(tmp_path: Path) -> None:
    root = stored(tmp_path, "train: images/train\ntest: ../test/images\n" + NAMES)
    with pytest.raises(ValueError, match=r"split 'test' does not exist in .*; choose train"):
        open_format(root, "yolo", "test")


@pytest.mark.parametrize(
    "files",
    [
        ["images/a.jpg", "labels/a.txt"],  # without names
        ["images/a.jpg", "labels/a.png", "classes.txt"],
        ["images/a.jpg", "a.yaml"],
    ],
)
def test_other_folders_are_not_taken_for_yolo(tmp_path: Path, files: list[str]) -> None:
    for file in files:
        write(tmp_path / file, NAMES if file.endswith("yaml") else "x")
    assert not Yolo.found(tmp_path)
    for file in files:
        assert not Yolo.found(tmp_path / file)


def test_of_several_yaml_files_data_yaml_is_taken(tmp_path: Path) -> None:
    root = stored(tmp_path, NAMES)
    write(root / "other.yaml", "names: [x]\n")
    assert [info.name for info in open_format(root, "yolo", "train").classes] == ["car", "bus"]
    (root / "data.yaml").rename(root / "mine.yml")
    assert not Yolo.found(root)  # which of two is meant is not known
    (root / "other.yaml").unlink()
    assert [info.name for info in open_format(root, "yolo", "train").classes] == ["car", "bus"]
