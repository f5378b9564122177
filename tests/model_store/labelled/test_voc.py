"""VOC: palettes, colours and indices give the same labels, with VOC's classes and with those of labelmap.txt."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.labelled import IGNORE, detect, open_format
from model_store.labelled.voc import Voc, colour_of, read_labelmap
from tests.model_store.labelled.naive import photograph, save, write

SIZE = (6, 9)
INDICES = np.array([[0, 1, 2, 15, 20, 255, 0, 7, 12]] * SIZE[0], dtype=np.uint8)
FIRST_COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
                 (128, 128, 128), (64, 0, 0)]  # fmt: skip
BORDER = (224, 224, 192)
LABELMAP = """# label:color_rgb:parts:actions
background:0,0,0::
street lamp:10,20,30:head,hand:jumping
ignored:9,9,9::
Straße:200,100,0::
"""


def full_palette() -> list[int]:
    return [part for index in range(256) for part in colour_of(index)]


def challenge(root: Path, names: tuple[str, ...] = ("2007_000032", "2007_000033", "2007_000039")) -> Path:
    """The folders of the challenge, with palette masks."""
    for seed, name in enumerate(names):
        photograph(root / "JPEGImages" / f"{name}.jpg", SIZE, seed)
        save(root / "SegmentationClass" / f"{name}.png", np.roll(INDICES, seed, axis=1), full_palette())
        save(root / "SegmentationObject" / f"{name}.png", np.ones(SIZE, dtype=np.uint8))
        write(root / "Annotations" / f"{name}.xml", "<annotation/>")
    photograph(root / "JPEGImages" / "2008_000001.jpg", SIZE)  # has boxes only
    write(root / "ImageSets" / "Segmentation" / "train.txt", f"{names[0]}\n{names[1]}\n")
    write(root / "ImageSets" / "Segmentation" / "val.txt", f"{names[2]}\n")
    write(root / "ImageSets" / "Main" / "train.txt", "2008_000001\n")
    return root


def cvat(root: Path, mask: np.ndarray, palette: list[int] | None = None, labelmap: str = LABELMAP) -> Path:
    """CVAT's export "Segmentation mask 1.1" with images."""
    write(root / "labelmap.txt", labelmap)
    write(root / "ImageSets" / "Segmentation" / "default.txt", "frame 1\n")
    photograph(root / "JPEGImages" / "frame 1.png", (mask.shape[0], mask.shape[1]))
    save(root / "SegmentationClass" / "frame 1.png", mask, palette)
    return root


def test_vocs_palette_masks_have_21_classes_and_an_unlabelled_border(tmp_path: Path) -> None:
    root = challenge(tmp_path)
    assert detect(root) == "voc"
    data = open_format(root, "voc", "train")
    assert len(data.classes) == 21
    assert [data.classes[i].name for i in (0, 1, 15, 20)] == ["background", "aeroplane", "person", "tvmonitor"]
    assert [info.color for info in data.classes[:9]] == FIRST_COLOURS
    assert colour_of(255) == BORDER
    assert [data.image_file(i).stem for i in range(len(data))] == ["2007_000032", "2007_000033"]
    for i in range(2):
        wanted = np.roll(INDICES, i, axis=1).copy()
        wanted[wanted == 255] = IGNORE
        np.testing.assert_array_equal(data[i].labels, wanted)
    assert len(open_format(root, "voc", "val")) == 1
    assert data.survey.skipped == {}


@pytest.mark.parametrize("form", ["colours", "indices", "another palette"])
def test_other_forms_of_masks_give_the_same_labels(tmp_path: Path, form: str) -> None:
    root = challenge(tmp_path)
    file = root / "SegmentationClass" / "2007_000032.png"
    colours = np.array([[colour_of(int(value)) for value in row] for row in INDICES], dtype=np.uint8)
    save(file, colours if form == "colours" else INDICES, [7, 7, 7] * 256 if form == "another palette" else None)
    np.testing.assert_array_equal(
        open_format(root, "voc", "train")[0].labels, np.where(INDICES == 255, IGNORE, INDICES)
    )


@pytest.mark.parametrize("place", ["VOC2012", "VOCdevkit/VOC2012"])
def test_the_archive_of_the_challenge_is_opened(tmp_path: Path, place: str) -> None:
    challenge(tmp_path / place)
    assert detect(tmp_path) == "voc"
    assert len(open_format(tmp_path, "voc", "train")) == 2


@pytest.mark.parametrize("form", ["colours", "indices"])
@pytest.mark.parametrize("split", ["train", "anything"])
def test_cvats_labelmap_states_the_classes(tmp_path: Path, form: str, split: str) -> None:
    indices = np.array([[0, 1, 2, 3]], dtype=np.uint8)
    colours = np.array([[(0, 0, 0), (10, 20, 30), (9, 9, 9), (200, 100, 0)]], dtype=np.uint8)
    root = cvat(tmp_path, colours if form == "colours" else indices)
    assert detect(root) == "voc"
    data = open_format(root, "voc", split)
    assert [info.name for info in data.classes] == ["background", "street lamp", "Straße"]
    assert [info.color for info in data.classes] == [(0, 0, 0), (10, 20, 30), (200, 100, 0)]
    np.testing.assert_array_equal(data[0].labels, [[0, 1, IGNORE, 2]])


def test_labels_without_colours_have_those_of_their_indices(tmp_path: Path) -> None:
    labels = read_labelmap(write(tmp_path / "labelmap.txt", "a:::\nb:::\nc:::\n"))
    assert [label.colour for label in labels] == FIRST_COLOURS[:3]
    root = cvat(tmp_path, np.array([[1, 0]], dtype=np.uint8), labelmap="a:1,2,3::\nb:::\n")
    data = open_format(root, "voc", "train")
    assert data.classes[0].color == (1, 2, 3)
    assert data.classes[1].color != (1, 2, 3)
    np.testing.assert_array_equal(data[0].labels, [[1, 0]])


def test_without_lists_every_split_is_the_whole(tmp_path: Path) -> None:
    root = challenge(tmp_path)
    for name in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{name}.txt").unlink()
    data = open_format(root, "voc", "test")
    assert len(data) == 3
    assert data.survey.skipped == {"JPEGImages/2008_000001.jpg": "no mask"}


def test_names_in_folders_with_spaces_quotes_and_suffixes_are_found(tmp_path: Path) -> None:
    root = challenge(tmp_path)
    for name in ("ü/a b", "c"):
        photograph(root / "JPEGImages" / f"{name}.JPG", SIZE)
        save(root / "SegmentationClass" / f"{name}.png", INDICES, full_palette())
    write(root / "ImageSets" / "Segmentation" / "val.txt", '\ufeff"u\u0308/a b"\n\nc.JPG\nc\n../../c\n')
    data = open_format(root, "voc", "val")
    assert data.survey.used == ["JPEGImages/ü/a b.JPG", "JPEGImages/c.JPG"]
    assert list(data.survey.skipped.values()) == ["listed in the split, but there is no such image"]


def test_what_has_no_partner_is_in_the_survey(tmp_path: Path) -> None:
    root = challenge(tmp_path)
    (root / "SegmentationClass" / "2007_000033.png").unlink()
    (root / "JPEGImages" / "2007_000032.jpg").unlink()
    write(root / "JPEGImages" / "list.csv", "x")
    photograph(root / "JPEGImages" / "2009.jpg", SIZE)
    save(root / "SegmentationClass" / "2009.png", INDICES, full_palette())
    write(root / "ImageSets" / "Segmentation" / "train.txt", "2007_000032\n2007_000033\n2009\n")
    data = open_format(root, "voc", "train")
    assert data.survey.used == ["JPEGImages/2009.jpg"]
    assert data.survey.skipped == {
        "JPEGImages/2007_000032": "listed in the split, but there is no such image",
        "JPEGImages/2007_000033.jpg": "no mask",
        "JPEGImages/list.csv": "not an image by its suffix",
    }


def test_a_missing_split_lists_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"split 'test' does not exist in .*Segmentation; choose train, val"):
        open_format(challenge(tmp_path), "voc", "test")


LINE = r"labelmap\.txt: line 1 is .*; it must be name:red,green,blue:parts:actions"


@pytest.mark.parametrize(
    ("labelmap", "said"),
    [
        ("a:1,2,3\n", LINE),
        ("a:1,2::\n", LINE),
        ("a:1,2,256::\n", LINE),
        ("a:1,2,x::\n", LINE),
        ("a:1,2,3,4::\n", LINE),
        (":1,2,3::\n", LINE),
        ("a:0:124:134::\n", LINE),
        ("", r"labelmap\.txt: there are 0 classes"),
        ("a:1,2,3::\na:2,3,4::\n", r"labelmap\.txt: .*another name"),
        ("a:1,2,3::\nb:1,2,3::\n", r"labelmap\.txt: a and b have one colour, \(1, 2, 3\)"),
    ],
)
def test_a_malformed_labelmap_is_named(tmp_path: Path, labelmap: str, said: str) -> None:
    root = cvat(tmp_path, np.zeros(SIZE, dtype=np.uint8), labelmap=labelmap)
    with pytest.raises(ValueError, match=said):
        open_format(root, "voc", "train")


def remove_images(root: Path) -> None:
    for file in (root / "JPEGImages").iterdir():
        file.unlink()
    (root / "JPEGImages").rmdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove_images, "has no folder JPEGImages"),
        (lambda root: write(root / "ImageSets/Segmentation/train.txt", ""), "no image of .* has a mask of its name"),
        (
            lambda root: (root / "ImageSets/Segmentation/train.txt").write_bytes(b"\xff\xfe\xff"),
            r"train\.txt cannot be read",
        ),
        (lambda root: photograph(root / "JPEGImages/2007_000032.png", SIZE), "have one name; rename or remove one"),
        (lambda root: write(root / "dataset_meta.json", "{}"), r"dataset_meta\.json; describe them in labelmap\.txt"),
    ],
)
def test_a_malformed_folder_is_named(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    root = challenge(tmp_path)
    spoil(root)
    with pytest.raises(ValueError, match=said):
        open_format(root, "voc", "train")


def test_a_mask_with_other_values_or_another_size_is_named(tmp_path: Path) -> None:
    root = challenge(tmp_path)
    file = root / "SegmentationClass" / "2007_000032.png"
    save(file, np.full(SIZE, 21, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"2007_000032\.png: 100.00% of the pixels have a value that is no class: 21"):
        open_format(root, "voc", "train")[0]
    save(file, np.zeros((2, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"2007_000032\.png is 3x2, its image 2007_000032\.jpg 9x6"):
        open_format(root, "voc", "train")[0]


@pytest.mark.parametrize("folders", [("SegmentationClass",), ("JPEGImages", "Annotations"), ("images", "masks"), ()])
def test_other_folders_are_not_taken_for_voc(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for folder in folders:
        photograph(tmp_path / folder / "a.png", SIZE)
    assert not Voc.found(tmp_path)
    with pytest.raises(ValueError, match="is not in the format of VOC"):
        open_format(tmp_path, "voc", "train")
    file = tmp_path / "a.png"
    Image.new("L", (3, 3)).save(file)
    assert not Voc.found(file)
