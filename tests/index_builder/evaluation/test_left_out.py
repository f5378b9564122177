"""A recipe scored on drives that its networks were trained without."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from command_line.main import cli
from index_builder.build import BuildOptions
from index_builder.datasets.streets import Streets
from index_builder.evaluation import evaluate_left_out
from index_builder.evaluation.left_out import left_out_runs

DRIVES = ("dusk", "noon")


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten small painted frames of each of two drives, in the layout of CamVid."""
    root = tmp_path_factory.mktemp("camvid")
    for folder in ("train", "trainannot"):
        (root / folder).mkdir()
    streets = Streets("train", 20)
    for i in range(20):
        sample, name = streets[i], f"{DRIVES[i // 10]}_{i:03}.png"
        labels = np.where(sample.labels == 255, 11, sample.labels).astype(np.uint8)
        Image.fromarray(sample.image).resize((96, 72)).save(root / "train" / name)
        Image.fromarray(labels).resize((96, 72), Image.Resampling.NEAREST).save(root / "trainannot" / name)
    return root


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path) -> Path:
    """A run for each drive, trained without it."""
    for drive in DRIVES:
        shutil.copytree(tiny_run, tmp_path / f"run-{drive}")
        recipe = {"train_splits": {"camvid": f"fit-without-{drive}"}}
        (tmp_path / f"run-{drive}" / "recipe.json").write_text(json.dumps(recipe))
    return tmp_path


def test_each_network_is_scored_on_all_frames_of_its_drive(runs: Path, camvid: Path) -> None:
    report = evaluate_left_out(runs, "camvid", camvid, exemplars=None, options=BuildOptions())
    assert list(report.drives) == list(DRIVES)
    assert [one.images for one in report.drives.values()] == [10, 10]
    scores = [one.miou for one in report.drives.values()]
    assert scores[0] != scores[1]
    assert report.mean.miou == pytest.approx(np.mean(scores))
    assert report.mean.images == 20


def test_the_command_prints_drives_and_mean_and_writes_them(runs: Path, camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "left-out.json"
    arguments = ["evaluate", runs, "--left-out", "--dataset", "camvid", "--root", camvid, "--out", out]
    done = CliRunner().invoke(cli, [str(word) for word in arguments], catch_exceptions=False)
    mean = json.loads(out.read_text())["mean"]["miou"]
    assert f"mean of 2 drives: 20 images, mIoU {mean:.4f}" in done.stdout


def test_a_folder_must_have_one_run_for_each_drive(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "run-noon", runs / "again")
    with pytest.raises(ValueError, match="noon, noon"):
        left_out_runs(runs, "camvid")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="leave out no drive"):
        left_out_runs(tmp_path / "nothing", "camvid")
