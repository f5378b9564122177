"""Copies the small files of runs, from which the page of results can be made again."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from index_builder.report.run_files import read_log, read_run, without_paths

EVERY = 20  # steps, of which one row of the log is kept
KINDS = ("recipe", "evaluation", "evaluation-*", "sweep-*", "regions", "speed", "environment")  # of JSON
PLACES = ("weights", "start", "region_maps", "contours")  # keys of a recipe: only the last part of their paths is kept


def collect(folders: Sequence[Path], into: Path) -> list[Path]:
    """Copy the files that the page needs into `into`/NAME of each run: a few kilobytes, without paths of this machine.

    The log is joined and reduced to one row for every 20 steps; all rows with a validation are kept. Files of an
    earlier copy that the run no longer has are removed.

    Raises:
        ValueError: if a folder holds no run, or two have one name.
    """
    names = [folder.resolve().name for folder in folders]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"two of the folders have the name {twice[0]!r}; rename one, because a copy has the name of its run"
        )
    return [_copy(folder, into / name) for folder, name in zip(folders, names, strict=True)]


def _copy(folder: Path, to: Path) -> Path:
    read_run(folder)  # raises before anything is written
    to.mkdir(parents=True, exist_ok=True)
    files = {file.name: file for kind in KINDS for file in folder.glob(f"{kind}.json")}
    texts = {name: _portable(file) for name, file in files.items()}
    log = _thinned(read_log(folder))
    for old in [*(file for kind in KINDS for file in to.glob(f"{kind}.json")), to / "log.csv"]:
        if old.name not in texts:
            old.unlink(missing_ok=True)
    for name, text in texts.items():
        (to / name).write_text(text, encoding="utf-8")
    if log:
        _write_log(log, to / "log.csv")
    return to


def _portable(file: Path) -> str:
    """The text of a JSON file without paths of this machine."""
    document = json.loads(file.read_text(encoding="utf-8"))
    if file.name == "recipe.json":
        document.pop("roots", None)
        document |= {key: Path(document[key]).name for key in PLACES if document.get(key)}
    return json.dumps(without_paths(document), indent=1) + "\n"


def _thinned(rows: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """The last row of every 20 steps, and every row with a validation."""
    last = {int(row["step"]) // EVERY: row for row in rows if "loss" in row or "val/miou" not in row}
    kept = {int(row["step"]): row for row in last.values()}
    kept |= {int(row["step"]): row for row in rows if any(key.startswith("val/") for key in row)}
    return [kept[step] for step in sorted(kept)]


def _write_log(rows: Sequence[dict[str, float]], file: Path) -> None:
    columns = ["step", *sorted({key for row in rows for key in row} - {"step", "epoch"})]
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}"
