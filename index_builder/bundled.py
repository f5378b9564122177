"""How the bundled release is made: `python -m index_builder.bundled --run RUN --camvid ROOT --out DIR`.

Exemplars are painted streets, so that every picture may be published; confidence and the threshold of the known are
calibrated on frames of CamVid that the network was not trained on (split "held"); CamVid val measures it, once with the
painted exemplars as shipped and once with exemplars from CamVid train, which are not kept.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from index_builder.build import BuildOptions, Notes, build_release, with_card
from index_builder.datasets import open_dataset
from index_builder.embedder_source import EmbedderSource, load_embedder_source
from index_builder.evaluate import Report, evaluate
from model_store.release import Release

NAME = "streets"
PAINTED = 500  # images painted to choose exemplars from
SHIPPED = BuildOptions(max_exemplars=6000, max_images=260, webp_quality=80)
MEASURED = BuildOptions(max_exemplars=6000)

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
        metrics = {
            "camvid val, painted exemplars (as shipped)": _figures(_measure(shipped, camvid)),
            "camvid val, exemplars from camvid train": _figures(_from_photographs(source, camvid, Path(folder))),
        }
        return with_card(shipped, out, metrics=metrics)


def _from_photographs(source: EmbedderSource, camvid: Path, folder: Path) -> Report:
    """What the network reaches with exemplars from CamVid train."""
    train, held = (open_dataset("camvid", camvid, split) for split in ("train", "held"))
    return _measure(build_release(train, source, folder / "camvid", options=MEASURED, calibrate_with=held), camvid)


def _measure(release: Release, camvid: Path) -> Report:
    return evaluate(release, open_dataset("camvid", camvid, "val"))


def _figures(report: Report) -> dict[str, Any]:
    """Of a report, what belongs on a card."""
    return report.model_dump(
        mode="json",
        include={"images", "miou", "per_class", "pixel_accuracy", "mean_accuracy", "boundary_f", "ece", "known_share"},
    )


def _main(
    run: Annotated[Path, typer.Option(help="Training run.")],
    camvid: Annotated[Path, typer.Option(help="CamVid in SegNet's layout.")],
    out: Annotated[Path, typer.Option(help="Folder of the release; it must not exist.")],
) -> None:
    """Build and measure the bundled release."""
    for name, figures in make(run, camvid, out).card.metrics.items():
        typer.echo(f"{name}: mIoU {figures['miou']:.4f}, pixel accuracy {figures['pixel_accuracy']:.4f}")


if __name__ == "__main__":
    typer.run(_main)
