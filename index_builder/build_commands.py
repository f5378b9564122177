"""Command `segsort build`: a release from labelled images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from index_builder import labelled_options as labelled
from index_builder import settings_options as settings
from model_store import spread_options as spreading

if TYPE_CHECKING:
    from index_builder.datasets import Dataset
    from model_store.release import Release


def build(
    out: Annotated[Path, typer.Option(help="Folder of the new release. It must not exist.")],
    data: labelled.Data = None,
    format_: labelled.Format = "auto",
    classes: labelled.Classes = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit status 3 if there is a warning; the release is kept.")
    ] = False,
    embedder: Annotated[
        str,
        typer.Option(
            help="What embeds the images: general, filters, a release by name or path, the folder of a training run, "
            "or a transformers backbone by hub name or folder."
        ),
    ] = "general",
    fit: Annotated[
        Literal["auto", "none", "linear", "mlp", "forest", "softmax", "ensemble"] | None,
        typer.Option(
            help="Head to fit to the images: auto chooses by cross-validation, none fits nothing. Default: auto if the "
            "embedder has features.onnx, else none, which uses its network as it is."
        ),
    ] = None,
    budget: Annotated[float, typer.Option(help="Seconds for choosing a head.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Seed of every random choice of the fit.")] = 0,
    dataset: labelled.NamedDataset = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    count: Annotated[
        int | None, typer.Option(help="Maximum number of images. Of a painted data set: how many to paint.")
    ] = None,
    max_exemplars: Annotated[int, typer.Option(help="Maximum number of exemplars.")] = 20_000,
    max_images: Annotated[int | None, typer.Option(help="Maximum number of images that exemplars come from.")] = None,
    balance: Annotated[
        float, typer.Option(help="0 keeps the frequency of classes, 1 makes all classes equally frequent.")
    ] = 0.1,
    distinct: Annotated[
        float | None,
        typer.Option(
            help="Cosine from which two exemplars of a class are near duplicates, of which one is kept, for example "
            "0.99. Explanations then change less with an image. Default: all are kept."
        ),
    ] = None,
    segments: settings.Segments = None,
    min_part: settings.MinPart = None,
    iterations: settings.Iterations = None,
    coarse_iterations: settings.CoarseIterations = None,
    location_weight: settings.LocationWeight = None,
    working_size: Annotated[
        int | None,
        typer.Option(help="Longest side of the network's input, pixels. Larger finds thinner objects and is slower."),
    ] = None,
    remove_positional_bias: Annotated[
        bool, typer.Option(help="Subtract from a transformers backbone on patches what depends on position only.")
    ] = False,
    k: settings.Voters = None,
    classes_by_clustering: Annotated[
        int | None, typer.Option(help="Ignore labels and cluster all segments into this many classes.")
    ] = None,
    index_factory: settings.IndexFactory = None,
    nprobe: settings.Nprobe = None,
    rerank: settings.Rerank = None,
    index_shards: settings.IndexShards = None,
    index_on_disk: settings.IndexOnDisk = None,
    name: Annotated[str | None, typer.Option(help="Name of the release. Default: the folder's name.")] = None,
    description: Annotated[str, typer.Option(help="Description for the release's card.")] = "",
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the images, for the card. Default: the card says that it was not stated."),
    ] = None,
    source: Annotated[
        str, typer.Option(help="Where the images come from, for the card. Default: the name of the data set or folder.")
    ] = "",
    device: Annotated[labelled.Device, typer.Option(help="Device that the network runs on.")] = "cpu",
    calibrate_dataset: Annotated[str | None, typer.Option(help="Data set that confidence is calibrated on.")] = None,
    calibrate_root: Annotated[Path | None, typer.Option(help="Folder of that data set.")] = None,
    calibrate_split: Annotated[str, typer.Option(help="Split of that data set.")] = "val",
    hold_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the images to hold out and measure on. 0: none.")
    ] = 0.0,
    compare_with: Annotated[
        str | None, typer.Option(help="Release by name or path that is measured on the held-out images, too.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --hold-out: print the result as one JSON document.")
    ] = False,
    progress: Annotated[
        bool, typer.Option(help="With --hold-out: print progress as JSON lines on standard error.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="With --hold-out: cores to use. Default: all.")] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Folder where the results of each image are kept, so that a build that was killed goes on."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Where images are embedded: in this process, or by Ray.")
    ] = "local",
    workers: spreading.Workers = None,
    ray_address: spreading.RayAddress = None,
    gpus: spreading.Gpus = 0.0,
    send_files: spreading.SendFiles = False,
    background: Annotated[
        int | None, typer.Option(hidden=True, help="Lower the priority, and end when standard input is closed.")
    ] = None,
) -> None:
    """Build a release: embed labelled images, keep their segments as exemplars, then index and calibrate them.

    With --hold-out, some of the images are left out of the build, and the release is measured on them. Images whose
    names differ in a number alone, such as the frames of one drive, are then on one side.
    """
    from model_store.spreading import RayOptions, ray_options

    ray = ray_options(engine, RayOptions(workers, ray_address, gpus, send_files))
    if hold_out or as_json or progress or compare_with or background is not None:
        if ray is not None or work is not None:
            raise ValueError("--hold-out builds in this process; leave --engine ray and --work out, or --hold-out")
        if data is None or not hold_out or fit == "none" or classes_by_clustering or calibrate_dataset:
            raise ValueError(
                "--json, --progress and --compare-with need --hold-out, which needs a folder of labelled images and a "
                "head that is fitted; leave --fit none, --classes-by-clustering and --calibrate-dataset out"
            )
        from index_builder.measured_command import build_measured

        return build_measured(
            data, format_, classes, out, name=name, embedder=embedder, fit=fit, budget=budget, seed=seed, split=split,
            hold_out=hold_out, compare_with=compare_with, description=description, licence=licence, as_json=as_json,
            progress=progress, threads=threads, background=background,
        )  # fmt: skip
    from index_builder.build import Notes
    from index_builder.chosen_build import ChosenBuild, ChosenImages, ChosenNetwork
    from index_builder.datasets import named_dataset, open_dataset
    from index_builder.kept_results import Working
    from model_store.ray_spread import spread_by

    if calibrate_dataset and classes_by_clustering is not None:
        raise ValueError(
            "--calibrate-dataset needs labels, but --classes-by-clustering ignores them; give one of the two"
        )
    chosen = ChosenImages(*named_dataset(data, dataset, root, format_), split, count, classes_by_clustering, classes)
    images = chosen.open()
    planned = ChosenBuild(
        images,
        ChosenNetwork(embedder, fit, budget, seed, working_size, remove_positional_bias, device),
        settings.SettingsOptions(
            max_exemplars,
            max_images,
            balance,
            distinct,
            sorting={
                "segments": segments,
                "min_part": min_part,
                "iterations": iterations,
                "coarse_iterations": coarse_iterations,
                "location_weight": location_weight,
            },
            retrieval={
                "k": k,
                "index_factory": index_factory,
                "nprobe": nprobe,
                "rerank": rerank,
                "shards": index_shards,
                "on_disk": index_on_disk,
            },
        ),
        out,
        name,
        Notes(description=description, licence={} if licence is None else {"exemplars": licence}, images=source),
        open_dataset(calibrate_dataset, calibrate_root, calibrate_split) if calibrate_dataset else None,
    )
    kept_for = "" if work is None else chosen.digest(images, work)
    with spread_by(ray) as spread:
        release = planned.run(Working(spread, work, kept_for))
    if _reported(release, images) and strict:
        raise typer.Exit(3)


def _reported(release: "Release", images: "Dataset") -> list[str]:
    """Print what was read and the path of a new release. Returns the warnings, which are printed as well."""
    from index_builder.build_report import report_lines, warnings_of

    warnings = warnings_of(release.card)
    for line in report_lines(release.card, getattr(images, "survey", None)):
        typer.echo(line, err=True)
    for line in warnings:
        typer.echo(f"Warning: {line}", err=True)
    typer.echo(str(release.path))
    return warnings
