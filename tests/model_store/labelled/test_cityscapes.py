"""Cityscapes: label ids and train ids give the 19 classes of the official table."""

from pathlib import Path

import numpy as np
import pytest

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.cityscapes import Cityscapes
from tests.model_store.labelled.naive import photograph, save, write

SIZE = (5, 35)
# The columns id, name and train id of cityscapesscripts/helpers/labels.py, for ids with a train id below 255.
TRAINED = """
7 road 0, 8 sidewalk 1, 11 building 2, 12 wall 3, 13 fence 4, 17 pole 5, 19 traffic light 6, 20 traffic sign 7,
21 vegetation 8, 22 terrain 9, 23 sky 10, 24 person 11, 25 rider 12, 26 car 13, 27 truck 14, 28 bus 15, 31 train 16,
32 motorcycle 17, 33 bicycle 18"""
TRAIN_ID = {int(entry.split()[0]): int(entry.split()[-1]) for entry in TRAINED.split(",")}
NAMES = [" ".join(entry.split()[1:-1]) for entry in TRAINED.split(",")]
LABEL_IDS = np.array([[*range(34), 255]] * SIZE[0], dtype=np.uint8)


def stored(root: Path, kind: str = "labelIds", fine: str = "gtFine", images: str = "leftImg8bit") -> Path:
    """Two cities in train, and one in val, with all files of the archive."""
    for split, city, frame in (("train", "aachen", 0), ("train", "bremen", 1), ("val", "lindau", 2)):
        name = f"{city}_00000{frame}_000019"
        photograph(root / images / split / city / f"{name}_leftImg8bit.png", SIZE, frame)
        mask = np.roll(LABEL_IDS, frame, axis=1)
        folder = root / fine / split / city
        if kind == "labelTrainIds":
            mask = np.vectorize(lambda value: TRAIN_ID.get(value, 255))(mask).astype(np.uint8)
        save(folder / f"{name}_{fine}_{kind}.png", mask)
        save(folder / f"{name}_{fine}_instanceIds.png", mask.astype(np.uint16) * 1000)
        save(folder / f"{name}_{fine}_color.png", np.zeros((*SIZE, 3), dtype=np.uint8))
        write(folder / f"{name}_{fine}_polygons.json", "{}")
    return root


@pytest.mark.parametrize("images", ["leftImg8bit", "imgsFine/leftImg8bit"])
@pytest.mark.parametrize("fine", ["gtFine", "gtCoarse"])
@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_masks_give_the_train_ids_of_the_table(tmp_path: Path, kind: str, fine: str, images: str) -> None:
    root = stored(tmp_path, kind, fine, images)
    assert detect(root) == "cityscapes"
    data = open_format(root, "cityscapes", "train")
    assert [info.name for info in data.classes] == NAMES
    assert data.classes[0].color == (128, 64, 128)
    assert data.classes[18].color == (119, 11, 32)
    assert [data.image_file(i).parent.name for i in range(len(data))] == ["aachen", "bremen"]
    for i in range(2):
        labels = np.roll(LABEL_IDS, i, axis=1)
        for y, x in np.ndindex(*SIZE):
            assert data[i].labels[y, x] == TRAIN_ID.get(int(labels[y, x]), IGNORE)
    assert data.survey.lines() == ["2 images are used"]
    assert len(open_format(root, "cityscapes", "validation")) == 1


def test_label_ids_are_preferred_to_train_ids(tmp_path: Path) -> None:
    root = stored(tmp_path)
    for file in (root / "gtFine").rglob("*_labelIds.png"):
        save(file.with_name(file.name.replace("labelIds", "labelTrainIds")), np.full(SIZE, 3, dtype=np.uint8))
    assert open_format(root, "cityscapes", "train")[0].labels[0, 7] == 0


def test_the_classes_of_cvat_replace_the_table(tmp_path: Path) -> None:
    root = stored(tmp_path, images="imgsFine/leftImg8bit")
    write(
        root / "label_colors.txt",
        "# label_colors [color_rgb name]\n0 0 0 background\n9 8 7 zebra crossing\n1 1 1 void\n2 3 4 kerb\n",
    )
    for file in (root / "gtFine").rglob("*_labelIds.png"):
        save(file, np.tile(np.arange(5, dtype=np.uint8), (5, 7)) % 4)
    data = open_format(root, "cityscapes", "train")
    assert [(info.name, info.color) for info in data.classes] == [
        ("background", (0, 0, 0)),
        ("zebra crossing", (9, 8, 7)),
        ("kerb", (2, 3, 4)),
    ]
    np.testing.assert_array_equal(data[0].labels[0, :4], [0, 1, IGNORE, 2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 car\n", r"label_colors\.txt: line 1 is '1 2 car'; it must be: red green blue name"),
        ("0 0 0 a\n1 2 300 car\n", r"line 2 is '1 2 300 car'"),
        ("1 2 3\n", "line 1 is '1 2 3'"),
        ("1 2 3 a\n4 5 6 a\n", r"label_colors\.txt: .*another name"),
        ("", r"label_colors\.txt: there are 0 classes"),
    ],
)
def test_malformed_label_colours_are_named(tmp_path: Path, text: str, said: str) -> None:
    root = stored(tmp_path)
    write(root / "label_colors.txt", text)
    with pytest.raises(ValueError, match=said):
        open_format(root, "cityscapes", "train")


def test_what_has_no_partner_is_in_the_survey(tmp_path: Path) -> None:
    root = stored(tmp_path)
    (root / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png").unlink()
    (root / "leftImg8bit/train/bremen/bremen_000001_000019_leftImg8bit.png").unlink()
    photograph(root / "leftImg8bit/train/ulm/ulm_1_leftImg8bit.png", SIZE)
    save(root / "gtFine/train/ulm/ulm_1_gtFine_labelIds.png", LABEL_IDS)
    photograph(root / "leftImg8bit/train/ulm/other.png", SIZE)
    data = open_format(root, "cityscapes", "train")
    assert data.survey.used == ["leftImg8bit/train/ulm/ulm_1_leftImg8bit.png"]
    assert data.survey.skipped == {
        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png": "no mask",
        "gtFine/train/bremen/bremen_000001_000019_gtFine_labelIds.png": "a mask without an image",
        "leftImg8bit/train/ulm/other.png": "its name does not end with _leftImg8bit",
    }


def test_a_missing_split_or_folder_is_named(tmp_path: Path) -> None:
    root = stored(tmp_path)
    (root / "leftImg8bit" / "test").mkdir()  # has no masks
    with pytest.raises(ValueError, match=r"split 'test' does not exist in .*; choose train, val"):
        open_format(root, "cityscapes", "test")
    for file in (root / "gtFine" / "val").rglob("*_labelIds.png"):
        file.unlink()
    with pytest.raises(ValueError, match=r"no image CITY/\*_leftImg8bit\.png of .*val has a mask"):
        open_format(root, "cityscapes", "val")
    with pytest.raises(ValueError, match=r"must have leftImg8bit/ and gtFine/"):
        open_format(root / "gtFine", "cityscapes", "val")


def test_a_value_outside_the_table_is_named(tmp_path: Path) -> None:
    root = stored(tmp_path)
    file = root / "gtFine/val/lindau/lindau_000002_000019_gtFine_labelIds.png"
    save(file, np.full(SIZE, 40, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"lindau_000002_000019_gtFine_labelIds\.png: 100.00% .* is no class: 40"):
        open_format(root, "cityscapes", "val")[0]
    save(file, np.zeros((*SIZE, 3), dtype=np.uint8) + np.array([1, 2, 3], dtype=np.uint8))
    with pytest.raises(ValueError, match="The mask has colours, and its classes have none"):
        open_format(root, "cityscapes", "val")[0]


@pytest.mark.parametrize("folders", [("gtFine",), ("leftImg8bit",), ("images", "masks"), ()])
def test_other_folders_are_not_taken_for_cityscapes(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for folder in folders:
        (tmp_path / folder / "train").mkdir(parents=True)
    assert not Cityscapes.found(tmp_path)
    assert not Cityscapes.found(write(tmp_path / "file", ""))
