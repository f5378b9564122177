"""ADE20K: index 0 is unlabelled, index 1 the first class."""

from pathlib import Path

import numpy as np
import pytest

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.ade20k import Ade20k
from tests.model_store.labelled.naive import photograph, save, write

SIZE = (4, 5)
MASK = np.array([[0, 1, 2, 3, 1]] * SIZE[0], dtype=np.uint8)
TABLE = "Idx\tRatio\tTrain\tVal\tName\n1\t0.2\t11\t2\twall\n2\t0.1\t6\t2\tbuilding, edifice\n3 \t0.1\t8\t7\tbed \n"
COMMAS = "Idx,Ratio,Train,Val,Stuff,Name\n1,0.16,1,1,1,wall\n2,0.1,1,1,1,building;edifice\n3,0.1,1,1,0,bed\n"


def stored(root: Path, parts: tuple[str, str] = ("training", "validation")) -> Path:
    for seed, name in enumerate(("ADE_train_00000001", "ADE_train_00000002")):
        photograph(root / "images" / parts[0] / f"{name}.jpg", SIZE, seed)
        save(root / "annotations" / parts[0] / f"{name}.png", np.roll(MASK, seed, axis=1))
    photograph(root / "images" / parts[1] / "ADE_val_00000001.jpg", SIZE)
    save(root / "annotations" / parts[1] / "ADE_val_00000001.png", np.minimum(MASK, 1))
    write(root / "sceneCategories.txt", "ADE_train_00000001 street\n")
    return root


@pytest.mark.parametrize("inner", ["", "ADEChallengeData2016"])
@pytest.mark.parametrize("parts", [("training", "validation"), ("train", "val")])
@pytest.mark.parametrize("split", ["train", "training"])
@pytest.mark.parametrize(
    ("file", "text"),
    [("objectInfo150.txt", TABLE), ("objectInfo150.csv", COMMAS), ("classes.txt", "wall\nbuilding\nbed\n")],
)
def test_names_and_splits_are_read(
    tmp_path: Path, inner: str, parts: tuple[str, str], split: str, file: str, text: str
) -> None:
    write(stored(tmp_path / inner, parts) / file, text)
    assert detect(tmp_path) == "ade20k"
    data = open_format(tmp_path, "ade20k", split)
    assert [info.name for info in data.classes] == ["wall", "building", "bed"]
    assert len({info.color for info in data.classes}) == 3
    for i in range(2):
        mask = np.roll(MASK, i, axis=1)
        for y, x in np.ndindex(*SIZE):
            assert data[i].labels[y, x] == {0: IGNORE, 1: 0, 2: 1, 3: 2}[int(mask[y, x])]
    assert data.survey.lines() == ["2 images are used"]
    assert len(open_format(tmp_path, "ade20k", "val")) == 1


def test_without_names_the_classes_are_the_indices(tmp_path: Path) -> None:
    root = stored(tmp_path)
    data = open_format(root, "ade20k", "train")
    assert [info.name for info in data.classes] == ["class 1", "class 2", "class 3"]
    np.testing.assert_array_equal(data[0].labels, np.where(MASK == 0, IGNORE, MASK.astype(int) - 1))
    assert [info.name for info in open_format(root, "ade20k", "val").classes] == ["class 1"]


def test_first_names_that_are_equal_are_not_shortened(tmp_path: Path) -> None:
    write(stored(tmp_path) / "objectInfo150.txt", "Idx\tName\n1\tscreen, tv\n3\tscreen, silver\n\n2\tbed\n")
    data = open_format(tmp_path, "ade20k", "train")
    assert [info.name for info in data.classes] == ["screen, tv", "bed", "screen, silver"]
    assert data[0].labels[0].tolist() == [IGNORE, 0, 1, 2, 0]


ROW = r"objectInfo150\.txt: line 2 is .*; it must be a row whose first field is an index from 1 on"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("objectInfo150.txt", "Idx\tName\n0\twall\n", ROW),
        ("objectInfo150.txt", "Idx\tName\nx\twall\n", ROW),
        ("objectInfo150.txt", "Idx\tName\n1\n", ROW),
        ("objectInfo150.txt", "Idx\tName\n1\t \n", ROW),
        ("objectInfo150.txt", "Idx\tName\n1\ta\n1\tb\n", "line 3 is .* each once"),
        ("objectInfo150.csv", "Idx,Name\n1," + "x" * 200_000, r"objectInfo150\.csv cannot be read as a table"),
        ("objectInfo150.txt", "Idx\tName\n", r"objectInfo150\.txt: there are 0 classes"),
        ("classes.txt", "wall\n\nbed\n", r"classes\.txt: line 2 is empty"),
        ("classes.txt", "wall\nwall\n", r"classes\.txt: .*another name"),
    ],
)
def test_malformed_names_are_refused(tmp_path: Path, file: str, text: str, said: str) -> None:
    write(stored(tmp_path) / file, text)
    with pytest.raises(ValueError, match=said):
        open_format(tmp_path, "ade20k", "train")


def test_the_largest_index_is_the_number_of_classes(tmp_path: Path) -> None:
    root = stored(tmp_path)
    save(root / "annotations/training/ADE_train_00000001.png", MASK + 150)
    assert len(open_format(root, "ade20k", "train").classes) == 153


@pytest.mark.parametrize("value", [0, 255, 3000])
def test_indices_that_are_no_classes_are_refused(tmp_path: Path, value: int) -> None:
    root = stored(tmp_path)
    save(root / "annotations/validation/ADE_val_00000001.png", np.full(SIZE, value, dtype=np.uint16))
    with pytest.raises(ValueError, match=rf"the largest index in the masks of .*validation is {value}, and 1..254"):
        open_format(root, "ade20k", "val")


def test_an_index_above_the_names_is_named(tmp_path: Path) -> None:
    write(stored(tmp_path) / "classes.txt", "wall\nbuilding\n")
    with pytest.raises(
        ValueError, match=r"ADE_train_00000001\.png: 20.00% of the pixels .* no class: 3. Allowed: 0, 1, 2"
    ):
        open_format(tmp_path, "ade20k", "train")[0]


def test_what_has_no_partner_is_in_the_survey(tmp_path: Path) -> None:
    root = stored(tmp_path)
    (root / "annotations/training/ADE_train_00000001.png").unlink()
    save(root / "annotations/training/lost.png", MASK)
    write(root / "images/training/notes.txt", "x")
    data = open_format(root, "ade20k", "train")
    assert data.survey.skipped == {
        "images/training/ADE_train_00000001.jpg": "no mask",
        "annotations/training/lost.png": "a mask without an image",
        "images/training/notes.txt": "not an image by its suffix",
    }
    (root / "images/training/ADE_train_00000002.jpg").unlink()
    with pytest.raises(ValueError, match=r"no image of .*images/training has a mask of its name"):
        open_format(root, "ade20k", "train")


def test_a_missing_split_lists_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"split 'test' does not exist in .*; choose training, validation"):
        open_format(stored(tmp_path), "ade20k", "test")


def test_other_folders_are_not_taken_for_ade20k(tmp_path: Path) -> None:
    photograph(tmp_path / "images" / "train" / "a.png", SIZE)
    write(tmp_path / "annotations" / "instances_train.json", "{}")  # COCO
    (tmp_path / "annotations" / "train").mkdir()
    assert not Ade20k.found(tmp_path)
    write(tmp_path / "annotations" / "train" / "a.xml", "<annotation/>")
    assert not Ade20k.found(tmp_path)
    save(tmp_path / "annotations" / "panoptic_train" / "a.png", MASK)
    photograph(tmp_path / "images" / "panoptic_train" / "a.png", SIZE)
    assert not Ade20k.found(tmp_path)
    assert not Ade20k.found(tmp_path / "images")
    with pytest.raises(ValueError, match="is not in the format of ADE20K"):
        open_format(tmp_path / "images", "ade20k", "train")
