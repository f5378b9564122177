"""Command `segsort quantise`: add a network in bytes to a release."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index_builder import labelled_options as labelled

if TYPE_CHECKING:
    from index_builder.datasets import Dataset


def quantise(
    release: Annotated[str, typer.Argument(help="Name or path of a release.")],
    out: Annotated[Path, typer.Option(help="Folder of the new release; it must not exist.")],
    data: labelled.Data = None,
    format_: labelled.Format = "auto",
    classes: labelled.Classes = None,
    dataset: labelled.NamedDataset = None,
    root: Annotated[Path | None, typer.Option(help="Folder of that data set.")] = None,
    calibrate_on: Annotated[
        str | None, typer.Option(help="Split to find the ranges of maps on. Default: the images of the exemplars.")
    ] = None,
    choose_on: Annotated[
        str | None, typer.Option(help="Split to choose the layers on that stay in float32. Default: as --calibrate-on.")
    ] = None,
    measure_on: Annotated[
        list[str], typer.Option(help="Split to measure the loss on. Repeat it to measure on several.")
    ] = ["val"],
) -> None:
    """Add a network in bytes to a release, and measure what it loses.

    A service with a processor that multiplies bytes runs it, if the release loses at most 0.005 mIoU on each split.
    """
    from index_builder.datasets import named_dataset, open_dataset, with_classes
    from index_builder.quantising import quantise_release
    from model_store.precision import ALLOWED_LOSS
    from model_store.release import Release
    from model_store.store import open_store

    name, folder = named_dataset(data, dataset, root, format_)

    def opened(split: str) -> "Dataset":
        return with_classes(open_dataset(name, folder, split), classes)

    made = quantise_release(
        Release.open(open_store().resolve(release)),
        out,
        {f"{name}/{split}": opened(split) for split in measure_on},
        calibrate_on=None if calibrate_on is None else opened(calibrate_on),
        choose_on=None if choose_on is None else opened(choose_on),
    )
    info = made.card.quantised
    if info is None:
        raise RuntimeError(f"{out} was written without a network in bytes")
    for what, scores in info.measured.items():
        typer.echo(
            f"{what}, {scores.images} images: mIoU {scores.miou:.4f}, in float32 {scores.miou_float32:.4f}; "
            f"{scores.agreement:.2%} of the pixels have the same label"
        )
    served = "is" if info.loss is not None and info.loss <= ALLOWED_LOSS else "is not"
    typer.echo(
        f"{out}: {info.layers - len(info.float_layers)} of {info.layers} layers compute in bytes; the network in bytes "
        f"{served} served by default"
    )
