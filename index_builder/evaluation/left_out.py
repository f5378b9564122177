"""Evaluation of a recipe on drives that training has not seen: a network and a release for each drive."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from index_builder.build import BuildOptions, build_release
from index_builder.datasets import Dataset, open_dataset
from index_builder.embedder_source import is_run, load_embedder_source
from index_builder.evaluation.evaluation_report import Report
from index_builder.evaluation.retrieval import evaluate

WITHOUT = "fit-without-"


class MeanScore(BaseModel):
    """Means over the drives of the fields of their `Report`; images: of all drives together."""

    model_config = ConfigDict(frozen=True)

    images: int
    miou: float | None
    pixel_accuracy: float | None
    boundary_f: dict[str, float | None]
    ece: float | None


class LeftOutReport(BaseModel):
    """Scores of releases of one recipe, each on the drive that its network was trained without.

    Attributes:
        network: name of the networks.
        exemplars: where the exemplars come from.
        drives: report of each drive.
        mean: over the drives.
    """

    model_config = ConfigDict(frozen=True)

    network: str
    exemplars: str
    drives: dict[str, Report]
    mean: MeanScore

    def to_json(self) -> str:
        """The report as an indented JSON document."""
        return self.model_dump_json(indent=1)

    def to_text(self) -> str:
        """A line for each drive, and one for their mean."""
        lines = [f"drive {drive}, trained without it: {_line(report)}" for drive, report in self.drives.items()]
        return "\n".join([*lines, f"mean of {len(lines)} drives: {_line(self.mean)}"])


class LeftOutRun(NamedTuple):
    """A training run and the drive that it was trained without."""

    folder: Path
    drive: str


def left_out_runs(folder: Path, dataset: str) -> list[LeftOutRun]:
    """The finished runs in a folder whose training split is "fit-without-DRIVE", in the order of the drives.

    Raises:
        ValueError: if there are none, or two of one drive.
    """
    found = sorted(_left_out_runs(folder, dataset), key=lambda run: run.drive)
    drives = [run.drive for run in found]
    if not found or len(set(drives)) < len(drives):
        raise ValueError(
            f"{folder} has finished runs that leave out {', '.join(drives) or 'no drive'}; it must hold one run for "
            f"each drive, trained with --split {dataset}={WITHOUT}DRIVE"
        )
    return found


def evaluate_left_out(
    runs: Path, dataset: str, root: Path | None, *, exemplars: Dataset | None, options: BuildOptions
) -> LeftOutReport:
    """Build a release from each run and evaluate it on the drive that the run was trained without.

    Releases are calibrated on the split "held-without-DRIVE" of the data set.

    Args:
        runs: folder of the runs, see `left_out_runs`.
        dataset, root: the data set with drives, such as "camvid", and its folder.
        exemplars: images that give exemplars; None: the split that each network was trained on.
        options: of the releases.

    Raises:
        ValueError: if runs or data set cannot be used.
    """
    reports, network = {}, ""
    for run in left_out_runs(runs, dataset):
        source = load_embedder_source(run.folder)
        network = source.network.name
        labelled = exemplars or open_dataset(dataset, root, WITHOUT + run.drive)
        held = open_dataset(dataset, root, f"held-without-{run.drive}")
        with TemporaryDirectory() as work:
            release = build_release(labelled, source, Path(work) / run.drive, options=options, calibrate_with=held)
            reports[run.drive] = evaluate(release, open_dataset(dataset, root, f"only-{run.drive}"))
    origin = f"{dataset}/{WITHOUT}DRIVE" if exemplars is None else exemplars.name
    return LeftOutReport(network=network, exemplars=origin, drives=reports, mean=_mean(list(reports.values())))


def _left_out_runs(folder: Path, dataset: str) -> Iterator[LeftOutRun]:
    for run in sorted(entry for entry in folder.iterdir() if is_run(entry)):
        recipe = json.loads((run / "recipe.json").read_text())
        split = recipe.get("train_splits", {}).get(dataset, "")
        if split.startswith(WITHOUT):
            yield LeftOutRun(run, split.removeprefix(WITHOUT))


def _mean(reports: list[Report]) -> MeanScore:
    def mean(values: list[float | None]) -> float | None:
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    return MeanScore(
        images=sum(report.images for report in reports),
        miou=mean([report.miou for report in reports]),
        pixel_accuracy=mean([report.pixel_accuracy for report in reports]),
        boundary_f={name: mean([report.boundary_f[name] for report in reports]) for name in reports[0].boundary_f},
        ece=mean([report.ece for report in reports]),
    )


def _line(score: Report | MeanScore) -> str:
    values = {"mIoU": score.miou, "pixel accuracy": score.pixel_accuracy, "boundary F, 2 px": score.boundary_f.get("2"),
              "calibration error": score.ece}  # fmt: skip
    shown = ", ".join(f"{name} {'-' if value is None else f'{value:.4f}'}" for name, value in values.items())
    return f"{score.images} images, {shown}"
