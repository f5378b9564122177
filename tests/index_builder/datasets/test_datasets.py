"""Data sets: images and labels are read as stored, and an error names the file."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.datasets import IGNORE, open_dataset
from index_builder.datasets.streets import FIRST_SEEDS
from model_store.labelled.camvid import CLASSES

COLORS = [(200, 0, 0), (0, 200, 0)]


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Twenty frames of two drives in SegNet's layout."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}annot").mkdir()
    for drive in ("0001TP", "0016E5"):
        for i in range(10):
            name = f"{drive}_{i:05d}.png"
            for split in ("train", "val"):
                Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(tmp_path / split / name)
                mask = random.integers(0, 12, (6, 8), dtype=np.uint8)
                Image.fromarray(mask).save(tmp_path / f"{split}annot" / name)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, one with an indexed mask and one with a coloured one."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    classes = [{"name": "crop", "color": COLORS[0]}, {"name": "weed", "color": COLORS[1]}]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": classes, "ignore": 255}))
    for name in ("a", "b"):
        Image.fromarray(np.full((4, 6, 3), 90, dtype=np.uint8)).save(tmp_path / "images" / f"{name}.jpg")
    indexed = Image.fromarray(np.array([[0, 1, 255, 0, 1, 255]] * 4, dtype=np.uint8))
    indexed.putpalette([c for color in COLORS for c in color] + [0] * 762)
    indexed.save(tmp_path / "masks" / "a.png")
    colored = np.array([[COLORS[1], COLORS[0]] * 3] * 4, dtype=np.uint8)
    Image.fromarray(colored).save(tmp_path / "masks" / "b.png")
    return tmp_path


def test_camvid_gives_frames_with_eleven_as_unlabelled(camvid: Path) -> None:
    val = open_dataset("camvid", camvid, "val")
    assert len(val) == 20
    sample = val[3]
    mask = np.asarray(Image.open(camvid / "valannot" / "0001TP_00003.png"))
    np.testing.assert_array_equal(sample.labels, np.where(mask == 11, IGNORE, mask))
    np.testing.assert_array_equal(sample.image, np.asarray(Image.open(camvid / "val" / "0001TP_00003.png")))
    assert sample.source == "camvid/val/0001TP_00003"


def test_a_split_of_camvid_is_no_path(camvid: Path, tmp_path: Path) -> None:
    (tmp_path / "inner" / "trainannot").mkdir(parents=True)
    assert len(open_dataset("camvid", camvid, "val")) == 20
    for split in ("../val", str(camvid / "val")):
        with pytest.raises(ValueError, match="has no images"):
            open_dataset("camvid", tmp_path / "inner", split)


def test_fit_and_held_part_train_at_the_end_of_each_drive(camvid: Path) -> None:
    parts = {split: {open_dataset("camvid", camvid, split)[i].source.split("/")[2] for i in range(n)}
             for split, n in (("train", 20), ("fit", 18), ("held", 2))}  # fmt: skip
    assert parts["held"] == {"0001TP_00009", "0016E5_00009"}
    assert parts["fit"] | parts["held"] == parts["train"]
    assert not parts["fit"] & parts["held"]


def frames(camvid: Path, split: str) -> set[str]:
    data = open_dataset("camvid", camvid, split)
    return {data[i].source.split("/")[2] for i in range(len(data))}


def test_a_drive_of_camvid_is_a_split_and_so_are_all_others(camvid: Path) -> None:
    train = frames(camvid, "train")
    only = {name for name in train if name.startswith("0016E5")}
    assert frames(camvid, "only-0016E5") == only
    assert frames(camvid, "without-0016E5") == train - only
    assert frames(camvid, "held-without-0016E5") == {"0001TP_00009"}
    assert frames(camvid, "fit-without-0016E5") == train - only - {"0001TP_00009"}


@pytest.mark.parametrize("split", ["only-9999XX", "without-9999XX", "fit-without-9999XX", "held-without-9999XX"])
def test_a_drive_that_is_not_there_is_named_with_those_that_are(camvid: Path, split: str) -> None:
    with pytest.raises(ValueError, match="drive '9999XX' is not in train; name one of 0001TP, 0016E5"):
        open_dataset("camvid", camvid, split)


@pytest.mark.parametrize("split", ["fit-only-0016E5", "without-", "held-0016E5"])
def test_other_names_of_parts_are_no_splits(camvid: Path, split: str) -> None:
    with pytest.raises(ValueError, match="has no images"):
        open_dataset("camvid", camvid, split)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def spoil_color(root: Path) -> None:
    Image.new("RGB", (8, 6), "#123456").save(root / "valannot" / "0001TP_00000.png")


def spoil_size(root: Path) -> None:
    Image.fromarray(np.zeros((5, 8), dtype=np.uint8)).save(root / "valannot" / "0001TP_00000.png")


def spoil_value(root: Path) -> None:
    Image.fromarray(np.full((6, 8), 12, dtype=np.uint8)).save(root / "valannot" / "0001TP_00000.png")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_size, r"0001TP_00000\.png is 8x5, its image 0001TP_00000\.png 8x6"),
        (
            spoil_value,
            r"0001TP_00000\.png: 100\.00% of the pixels have a value that is no class: 12\. Allowed",
        ),
        (spoil_color, r"0001TP_00000\.png: 100\.00% of the pixels have 1 colours that are no class: #123456"),
        (lambda root: cut_short(root / "valannot" / "0001TP_00000.png"), r"annot/0001TP_00000\.png cannot be read"),
        (lambda root: cut_short(root / "val" / "0001TP_00000.png"), r"val/0001TP_00000\.png cannot be read"),
    ],
)
def test_a_spoilt_mask_of_camvid_is_named(camvid: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(camvid)
    with pytest.raises(ValueError, match=said):
        open_dataset("camvid", camvid, "val")[0]


def test_a_folder_takes_indexed_and_coloured_masks(folder: Path) -> None:
    data = open_dataset("folder", folder, "any")
    assert [info.name for info in data.classes] == ["crop", "weed"]
    np.testing.assert_array_equal(data[0].labels, [[0, 1, IGNORE, 0, 1, IGNORE]] * 4)
    np.testing.assert_array_equal(data[1].labels, [[1, 0, 1, 0, 1, 0]] * 4)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16])
def test_an_indexed_mask_may_have_any_depth(folder: Path, dtype: type) -> None:
    mask = np.array([[0, 1, 0, 1, 0, 1]] * 4)
    Image.fromarray(mask.astype(dtype)).save(folder / "masks" / "a.png")
    np.testing.assert_array_equal(open_dataset("folder", folder, "any")[0].labels, mask)


@pytest.mark.parametrize("ignore", [[9, 9, 9], 7, None])
def test_ignored_pixels_are_given_by_index_or_colour(folder: Path, ignore: list[int] | int | None) -> None:
    document = json.loads((folder / "classes.json").read_text())
    (folder / "classes.json").write_text(json.dumps({**document, "ignore": ignore}))
    indexed, colored = np.ones((4, 6), np.uint8), np.full((4, 6, 3), COLORS[1], np.uint8)
    indexed[0], colored[0] = 7, 9
    Image.fromarray(indexed).save(folder / "masks" / "a.png")
    Image.fromarray(colored).save(folder / "masks" / "b.png")
    data = open_dataset("folder", folder, "any")
    for i, understood in ((0, ignore == 7), (1, ignore == [9, 9, 9])):
        if understood:
            np.testing.assert_array_equal(data[i].labels, [[IGNORE] * 6] + [[1] * 6] * 3)
        else:
            with pytest.raises(ValueError, match="no class"):
                data[i]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": []}, r"0 classes"),
        ({"classes": [{"name": str(i), "color": [i % 256, i // 256, 0]} for i in range(256)]}, r"256 classes"),
        ({"classes": [{"name": "x", "color": [1, 1, 1]}, {"name": "x", "color": [2, 2, 2]}]}, "are one name"),
        ({"classes": [{"name": "x", "color": [1, 1, 1]}, {"name": "y", "color": [1, 1, 1]}]}, "1 colours"),
        ({"classes": [{"name": "x", "color": [256, 0, 0]}]}, r"the colour \[256, 0, 0\]"),
        ({"ignore": [1, 2]}, r"the colour \[1, 2\]"),
        ({"ignore": "255"}, "ignore is '255'"),
    ],
)
def test_classes_with_equal_names_or_colours_are_refused(folder: Path, change: dict[str, object], said: str) -> None:
    document = json.loads((folder / "classes.json").read_text())
    (folder / "classes.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(ValueError, match=rf"classes\.json cannot be used \(.*{said}"):
        open_dataset("folder", folder, "any")


def test_fewer_images_are_evenly_spread(camvid: Path) -> None:
    some = open_dataset("camvid", camvid, "val", count=4)
    assert [some[i].source.split("/")[2] for i in range(len(some))] == [
        "0001TP_00000",
        "0001TP_00005",
        "0016E5_00000",
        "0016E5_00005",
    ]
    assert len(open_dataset("camvid", camvid, "val", count=99)) == 20
    with pytest.raises(ValueError, match="count=0 must be at least 1"):
        open_dataset("camvid", camvid, "val", count=0)


def test_a_photograph_is_turned_upright_before_its_mask_is_laid_on_it(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(np.full((6, 4, 3), 90, dtype=np.uint8)).save(folder / "images" / "a.jpg", exif=exif)
    assert open_dataset("folder", folder, "any")[0].image.shape == (4, 6, 3)


def test_splits_of_a_folder_are_its_folders(folder: Path) -> None:
    for kind in ("images", "masks"):
        (folder / kind / "train").mkdir()
        for file in [f for f in (folder / kind).iterdir() if f.is_file()]:
            file.rename(folder / kind / "train" / file.name)
    assert len(open_dataset("folder", folder, "train")) == 2
    with pytest.raises(ValueError, match=r"split 'val' is not a folder of .*train"):
        open_dataset("folder", folder, "val")


def foreign_color(root: Path) -> None:
    Image.new("RGB", (6, 4), "#070708").save(root / "masks" / "a.png")


def foreign_index(root: Path) -> None:
    Image.fromarray(np.full((4, 6), 9, dtype=np.uint8)).save(root / "masks" / "a.png")


def other_size(root: Path) -> None:
    Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(root / "masks" / "a.png")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            foreign_color,
            r"a\.png: 100\.00% of the pixels have 1 .*: #070708 \(nearest: \w+, #",
        ),
        (foreign_index, r"a\.png: 100\.00% of the pixels have a value that is no class: 9\. Allowed: 0, 1, 255"),
        (other_size, r"a\.png is 5x4, its image a\.jpg 6x4"),
        (lambda root: (root / "masks" / "a.png").write_bytes(b"no mask"), r"masks/a\.png cannot be read as a mask"),
        (lambda root: cut_short(root / "masks" / "a.png"), r"masks/a\.png cannot be read as a mask"),
        (lambda root: cut_short(root / "images" / "a.jpg"), r"images/a\.jpg cannot be read as an image"),
        (lambda root: (root / "classes.json").unlink(), r"classes\.json cannot be used"),
        (
            lambda root: (root / "classes.json").write_text('{"classes": [{"name": "x"}]}'),
            r"classes\.json cannot be used",
        ),
    ],
)
def test_what_is_wrong_in_a_folder_is_named(folder: Path, spoil: Callable[[Path], None], said: str) -> None:
    spoil(folder)
    with pytest.raises(ValueError, match=said):
        open_dataset("folder", folder, "any")[0]


@pytest.mark.parametrize(
    ("name", "root", "split", "said"),
    [
        ("tarot", None, "train", "'tarot' is not known; choose streets, auto or one of .*folder"),
        ("camvid", None, "train", "needs the folder of its files"),
        ("camvid", Path("/nowhere"), "train", "/nowhere/train has no images"),
        ("streets", None, "trial", "split 'trial' of streets is not known; choose train, val, test"),
    ],
)
def test_what_cannot_be_opened_is_said(name: str, root: Path | None, split: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        open_dataset(name, root, split)


def test_streets_are_painted_from_their_number_and_their_split() -> None:
    train, val = open_dataset("streets", None, "train", count=5), open_dataset("streets", None, "val", count=5)
    again = open_dataset("streets", None, "train", count=9)
    np.testing.assert_array_equal(train[4].image, again[4].image)
    np.testing.assert_array_equal(train[4].labels, again[4].labels)
    assert not np.array_equal(train[4].image, val[4].image)
    assert not np.array_equal(train[4].image, train[3].image)
    with pytest.raises(IndexError):
        train[5]


def test_the_streets_of_the_splits_are_all_different() -> None:
    """Each split has ten million seeds of its own. A larger count is refused."""
    most = 10_000_000
    ends = sorted((first, first + most) for first in FIRST_SEEDS.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert len(open_dataset("streets", None, "val", count=most)) == most
    for count in (0, most + 1):
        with pytest.raises(ValueError, match=f"count={count}"):
            open_dataset("streets", None, "val", count=count)


def test_streets_show_every_class_and_vary() -> None:
    samples = [open_dataset("streets", None, "test", count=24)[i] for i in range(24)]
    assert all(s.image.shape == (360, 480, 3) and s.labels.shape == (360, 480) for s in samples)
    counts = sum(np.bincount(s.labels.ravel(), minlength=256) for s in samples)
    assert (counts[: len(CLASSES)] > 0).all()
    assert counts[len(CLASSES) : IGNORE].sum() == 0
    brightness = [s.image.mean() for s in samples]
    assert max(brightness) > 1.5 * min(brightness), "some streets are dark and some are bright"
    road, sky = (
        (np.mean([np.nonzero(s.labels == c)[0].mean() for s in samples if (s.labels == c).any()])) for c in (3, 0)
    )
    assert road > 200 > 120 > sky, "the road lies below and the sky above"
