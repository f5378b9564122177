"""Copies of runs: small files without paths of this machine, and a shortened log."""

import csv
import json
from pathlib import Path

import pytest

from index_builder.report.run_copy import EVERY, collect


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with absolute paths, a log of 50 steps with one validation, and a checkpoint."""
    folder = tmp_path / "runs" / "first"
    (folder / "logs").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"large")
    recipe = {"datasets": ["camvid"], "roots": {"camvid": "/data/camvid"}, "weights": "/data/weights/m.safetensors"}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "evaluation.json").write_text(json.dumps({"miou": 0.5, "note": "read /data/camvid/val"}))
    rows = ["step,loss,val/miou", *(f"{step},{1 / (step + 1)}," for step in range(50)), "7,,0.25"]
    (folder / "logs" / "metrics.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_only_small_files_are_copied_and_paths_are_cut(run: Path, tmp_path: Path) -> None:
    (copy,) = collect([run], tmp_path / "kept")
    assert sorted(file.name for file in copy.iterdir()) == ["evaluation.json", "log.csv", "recipe.json"]
    recipe = json.loads((copy / "recipe.json").read_text())
    assert recipe == {"datasets": ["camvid"], "weights": "m.safetensors"}
    assert "/data" not in "".join(file.read_text() for file in copy.iterdir())


def test_the_log_keeps_the_last_row_of_every_twenty_steps_and_every_validation(run: Path, tmp_path: Path) -> None:
    (copy,) = collect([run], tmp_path / "kept")
    rows = list(csv.DictReader((copy / "log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [7, EVERY - 1, 2 * EVERY - 1, 49]
    assert [row["val/miou"] for row in rows] == ["0.25", "", "", ""]
    assert float(rows[1]["loss"]) == pytest.approx(1 / EVERY)


def test_files_that_a_run_no_longer_has_are_removed_from_its_copy(run: Path, tmp_path: Path) -> None:
    (copy,) = collect([run], tmp_path / "kept")
    (run / "evaluation.json").unlink()
    (copy / "notes.md").write_text("not ours")
    collect([run], tmp_path / "kept")
    assert sorted(file.name for file in copy.iterdir()) == ["log.csv", "notes.md", "recipe.json"]


def test_two_runs_of_one_name_are_refused_before_anything_is_written(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "first"
    other.mkdir(parents=True)
    with pytest.raises(ValueError, match="two of the folders have the name 'first'"):
        collect([run, other], tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
