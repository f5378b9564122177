"""`segsort regions write`: maps of the images of a folder or a data set, and refused arguments."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.datasets import open_images
from index_builder.regions import open_regions


def invoke(*arguments: object) -> Exception | None:
    """Run `segsort regions`; returns the exception that it raised."""
    raised = CliRunner().invoke(cli, ["regions", *map(str, arguments)]).exception
    assert not isinstance(raised, SystemExit), "the arguments were not understood"
    return raised if isinstance(raised, Exception) else None


def test_maps_of_a_data_set_are_what_the_source_gives(blocks_folder: Path, tmp_path: Path) -> None:
    for mask in (blocks_folder / "masks" / "val").iterdir():
        assert mask.exists()
    where = ("--dataset", "folder", "--root", blocks_folder, "--split", "val")
    assert invoke("write", "--source", "slic-merge", *where, "--out", tmp_path) is None
    photographs = open_images("folder", blocks_folder, "val")
    assert {file.stem for file in tmp_path.iterdir()} == {str(i) for i in range(len(photographs))}
    computed, kept = open_regions("slic-merge"), open_regions("folder", folder=tmp_path)
    for i in range(len(photographs)):
        np.testing.assert_array_equal(kept(*photographs.photograph(i)), computed(*photographs.photograph(i)))


def test_a_folder_of_images_needs_no_masks(blocks_folder: Path, tmp_path: Path) -> None:
    images = blocks_folder / "images" / "train"
    assert invoke("write", "--source", "felzenszwalb", "--images", images, "--out", tmp_path) is None
    assert len(list(tmp_path.iterdir())) == len(list(images.iterdir()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--source", "slic-merge"), "give exactly one of --images (a folder) and --dataset (a name)"),
        (
            ("--source", "slic-merge", "--images", "a", "--dataset", "b"),
            "give exactly one of --images (a folder) and --dataset (a name)",
        ),
        (("--source", "seeds", "--images", "a"), "'seeds' are not known"),
        (("--source", "contours", "--images", "a"), "need a contour network"),
    ],
)
def test_what_cannot_be_written_is_said(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    raised = invoke("write", *arguments, "--out", tmp_path)
    assert isinstance(raised, ValueError)
    assert said in str(raised)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    raised = invoke("train-contours", "--root", tmp_path, "--out", tmp_path, "--weights", tmp_path / "none.safetensors")
    assert isinstance(raised, ValueError)
    assert "none.safetensors does not exist" in str(raised)
