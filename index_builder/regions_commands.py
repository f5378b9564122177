"""Commands `segsort regions ...`: train a contour network, write the regions of images."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Regions without class labels, for unsupervised training.", no_args_is_help=True)


@app.command("train-contours")
def train_contours(
    root: Annotated[
        Path,
        typer.Option(help="Folder of BSDS500, or its folder train: ID.jpg with region maps ID_0.png, ID_1.png, ..."),
    ],
    out: Annotated[Path, typer.Option(help="Output folder of contours.onnx and log.csv.")],
    weights: Annotated[Path | None, typer.Option(help="Initial weights of MobileNetV2 (safetensors file).")] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 400,
    batch: Annotated[int, typer.Option(help="Crops per step.")] = 8,
    crop: Annotated[int, typer.Option(help="Side of a crop in pixels, a multiple of 32.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
) -> None:
    """Train the contour network on images whose regions were drawn by several people."""
    from safetensors.torch import load_file

    from index_builder.regions.contour_training import ContourRecipe
    from index_builder.regions.contour_training import train_contours as train

    if weights is not None and not weights.is_file():
        raise ValueError(
            f"{weights} does not exist; give an existing file, or omit --weights to start from random weights"
        )
    recipe = ContourRecipe(steps=steps, batch=batch, crop=crop, seed=seed)
    typer.echo(str(train(root, out, recipe, load_file(weights) if weights is not None else None)))


@app.command()
def write(
    source: Annotated[str, typer.Option(help="Method that finds regions: felzenszwalb, slic-merge or contours.")],
    out: Annotated[Path, typer.Option(help="Output folder of the region maps (16-bit PNG).")],
    images: Annotated[Path | None, typer.Option(help="Folder of images. Give this or --dataset.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set whose images are used. Its labels are not read.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    contours: Annotated[
        Path | None, typer.Option(help="Contour network (contours.onnx), for --source contours.")
    ] = None,
) -> None:
    """Find the regions of images and write region maps, which training reads with the source `folder`."""
    from index_builder.datasets import open_images
    from index_builder.progress import counted
    from index_builder.regions import map_file, open_regions, write_map

    if (images is None) == (dataset is None):
        raise ValueError("give exactly one of --images (a folder) and --dataset (a name)")
    regions = open_regions(source, contours=contours)
    photographs = open_images("images", images, "") if dataset is None else open_images(dataset, root, split)
    out.mkdir(parents=True, exist_ok=True)
    for i in counted(len(photographs), "Finding regions"):
        image, name = photographs.photograph(i)
        write_map(regions(image, name), map_file(out, name))
    typer.echo(str(out))
