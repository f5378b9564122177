"""The data set `images`: files of a folder or of its split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.datasets import open_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images and a text file; a subfolder `train` has one image."""
    (tmp_path / "train").mkdir()
    for value, name in enumerate(("b.png", "a.JPG", "c.webp", "train/d.png")):
        image = Image.fromarray(np.full((4, 5, 3), 40 * value, dtype=np.uint8))
        image.save(tmp_path / name, "PNG")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_images_of_a_folder_are_in_alphabetical_order(folder: Path) -> None:
    images = open_images("images", folder, "val")
    assert [images.photograph(i).source for i in range(len(images))] == ["images/a", "images/b", "images/c"]
    assert [int(images.photograph(i).image[0, 0, 0]) for i in range(3)] == [40, 0, 80]


def test_a_split_is_a_subfolder_if_there_is_one(folder: Path) -> None:
    images = open_images("images", folder, "train")
    assert [images.photograph(i).source for i in range(len(images))] == ["images/d"]


def test_a_count_spreads_evenly(folder: Path) -> None:
    assert len(open_images("images", folder, "val", count=2)) == 2


def test_a_folder_without_images_and_a_missing_root_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no images"):
        open_images("images", tmp_path, "train")
    with pytest.raises(ValueError, match="'images' needs the folder of its files; give it with --root"):
        open_images("images", None, "train")
