"""How the bundled release is made: `python -m index_builder.bundled --run RUN --camvid ROOT --out DIR`.

Exemplars are painted streets, so that every picture may be published; confidence and the threshold of the known are
calibrated on frames of CamVid that the network was not trained on (split "held"); CamVid val measures it, once with the
painted exemplars as shipped and twice with exemplars from CamVid train, which are not kept: sorted as it is served, and
finer than a caller would wait for.
"""

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from index_builder.build import BuildOptions, Notes, build_release, with_card
from index_builder.datasets import open_dataset
from index_builder.embedder_source import EmbedderSource, load_embedder_source
from index_builder.evaluate import evaluate
from index_builder.evaluation_report import Report
from index_builder.training.starting_network import is_release
from model_store.card import RetrievalInfo, SortingInfo
from model_store.release import Release

NAME = "streets"
EVERY = 100  # steps of training for one row of the log
PAINTED = 500  # images painted to choose exemplars from
SORTING = SortingInfo(segments=100)
SHIPPED = BuildOptions(max_exemplars=6000, max_images=260, webp_quality=80, sorting=SORTING)
MEASURED = {
    "": BuildOptions(sorting=SORTING),
    ", K = 144, 10 rounds over all pixels, k = 100": BuildOptions(
        max_exemplars=100_000,
        sorting=SortingInfo(segments=144, iterations=10, coarse_iterations=0),
        retrieval=RetrievalInfo(k=100),
    ),
}

DESCRIPTION = (
    "Street scenes in the 11 classes of CamVid. The network was trained on CamVid train and painted streets together; "
    "every exemplar, and so every picture shown, is painted."
)
LICENCE = {
    "exemplars": "painted by this project: Apache-2.0. No image, mask or crop of CamVid is in this release.",
    "weights": "fine-tuned from MobileNetV2 1.0 (ImageNet) of Google Coral, google-coral/test_data, Apache-2.0",
    "training data": "CamVid (Brostow et al., 2009), the SegNet split: its distributor states CC BY-NC 4.0 for the "
    "software and nothing for the images; whether a network trained on them may be used commercially is for its user "
    "to judge.",
}


def make(run: Path, camvid: Path, out: Path) -> Release:
    """Build, measure and write the bundled release.

    Args:
        run: training run whose network is bundled.
        camvid: folder of CamVid in SegNet's layout.
        out: folder of the release; it must not exist.

    Raises:
        ValueError: if the run or the data set cannot be read.
        ReleaseError: if `out` exists.
    """
    source = load_embedder_source(run)
    with TemporaryDirectory() as folder:
        notes = Notes(
            description=DESCRIPTION, licence=LICENCE, data={"calibration": "camvid/held", "measured on": "camvid/val"}
        )
        painted = open_dataset("streets", None, "train", count=PAINTED)
        held = open_dataset("camvid", camvid, "held")
        shipped = build_release(painted, source, Path(folder) / NAME, options=SHIPPED, calibrate_with=held, notes=notes)
        metrics = {"camvid val, painted exemplars (as shipped)": _figures(_measure(shipped, camvid))}
        for how, options in MEASURED.items():
            report = _from_photographs(source, options, camvid, Path(folder))
            metrics[f"camvid val, exemplars from camvid train{how}"] = _figures(report)
        return with_card(shipped, out, metrics=metrics)


def _from_photographs(source: EmbedderSource, options: BuildOptions, camvid: Path, folder: Path) -> Report:
    """What the network reaches with exemplars from CamVid train."""
    train, held = (open_dataset("camvid", camvid, split) for split in ("train", "held"))
    place = folder / f"camvid-{options.max_exemplars}"
    return _measure(build_release(train, source, place, options=options, calibrate_with=held), camvid)


def _measure(release: Release, camvid: Path) -> Report:
    return evaluate(release, open_dataset("camvid", camvid, "val"))


def _figures(report: Report) -> dict[str, Any]:
    """Of a report, what belongs on a card."""
    return report.model_dump(
        mode="json",
        include={"images", "miou", "per_class", "pixel_accuracy", "mean_accuracy", "boundary_f", "ece", "known_share"},
    )


def write_log(run: Path, file: Path) -> None:
    """Losses and validation of a run as one CSV, after those of the runs that it started from, each a stage.

    Where the first of them started from a release, that release's log is in `file` already and stays.
    """
    rows = _stages(run, file)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _stages(run: Path, file: Path) -> list[dict[str, str]]:
    recipe = json.loads((run / "recipe.json").read_text())
    start = Path(recipe["start"]) if recipe["start"] else None
    rows: list[dict[str, str]] = []
    if start is not None:
        rows = list(csv.DictReader(file.read_text().splitlines())) if is_release(start) else _stages(start, file)
    return rows + _stage(run, int(rows[-1]["stage"]) + 1 if rows else 1)


def _stage(run: Path, number: int) -> list[dict[str, str]]:
    logged: dict[int, dict[str, str]] = {}
    for part in sorted((run / "logs").glob("metrics*.csv")):
        for row in csv.DictReader(part.read_text().splitlines()):
            step = int(row["step"]) + 1
            if step % EVERY == 0:  # what belongs to one step is logged in several rows
                logged.setdefault(step, {}).update({k: v[:7] for k, v in row.items() if v and "/iou/" not in k})
    kept = ("loss", *(k for k in next(iter(logged.values())) if k.startswith("loss/")))
    rows = []
    for step, values in sorted(logged.items()):
        scores = {k: v for k, v in values.items() if k in kept or k.startswith("val/")}
        rows.append({"stage": str(number), "step": str(step), **scores})
    return rows


def _main(
    run: Annotated[Path, typer.Option(help="Training run.")],
    camvid: Annotated[Path, typer.Option(help="CamVid in SegNet's layout.")],
    out: Annotated[Path, typer.Option(help="Folder of the release; it must not exist.")],
    log: Annotated[Path | None, typer.Option(help="CSV to write the run's training log into.")] = None,
) -> None:
    """Build and measure the bundled release."""
    if log is not None:
        write_log(run, log)
    for name, figures in make(run, camvid, out).card.metrics.items():
        typer.echo(f"{name}: mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")


if __name__ == "__main__":
    typer.run(_main)
