"""The log of the bundled network's training: every stage, in order."""

import csv
import json
from pathlib import Path

from index_builder.bundled import EVERY, write_log


def run(folder: Path, start: Path | None, losses: list[float]) -> Path:
    """Write the folder of a run: its recipe, and a loss for every hundredth step."""
    (folder / "logs").mkdir(parents=True)
    (folder / "recipe.json").write_text(json.dumps({"start": str(start) if start else None}))
    lines = [f"{(n + 1) * EVERY - 1},{loss},{loss / 2}" for n, loss in enumerate(losses)]
    (folder / "logs" / "metrics.csv").write_text("\n".join(["step,loss,loss/camvid", *lines]))
    return folder


def logged(file: Path) -> list[tuple[str, str, str]]:
    return [(row["stage"], row["step"], row["loss"]) for row in csv.DictReader(file.read_text().splitlines())]


def test_runs_that_started_from_each_other_are_stages_in_their_order(tmp_path: Path) -> None:
    first = run(tmp_path / "first", None, [0.5, 0.4])
    second = run(tmp_path / "second", first, [0.3])
    write_log(run(tmp_path / "third", second, [0.2]), tmp_path / "log.csv")
    assert logged(tmp_path / "log.csv") == [
        ("1", "100", "0.5"), ("1", "200", "0.4"), ("2", "100", "0.3"), ("3", "100", "0.2")
    ]  # fmt: skip


def test_the_log_of_the_release_that_the_first_run_started_from_stays(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "card.json").write_text("{}")
    (tmp_path / "log.csv").write_text("stage,step,loss,loss/camvid\n1,100,0.9,0.45\n2,100,0.8,0.4\n")
    third = run(tmp_path / "third", tmp_path / "release", [0.7])
    write_log(run(tmp_path / "fourth", third, [0.6]), tmp_path / "log.csv")
    assert [(stage, loss) for stage, _, loss in logged(tmp_path / "log.csv")] == [
        ("1", "0.9"), ("2", "0.8"), ("3", "0.7"), ("4", "0.6")
    ]  # fmt: skip
