"""Builds the bundled release: `python -m index_builder.bundled --run RUN --camvid ROOT --out DIR`.

All exemplars are painted streets, so every image may be published. Confidence and the threshold of known segments are
calibrated on the split "held" of CamVid, which the network was not trained on. The release is evaluated on CamVid val
with the painted exemplars. For comparison it is also evaluated with exemplars from CamVid train, which are not kept:
once with the pixel sorting that is served, and once with a finer, slower one.
"""

import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from index_builder.build import BuildOptions, Notes, build_release, with_card
from index_builder.datasets import open_dataset
from index_builder.embedder_source import EmbedderSource, is_release, load_embedder_source
from index_builder.evaluation import Report, evaluate
from model_store.card import RetrievalInfo, SortingInfo
from model_store.release import Release

NAME = "streets"
EVERY = 100  # training steps between rows of the log
PAINTED = 500  # number of painted images that exemplars are selected from
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
    "every exemplar, and so every image shown, is painted."
)
LICENCE = {
    "exemplars": "painted by this project: Apache-2.0. No image, mask or crop of CamVid is in this release.",
    "network": {
        "weights": "fine-tuned from MobileNetV2 1.0 (ImageNet) of Google Coral, google-coral/test_data, Apache-2.0",
        "training data": "CamVid (Brostow et al., 2009), the SegNet split: its distributor states CC BY-NC 4.0 for the "
        "software and nothing for the images; whether a network trained on them may be used commercially is for its "
        "user to judge.",
    },
}


def make(run: Path, camvid: Path, out: Path) -> Release:
    """Build, evaluate and write the bundled release.

    Args:
        run: training run of the network.
        camvid: folder of CamVid in the layout of SegNet.
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
    """Evaluate the network with exemplars from CamVid train."""
    train, held = (open_dataset("camvid", camvid, split) for split in ("train", "held"))
    out = folder / f"camvid-{options.max_exemplars}"
    return _measure(build_release(train, source, out, options=options, calibrate_with=held), camvid)


def _measure(release: Release, camvid: Path) -> Report:
    return evaluate(release, open_dataset("camvid", camvid, "val"))


def _figures(report: Report) -> dict[str, Any]:
    """The fields of a report that are written to the card."""
    return report.model_dump(
        mode="json",
        include={"images", "miou", "per_class", "pixel_accuracy", "mean_accuracy", "boundary_f", "ece", "known_share"},
    )


def write_log(run: Path, file: Path) -> None:
    """Write losses and validation scores of a run, and of the runs that it started from, as one CSV.

    Each run is a stage. If the first run started from a release, `file` already has the log of that release; it is
    kept.
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
            if step % EVERY == 0:  # the values of one step are logged in several rows
                logged.setdefault(step, {}).update({k: v[:7] for k, v in row.items() if v and "/iou/" not in k})
    kept = ("loss", *(k for k in next(iter(logged.values())) if k.startswith("loss/")))
    rows = []
    for step, values in sorted(logged.items()):
        scores = {k: v for k, v in values.items() if k in kept or k.startswith("val/")}
        rows.append({"stage": str(number), "step": str(step), **scores})
    return rows


def _main(
    run: Annotated[Path, typer.Option(help="Training run.")],
    camvid: Annotated[Path, typer.Option(help="CamVid in the layout of SegNet.")],
    out: Annotated[Path, typer.Option(help="Folder of the release; it must not exist.")],
    log: Annotated[Path | None, typer.Option(help="CSV file for the training log of the run.")] = None,
) -> None:
    """Build and evaluate the bundled release."""
    if log is not None:
        write_log(run, log)
    for name, figures in make(run, camvid, out).card.metrics.items():
        typer.echo(f"{name}: mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")


if __name__ == "__main__":
    typer.run(_main)
