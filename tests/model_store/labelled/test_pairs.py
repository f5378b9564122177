"""Pairs: images and masks of one folder, with and without a list of classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.pairs import ENDINGS, Pairs
from tests.model_store.labelled.naive import photograph, save, write

SIZE = (3, 6)
INDICES = np.array([[0, 2, 5, 255, 0, 2]] * SIZE[0], dtype=np.uint8)
RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (7, 7, 7)


def stored(root: Path, *masks: np.ndarray, ending: str = "_mask", suffix: str = "png") -> Path:
    for i, mask in enumerate(masks):
        photograph(root / f"image {i}.jpg", SIZE, i)
        save(root / f"image {i}{ending}.{suffix}", mask)
    return root


def coloured(*colours: tuple[int, int, int]) -> np.ndarray:
    return np.array([colours] * SIZE[0], dtype=np.uint8)


@pytest.mark.parametrize("ending", [*ENDINGS, "_Mask", "-LABEL"])
def test_indices_become_classes_by_number(tmp_path: Path, ending: str) -> None:
    root = stored(tmp_path, INDICES, np.zeros(SIZE, dtype=np.uint8), ending=ending)
    assert detect(root) == "pairs"
    data = open_format(root, "pairs", "anything")
    assert [info.name for info in data.classes] == ["class 0", "class 2", "class 5"]
    assert data.survey.used == ["image 0.jpg", "image 1.jpg"]
    np.testing.assert_array_equal(data[0].labels, [[0, 1, 2, IGNORE, 0, 1]] * SIZE[0])
    np.testing.assert_array_equal(data[1].labels, np.zeros(SIZE))
    assert data.survey.notes == [
        "the classes are the values in the masks: 0, 2, 5, and 255 is unlabelled; classes.json can name them"
    ]


@pytest.mark.parametrize("values", [[0, 255], [255], [0]])
@pytest.mark.parametrize("form", ["grey", "colours", "1 bit"])
def test_black_and_white_masks_have_a_background_and_a_foreground(tmp_path: Path, values: list[int], form: str) -> None:
    mask = np.resize(values, SIZE).astype(np.uint8)
    root = stored(tmp_path, np.stack([mask] * 3, axis=2) if form == "colours" else mask)
    if form == "1 bit":
        Image.fromarray(mask == 255).save(root / "image 0_mask.png")
    data = open_format(root, "pairs", "train")
    if form != "1 bit":
        assert [info.name for info in data.classes] == ["background", "foreground"]
        np.testing.assert_array_equal(data[0].labels, mask // 255)
    elif len(values) == 2:
        np.testing.assert_array_equal(data[0].labels, mask // 255)


def test_colours_become_classes_by_number(tmp_path: Path) -> None:
    grey = np.full(SIZE, 7, dtype=np.uint8)  # its colour is #070707
    root = stored(tmp_path, coloured(RED, BLUE, GREY, RED, RED, BLUE), grey)
    data = open_format(root, "pairs", "train")
    assert [(info.name, info.color) for info in data.classes] == [
        ("#0000ff", BLUE),
        ("#070707", GREY),
        ("#ff0000", RED),
    ]
    np.testing.assert_array_equal(data[0].labels, [[2, 0, 1, 2, 2, 0]] * SIZE[0])
    np.testing.assert_array_equal(data[1].labels, np.ones(SIZE))


def test_black_and_blue_are_colours(tmp_path: Path) -> None:
    """The number of this blue is 255."""
    data = open_format(stored(tmp_path, coloured(*[BLUE, (0, 0, 0)] * 3)), "pairs", "train")
    assert [info.name for info in data.classes] == ["#000000", "#0000ff"]
    write(tmp_path / "classes.txt", "a\nb\n")
    with pytest.raises(ValueError, match="The mask has colours, and its classes have none"):
        open_format(tmp_path, "pairs", "train")[0]


def test_palette_masks_have_indices(tmp_path: Path) -> None:
    root = stored(tmp_path, np.zeros(SIZE, dtype=np.uint8))
    save(root / "image 0_mask.png", INDICES, [*RED, *GREY, *BLUE] + [1, 2, 3] * 253)
    data = open_format(root, "pairs", "train")
    assert [info.name for info in data.classes] == ["class 0", "class 2", "class 5"]
    np.testing.assert_array_equal(data[0].labels, [[0, 1, 2, IGNORE, 0, 1]] * SIZE[0])


def test_transparent_pixels_are_unlabelled(tmp_path: Path) -> None:
    rgba = np.concatenate([coloured(RED, BLUE, GREY, RED, RED, BLUE), np.full((*SIZE, 1), 255, np.uint8)], axis=2)
    rgba[:, 2, 3] = 0
    data = open_format(stored(tmp_path, rgba), "pairs", "train")
    assert [info.name for info in data.classes] == ["#0000ff", "#ff0000"]
    np.testing.assert_array_equal(data[0].labels, [[1, 0, IGNORE, 1, 1, 0]] * SIZE[0])


def test_classes_of_a_document_have_their_colours(tmp_path: Path) -> None:
    root = stored(
        tmp_path, coloured(RED, BLUE, RED, RED, RED, BLUE), np.array([[0, 1, 9, 0, 0, 0]] * 3, dtype=np.uint8)
    )
    classes = [{"name": "crop", "color": BLUE}, {"name": "weed", "color": RED}]
    write(root / "classes.json", json.dumps({"classes": classes, "ignore": 9}))
    write(root / "classes.txt", "x\ny\n")
    data = open_format(root, "pairs", "train")
    assert [info.name for info in data.classes] == ["crop", "weed"]
    np.testing.assert_array_equal(data[0].labels, [[1, 0, 1, 1, 1, 0]] * SIZE[0])
    np.testing.assert_array_equal(data[1].labels, [[0, 1, IGNORE, 0, 0, 0]] * SIZE[0])
    assert data.survey.lines() == ["2 images are used"]


@pytest.mark.parametrize("file", ["classes.txt", "labels.txt"])
def test_lines_of_a_list_are_indices(tmp_path: Path, file: str) -> None:
    root = stored(tmp_path, INDICES)
    write(root / file, "background\nvoid\nroad\na\nb\nkerb\n")
    data = open_format(root, "pairs", "train")
    assert [info.name for info in data.classes] == ["background", "road", "a", "b", "kerb"]
    np.testing.assert_array_equal(data[0].labels, [[0, 1, 4, IGNORE, 0, 1]] * SIZE[0])


@pytest.mark.parametrize("high", [1, 255])
def test_two_names_fit_black_and_white_masks(tmp_path: Path, high: int) -> None:
    mask = np.array([[0, 1, 0, 0, 0, 1]] * SIZE[0], dtype=np.uint8) * high
    root = stored(tmp_path, np.zeros(SIZE, dtype=np.uint8), mask)
    write(root / "classes.txt", "soil\nplant\n")
    data = open_format(root, "pairs", "train")
    assert [info.name for info in data.classes] == ["soil", "plant"]
    np.testing.assert_array_equal(data[1].labels, mask > 0)
    save(root / "image 0_mask.png", np.array([[0, 1, 255, 0, 0, 1]] * SIZE[0], dtype=np.uint8))
    if high == 1:
        np.testing.assert_array_equal(open_format(root, "pairs", "train")[0].labels[0, :3], [0, 1, IGNORE])


def test_three_names_do_not_give_white_a_meaning(tmp_path: Path) -> None:
    root = stored(tmp_path, np.array([[0, 255, 0, 0, 0, 255]] * SIZE[0], dtype=np.uint8))
    write(root / "classes.txt", "soil\nplant\nstone\n")
    labels = open_format(root, "pairs", "train")[0].labels
    np.testing.assert_array_equal(labels, [[0, IGNORE, 0, 0, 0, IGNORE]] * SIZE[0])


@pytest.mark.parametrize("place", ["train", "."])
def test_roboflows_masks_have_a_table_and_folders_of_splits(tmp_path: Path, place: str) -> None:
    for split in ("train", "valid"):
        stored(tmp_path / split, INDICES)
        if split == place:
            write(tmp_path / split / "_classes.csv", "Pixel Value, Class\n0, background\n 2, road\n5, kerb stone\n\n")
    if place == ".":
        write(tmp_path / "_classes.csv", "Pixel Value, Class\n0, background\n2, road\n5, kerb stone\n")
    assert detect(tmp_path) == "pairs"
    data = open_format(tmp_path, "pairs", "train")
    assert [info.name for info in data.classes] == ["background", "road", "kerb stone"]
    np.testing.assert_array_equal(data[0].labels, [[0, 1, 2, IGNORE, 0, 1]] * SIZE[0])
    assert data.survey.skipped == {}
    assert len(open_format(tmp_path, "pairs", "val")) == 1
    with pytest.raises(ValueError, match=r"split 'test' does not exist in .*; choose train, valid"):
        open_format(tmp_path, "pairs", "test")


def test_what_has_no_partner_is_in_the_survey(tmp_path: Path) -> None:
    root = stored(tmp_path, INDICES)
    photograph(root / "alone.jpg", SIZE)
    photograph(root / "my_label.jpg", SIZE)  # an image, because it has a mask
    save(root / "my_label_mask.png", INDICES)
    save(root / "lost_mask.png", INDICES)
    write(root / "readme.md", "x")
    write(root / ".hidden", "x")
    data = open_format(root, "pairs", "train")
    assert data.survey.used == ["image 0.jpg", "my_label.jpg"]
    assert data.survey.skipped == {
        "alone.jpg": "no mask",
        "lost_mask.png": "a mask without an image",
        "readme.md": "not an image by its suffix",
        ".hidden": "left by a file manager or an editor",
    }


def test_names_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    photograph(tmp_path / "\u00fc.jpg", SIZE)
    save(tmp_path / "u\u0308_mask.png", INDICES)
    assert len(open_format(tmp_path, "pairs", "train")) == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.jpg", "a_mask.png", "a_seg.png"], r"a_mask\.png and a_seg\.png in .* are two masks of one name"),
        (["a.jpg", "a_mask.png", "a.png"], r"a\.jpg and a\.png in .* are two images of one name"),
    ],
)
def test_two_files_of_one_name_are_refused(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        photograph(tmp_path / name, SIZE)
    with pytest.raises(ValueError, match=said):
        open_format(tmp_path, "pairs", "train")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("classes.json", "{}", r"classes\.json cannot be used"),
        ("_classes.csv", "Pixel Value, Class\nx, a\n", r"_classes\.csv: line 2 is .*; it must be an index and a name"),
        ("_classes.csv", "Pixel Value, Class\n0, a\n0, b\n", r"_classes\.csv: line 3"),
        ("_classes.csv", "Pixel Value, Class\n0\n", r"_classes\.csv: line 2"),
        ("_classes.csv", "Pixel Value, Class\n0, \n", r"_classes\.csv: line 2"),
        ("_classes.csv", "", r"_classes\.csv: there are 0 classes"),
        ("classes.txt", "a\n\nb\n", r"classes\.txt: line 2 is empty"),
        ("labels.txt", "a\na\n", r"labels\.txt: .*another name"),
    ],
)
def test_a_malformed_list_is_named(tmp_path: Path, file: str, text: str, said: str) -> None:
    write(stored(tmp_path, INDICES) / file, text)
    with pytest.raises(ValueError, match=said):
        open_format(tmp_path, "pairs", "train")


def test_lossy_masks_and_too_many_values_are_refused(tmp_path: Path) -> None:
    root = stored(tmp_path / "jpeg", INDICES, suffix="jpg")
    with pytest.raises(ValueError, match=r"image 0_mask\.jpg is compressed with losses"):
        open_format(root, "pairs", "train")
    many = np.arange(300, dtype=np.uint16)[None]
    photograph(tmp_path / "many" / "a.png", (1, 300))
    save(tmp_path / "many" / "a_mask.png", many)
    with pytest.raises(ValueError, match=r"the masks up to .*a_mask\.png have more than 255 values"):
        open_format(tmp_path / "many", "pairs", "train")
    shades = np.stack([many % 256, many // 256, many * 0], axis=2).astype(np.uint8)
    save(tmp_path / "many" / "a_mask.png", shades)
    with pytest.raises(ValueError, match="have more than 255 values"):
        open_format(tmp_path / "many", "pairs", "train")


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    root = stored(tmp_path, INDICES[:, :2])
    with pytest.raises(ValueError, match=r"image 0_mask\.png is 2x3, its image image 0\.jpg 6x3"):
        open_format(root, "pairs", "train")[0]


def test_other_folders_are_not_taken_for_pairs(tmp_path: Path) -> None:
    photograph(tmp_path / "a.jpg", SIZE)
    photograph(tmp_path / "b_mask.jpg", SIZE)
    stored(tmp_path / "other", INDICES)  # not the name of a split
    assert not Pairs.found(tmp_path)
    assert not Pairs.found(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="has no image with a mask"):
        open_format(tmp_path, "pairs", "train")
