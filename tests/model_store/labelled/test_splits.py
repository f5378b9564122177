"""Names of splits: exact names first, then years and usual other names."""

from pathlib import Path

import pytest

from model_store.labelled.splits import WHOLE, choose_split, is_usual, meaning

HERE = Path("here")


@pytest.mark.parametrize(
    ("asked", "parts", "chosen"),
    [
        ("train", ["train", "val"], "train"),
        ("train", ["training", "validation"], "training"),
        ("val", ["training", "validation"], "validation"),
        ("val", ["train", "valid", "test"], "valid"),
        ("validation", ["val", "train"], "val"),
        ("val", ["train2017", "val2017"], "val2017"),
        ("val2017", ["train2017", "val2017"], "val2017"),
        ("test", ["testing"], "testing"),
        ("Train", ["train"], "train"),
        ("valid", ["val", "valid"], "valid"),
        ("fold1", ["fold1", "fold2"], "fold1"),
        ("u\u0308", ["\u00fc", "train"], "\u00fc"),
        ("anything", [WHOLE], WHOLE),
    ],
)
def test_a_split_is_chosen(asked: str, parts: list[str], chosen: str) -> None:
    assert choose_split(asked, parts, HERE) == chosen


@pytest.mark.parametrize(
    ("asked", "parts", "said"),
    [
        ("test", ["val", "train", WHOLE], "split 'test' does not exist in here; choose train, val"),
        ("train", ["train2014", "train2017", "val"], "split 'train' is ambiguous in here; choose train2014, train2017"),
        ("val", ["valid", "validation"], "split 'val' is ambiguous in here; choose valid, validation"),
        ("fold", ["fold1", "fold2"], "split 'fold' does not exist in here; choose fold1, fold2"),
        ("", ["train"], "split '' does not exist"),
    ],
)
def test_a_split_that_is_missing_or_ambiguous_is_refused(asked: str, parts: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose_split(asked, parts, HERE)


def test_usual_names_are_known() -> None:
    usual = ["train", "Training", "val", "valid", "validation", "test", "testing", "train2017", "val_2014"]
    assert all(map(is_usual, usual))
    assert [meaning(name) for name in usual[:4]] == ["train", "train", "val", "val"]
    assert not any(map(is_usual, ["default", "trainval", "images", "2017", ""]))
