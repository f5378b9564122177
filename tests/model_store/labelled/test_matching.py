"""Images and masks are matched by relative paths, and stated paths never leave the folder."""

from pathlib import Path

import pytest

from model_store.labelled.matching import NamedImages, by_path, pair_paths
from model_store.labelled.survey import Survey
from tests.model_store.labelled.naive import photograph, write

SIZE = (2, 2)


def test_pairs_have_the_same_relative_path(tmp_path: Path) -> None:
    for name in ("images/x/1.jpg", "images/y/1.jpg", "images/a.b.jpg", "masks/x/1_m.png", "masks/a.b_m.png",
                 "masks/z_m.png", "masks/q.png"):  # fmt: skip
        photograph(tmp_path / name, SIZE)
    write(tmp_path / "masks" / "x" / "t.txt", "")
    survey = Survey(tmp_path)
    pairs = pair_paths(by_path(tmp_path / "images", survey), by_path(tmp_path / "masks", survey, "_m"), survey)
    assert [(str(image.relative_to(tmp_path)), str(mask.relative_to(tmp_path))) for image, mask in pairs] == [
        ("images/a.b.jpg", "masks/a.b_m.png"),
        ("images/x/1.jpg", "masks/x/1_m.png"),
    ]
    assert survey.skipped == {
        "masks/q.png": "its name does not end with _m",
        "masks/x/t.txt": "not an image by its suffix",
        "images/y/1.jpg": "no mask",
        "masks/z_m.png": "a mask without an image",
    }
    photograph(tmp_path / "images/x/1.png", SIZE)
    with pytest.raises(ValueError, match=r"1\.jpg and 1\.png in .* have one name"):
        by_path(tmp_path / "images", survey)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x/1.jpg", "x/1.jpg"),
        ("y/1.jpg", "y/1.jpg"),
        ("/home/me/set/x/1.jpg", "x/1.jpg"),
        ("C:\\set\\y\\1.jpg", "y/1.jpg"),
        ("../x/1.jpg", "x/1.jpg"),
        ("2.jpg", "x/2.jpg"),
        ("w/2.jpg", "x/2.jpg"),
        ("1.jpg", None),  # x/1.jpg or y/1.jpg
        ("../secret.jpg", None),
        ("", None),
        ("..", None),
        ("x", None),
    ],
)
def test_the_longest_end_of_a_path_counts(tmp_path: Path, name: str, found: str | None) -> None:
    folder = tmp_path / "set"
    files = [folder / "x/1.jpg", folder / "y/1.jpg", folder / "x/2.jpg"]
    assert NamedImages(folder, files).find(name) == (None if found is None else folder / found)
