"""Tables of the outputs of `benchmarks.street_votes`: differences on held-out frames and on drives left out.

    python -m benchmarks.street_votes_table docs/results/votes

Outputs named held-DRIVE.json and only-DRIVE.json are of networks that were trained without the drive, on held-out
frames of the other drives and on the left-out drive. Scores are means over the drives. A sentence names the commits of
the rows. Outputs with measurements of explanations get a table of their own. confidence.json is the output of
`benchmarks.street_confidence`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from index_builder.pixel_scores import Folds, Interval, difference_of_miou, mean_miou
from index_builder.report.markdown import table

CONFIDENCE = "confidence.json"
EXPLANATIONS = {
    "jaccard jpeg": "Jaccard, JPEG 70",
    "jaccard noise": "noise",
    "jaccard shift": "shift of 1 pixel",
    "purity": "purity",
    "removed 8": "stays after 8 removed",
    "removed 32": "after 32",
}


def read(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    """Outputs of a part, such as "held", by drive."""
    return {file.stem.partition("-")[2]: json.loads(file.read_text()) for file in sorted(folder.glob(f"{part}-*.json"))}


def splitting_table(folder: Path) -> str:
    """Each variant that was measured on all drives, beside the first one, as Markdown."""
    held, left_out = read(folder, "held"), read(folder, "only")
    head = ["", "segments", "time", *(["held, mIoU", "difference"] if held else []), "left out, mIoU", "difference"]
    names = next(iter(left_out.values()))["rows"]
    first, rows = next(iter(names)), []
    for name in names:
        if all(name in one["rows"] for one in (*held.values(), *left_out.values())):
            drives = [one["rows"][name] for one in left_out.values()]
            rows.append(
                [
                    *(name, _mean(drives, "segments", 0), _mean(drives, "time", 2)),
                    *(_scores(held, name, first, with_interval=False) if held else ()),
                    *_scores(left_out, name, first, with_interval=True),
                    *(_change(left_out, drive, name, first) for drive in left_out),
                ]
            )
    return table([*head, *left_out], rows)


def measured_at(folder: Path) -> str:
    """Commits of the rows of `splitting_table` and their machines, as a sentence; empty where no output states them."""
    documents = [one for part in ("held", "only") for one in read(folder, part).values()]
    at, machines = dict[str, str](), set[str]()  # the first row of each run of rows, by commit
    last = ""
    for name in documents[-1]["rows"]:
        environments = [_environment(one, name) for one in documents if name in one["rows"]]
        if len(environments) < len(documents) or None in environments:
            continue
        found = [one for one in environments if one is not None]
        commits = " and ".join(sorted({one["commit"][:7] for one in found}))
        machines |= {one["machine"] for one in found}
        if commits != last:
            at[name], last = commits, commits
    if not at:
        return ""
    first, *later = at.items()
    others = "".join(f", rows from `{name}` on at {commits}" for name, commits in later)
    return f"At commit {first[1]}{others}; {', '.join(sorted(machines))}."


def _environment(document: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Of a row; outputs of an earlier version have one for all rows."""
    found: dict[str, Any] | None = document["rows"][name].get("environment", document.get("environment"))
    return found


def explanations_table(document: Mapping[str, Any]) -> str:
    """Steadiness, purity and removal of one output, as Markdown."""
    first = next(iter(document["rows"]))
    rows = [
        [
            *(name, str(row["exemplars"]), _signed(_difference({"": document}, name, first).value)),
            *(f"{row[column]:.3f}" for column in EXPLANATIONS),
        ]
        for name, row in document["rows"].items()
        if "purity" in row
    ]
    return table(["", "exemplars", "mIoU, difference", *EXPLANATIONS.values()], rows)


def _folds(documents: Mapping[str, Any], name: str) -> Folds:
    return {drive: [np.asarray(one["rows"][name]["counts"])] for drive, one in documents.items()}


def _difference(documents: Mapping[str, Any], name: str, first: str) -> Interval:
    return difference_of_miou(_folds(documents, name), _folds(documents, first))


def _scores(documents: Mapping[str, Any], name: str, first: str, with_interval: bool) -> list[str]:
    score = f"{mean_miou(_folds(documents, name), draws=1).value:.4f}"
    if name == first:
        return [score, ""]
    found = _difference(documents, name, first)
    interval = f" ({_signed(found.low)} to {_signed(found.high)})" if with_interval else ""
    return [score, f"{_signed(found.value)}{interval}"]


def _change(documents: Mapping[str, Any], drive: str, name: str, first: str) -> str:
    one = {drive: documents[drive]}
    if name == first:
        return f"{mean_miou(_folds(one, name), draws=1).value:.4f}"
    return _signed(_difference(one, name, first).value)


def _mean(rows: Sequence[Mapping[str, Any]], column: str, digits: int) -> str:
    return f"{np.mean([row[column] for row in rows]):.{digits}f}" if all(column in row for row in rows) else ""


def _signed(value: float) -> str:
    return f"{value:+.4f}"


def confidence_table(document: Mapping[str, Any]) -> str:
    """Calibration error on drives left out, by what curves were fitted to, as Markdown."""
    drives, rows = document["drives"], []
    for event in ("pixels", "segments"):
        for by in ("majorities", "pixels"):
            values = [found[by][event] for found in drives.values()]
            rows.append([f"ECE of {event}, fitted to {by}", *(f"{value:.3f}" for value in (*values, np.mean(values)))])
    return table(["", *drives, "mean"], rows)


def tables(folder: Path) -> list[str]:
    """All tables of a folder."""
    confidence, explained = (
        [json.loads(file.read_text()) for file in sorted(folder.glob(names))]
        for names in (CONFIDENCE, "explained-*.json")
    )
    shown = (explanations_table(one) for one in explained)
    at = measured_at(folder)
    return [splitting_table(folder), *([at] if at else []), *(confidence_table(one) for one in confidence), *shown]


def _main(folder: Annotated[Path, typer.Argument(help="Folder of the outputs.")]) -> None:
    """Print the tables."""
    typer.echo("\n\n".join(tables(folder)))


if __name__ == "__main__":
    typer.run(_main)
