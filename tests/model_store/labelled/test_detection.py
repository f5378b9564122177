"""Detection: a folder of one format is not taken for another one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model_store.labelled import FORMATS, _reader, detect
from tests.model_store.labelled import test_ade20k, test_cityscapes, test_coco, test_pairs, test_voc, test_yolo
from tests.model_store.labelled.naive import photograph, save, write

SAMPLES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "voc": ("voc", test_voc.challenge),
    "voc of cvat": ("voc", lambda root: test_voc.cvat(root, np.zeros((3, 4), dtype=np.uint8))),
    "cityscapes": ("cityscapes", test_cityscapes.stored),
    "cityscapes of cvat": ("cityscapes", lambda root: test_cityscapes.stored(root, images="imgsFine/leftImg8bit")),
    "ade20k": ("ade20k", test_ade20k.stored),
    "coco": ("coco", lambda root: test_coco.stored(root, test_coco.document())),
    "coco of cvat": (
        "coco",
        lambda root: test_coco.stored(
            root, test_coco.document(), "annotations/instances_default.json", "images/default"
        ),
    ),
    "coco of roboflow": (
        "coco",
        lambda root: test_coco.stored(root, test_coco.document(), "train/_annotations.coco.json", "train"),
    ),
    "coco of label studio": (
        "coco",
        lambda root: test_coco.stored(root, test_coco.document(), "result.json", "images"),
    ),
    "yolo": ("yolo", lambda root: test_yolo.stored(root, test_yolo.ULTRALYTICS + test_yolo.NAMES)),
    "yolo of roboflow": (
        "yolo",
        lambda root: test_yolo.stored(root, test_yolo.ROBOFLOW, "valid/images", "valid/labels"),
    ),
    "pairs": ("pairs", lambda root: test_pairs.stored(root, test_pairs.INDICES)),
    "pairs of roboflow": ("pairs", lambda root: test_pairs.stored(root / "train", test_pairs.INDICES)),
}


@pytest.mark.parametrize(("name", "store"), SAMPLES.values(), ids=SAMPLES)
def test_one_reader_finds_its_format(tmp_path: Path, name: str, store: Callable[[Path], object]) -> None:
    store(tmp_path)
    assert [other for other in FORMATS if _reader(other).found(tmp_path)] == [name]
    assert detect(tmp_path) == name


def labelled_folder(root: Path) -> None:
    photograph(root / "images" / "a.png", (3, 4))
    save(root / "masks" / "a.png", np.zeros((3, 4), dtype=np.uint8))
    write(root / "classes.json", json.dumps({"classes": [{"name": "a", "color": [1, 2, 3]}]}))


@pytest.mark.parametrize(("name", "store"), SAMPLES.values(), ids=SAMPLES)
def test_classes_json_with_images_comes_first(tmp_path: Path, name: str, store: Callable[[Path], object]) -> None:
    """It is our own format, which nobody has by chance."""
    store(tmp_path)
    labelled_folder(tmp_path)
    assert detect(tmp_path) == "folder"


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    photograph(tmp_path / "a.jpg", (3, 4))
    write(tmp_path / "notes.json", "{}")
    with pytest.raises(ValueError, match=r"has labelled images in no format that is known \(folder, camvid, .*pairs\)"):
        detect(tmp_path)
