"""Commands of the offline side: train, build, evaluate."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from pydantic import BaseModel

from index_builder.selection import BALANCE


def _named(values: list[str], option: str) -> dict[str, str]:
    """["camvid=data"] -> {"camvid": "data"}.

    Raises:
        ValueError: if a value has no "=".
    """
    pairs = [value.partition("=") for value in values]
    for value, (_, sign, _) in zip(values, pairs, strict=True):
        if not sign:
            raise ValueError(f"{option} {value!r} does not name its data set; write {option} NAME=VALUE")
    return {name: rest for name, _, rest in pairs}


def _settings(values: list[str]) -> dict[str, Any]:
    """["steps=500"] -> {"steps": 500}; values are JSON, or plain text where they are not."""
    import json

    settings: dict[str, Any] = {}
    for name, text in _named(values, "--set").items():
        try:
            settings[name] = json.loads(text)
        except json.JSONDecodeError:
            settings[name] = text
    return settings


def train(
    dataset: Annotated[list[str], typer.Option(help="Data set to train on; repeat it to train on several worlds.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the run; a run that was stopped goes on from its last checkpoint.")
    ],
    objective: Annotated[
        Literal["vmf-nca", "vmf", "softmax"],
        typer.Option(
            help="vmf-nca: by labels; vmf: by regions, without labels; softmax: the classifier to compare with."
        ),
    ] = "vmf-nca",
    root: Annotated[list[str], typer.Option(help="Where a data set lies: PATH, or NAME=PATH of several.")] = [],
    split: Annotated[list[str], typer.Option(help="Split trained on, where it is not 'train': NAME=SPLIT.")] = [],
    validation_split: Annotated[str, typer.Option(help="Split of the first data set that validates.")] = "val",
    reference: Annotated[
        str | None, typer.Option(help="Data set whose exemplars will be served to all others.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="mobilenet_v2, or what transformers' AutoBackbone knows.")
    ] = "mobilenet_v2",
    weights: Annotated[Path | None, typer.Option(help="Weights that MobileNetV2 starts from (safetensors).")] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 2000,
    devices: Annotated[int, typer.Option(help="GPUs (or processes) to train on.")] = 1,
    precision: Annotated[str, typer.Option(help="As Lightning names it: 32-true, bf16-mixed, 16-mixed.")] = "32-true",
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    set_: Annotated[list[str], typer.Option("--set", help="Any other value of the recipe: NAME=JSON.")] = [],
) -> None:
    """Train an embedding by segment sorting, or its softmax twin; the run's folder ends with the network as ONNX."""
    from index_builder.training.recipe import Recipe
    from index_builder.training.run import train as run

    roots = {dataset[0]: root[0]} if len(root) == 1 and "=" not in root[0] else _named(root, "--root")
    recipe = Recipe(
        objective=objective,
        datasets=dataset,
        roots=roots,
        train_splits=_named(split, "--split"),
        validation_split=validation_split,
        reference=reference,
        backbone=backbone,
        weights=str(weights) if weights else None,
        steps=steps,
        devices=devices,
        precision=precision,
        seed=seed,
        **_settings(set_),
    )
    typer.echo(str(run(recipe, out)))


_Info = TypeVar("_Info", bound=BaseModel)
Device = Literal["cpu", "cuda"]


def _changed(info: _Info, **values: Any) -> _Info:
    """`info` with those values that were given, checked as the card checks them."""
    return info.model_validate({**info.model_dump(), **{key: v for key, v in values.items() if v is not None}})


def build(
    dataset: Annotated[str, typer.Option(help="Data set whose labelled images become exemplars.")],
    embedder: Annotated[Path, typer.Option(help="A training run, or a release whose network is taken.")],
    out: Annotated[Path, typer.Option(help="Folder of the release; it must not exist.")],
    root: Annotated[Path | None, typer.Option(help="Where the data set lies.")] = None,
    split: Annotated[str, typer.Option(help="Split of it.")] = "train",
    count: Annotated[int | None, typer.Option(help="Images at most; of a painted data set, how many.")] = None,
    max_exemplars: Annotated[int, typer.Option(help="Exemplars at most.")] = 20_000,
    max_images: Annotated[int | None, typer.Option(help="Images at most that exemplars come from.")] = None,
    balance: Annotated[
        float, typer.Option(help="0 keeps classes as frequent as they are, 1 makes them alike.")
    ] = BALANCE,
    segments: Annotated[int | None, typer.Option(help="K of pixel sorting; else as the network's source says.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Rounds of pixel sorting over all pixels, at most.")] = None,
    coarse_iterations: Annotated[
        int | None, typer.Option(help="Rounds before those over a quarter of the pixels: faster, a little coarser.")
    ] = None,
    location_weight: Annotated[float | None, typer.Option(help="Weight of location in pixel sorting.")] = None,
    working_size: Annotated[
        int | None,
        typer.Option(help="Longest side that the network sees; larger finds thinner things, and takes longer."),
    ] = None,
    k: Annotated[int | None, typer.Option(help="Exemplars that vote.")] = None,
    classes_by_clustering: Annotated[
        int | None, typer.Option(help="Read no label: cluster all segments into so many classes, 'cluster 0' and on.")
    ] = None,
    index_factory: Annotated[str | None, typer.Option(help="FAISS' name of the index, such as Flat or HNSW32.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the release; else the folder's.")] = None,
    description: Annotated[str, typer.Option(help="For the card.")] = "",
    device: Annotated[Device, typer.Option(help="What the network runs on.")] = "cpu",
    calibrate_dataset: Annotated[str | None, typer.Option(help="Data set that confidence is calibrated on.")] = None,
    calibrate_root: Annotated[Path | None, typer.Option(help="Where it lies.")] = None,
    calibrate_split: Annotated[str, typer.Option(help="Split of it.")] = "val",
) -> None:
    """Build a release: embed labelled images, keep their segments as exemplars, index and calibrate them."""
    from dataclasses import replace

    from index_builder.build import BuildOptions, Notes, build_release
    from index_builder.clustering import Unlabelled
    from index_builder.datasets import Dataset, open_dataset, open_images
    from index_builder.embedder_source import load_embedder_source

    calibration = open_dataset(calibrate_dataset, calibrate_root, calibrate_split) if calibrate_dataset else None
    source = load_embedder_source(embedder)
    source = replace(source, preprocessing=_changed(source.preprocessing, working_size=working_size))
    options = BuildOptions(
        max_exemplars=max_exemplars,
        max_images=max_images,
        balance=balance,
        sorting=_changed(
            source.sorting,
            segments=segments,
            iterations=iterations,
            coarse_iterations=coarse_iterations,
            location_weight=location_weight,
        ),
        retrieval=_changed(source.retrieval, k=k, index_factory=index_factory),
    )
    if classes_by_clustering is None:
        data: Dataset = open_dataset(dataset, root, split, count=count)
    elif calibration is None:
        data = Unlabelled(open_images(dataset, root, split, count=count), classes_by_clustering)
    else:
        raise ValueError("clusters have no labels to be calibrated with: leave out --calibrate-dataset")
    release = build_release(
        data,
        source,
        out,
        name=name,
        options=options,
        calibrate_with=calibration,
        notes=Notes(description=description),
        device=device,
    )
    typer.echo(str(release.path))


def evaluate(
    release: Annotated[str, typer.Argument(help="Name or path of a release; or folder of a softmax run.")],
    dataset: Annotated[str, typer.Option(help="Data set to compare with.")],
    root: Annotated[Path | None, typer.Option(help="Where it lies.")] = None,
    split: Annotated[str, typer.Option(help="Split of it.")] = "val",
    explanations: Annotated[bool, typer.Option("--explanations", help="Try the explanations out too.")] = False,
    explanation_images: Annotated[int, typer.Option(help="On how many images at most, evenly spread.")] = 40,
    foreign: Annotated[
        list[str],
        typer.Option(help="Photographs that should not be known: 'samples' (scikit-image's), PATH, or NAME=PATH."),
    ] = [],
    match_clusters: Annotated[
        bool,
        typer.Option("--match-clusters", help="The release's classes are clusters: match them with the data set's."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Markdown tables on standard output.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write the JSON into as well.")] = None,
    device: Annotated[Device, typer.Option(help="What everything runs on.")] = "cpu",
    half: Annotated[bool, typer.Option("--half", help="The network in 16 bits, as SEGSORT_HALF serves it.")] = False,
) -> None:
    """Measure a release on labelled images: mIoU, per class, accuracy, boundary F, calibration; explanations too."""
    from index_builder.datasets import open_dataset
    from index_builder.evaluate import evaluate as measure
    from index_builder.evaluate_classifier import evaluate_classifier, is_classifier
    from index_builder.foreign_photographs import Photographs
    from model_store.predictor import Predictor
    from model_store.release import Release
    from model_store.store import open_store

    if as_json and as_markdown:
        raise ValueError("--json and --markdown both ask for standard output; choose one, or write the JSON with --out")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    labelled = open_dataset(dataset, root, split)
    if is_classifier(Path(release)):
        if half:
            raise ValueError("--half is for releases; a classifier is measured in 32 bits")
        report = evaluate_classifier(Path(release), labelled, device=device)
    else:
        report = measure(
            Predictor(Release.open(open_store().resolve(release)), device, half=half),
            labelled,
            foreign=[Photographs(source) for source in foreign],
            explanation_images=explanation_images if explanations else None,
            match_clusters=match_clusters,
        )
    if out is not None:
        out.write_text(report.to_json() + "\n", encoding="utf-8")
    typer.echo(report.to_json() if as_json else report.to_markdown() if as_markdown else report.to_text())
