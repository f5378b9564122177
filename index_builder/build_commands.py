"""Commands of the offline side: train, build, evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from index_builder.build import BuildOptions, Notes
    from index_builder.datasets import Dataset
    from index_builder.heads import OpenedFeatures
    from model_store.card import RetrievalInfo, SortingInfo
    from model_store.release import Release

_Info = TypeVar("_Info", bound="BaseModel")
Device = Literal["cpu", "cuda"]
_FORMAT = "Format of the labelled images, such as coco, voc, yolo or folder. Default: the one that is found."
_CLASSES = 'JSON file that renames, merges and ignores classes: {"truck": "vehicle", "car": "vehicle", "sky": null}.'


def _named(values: list[str], option: str) -> dict[str, str]:
    """Split NAME=VALUE pairs: ["camvid=data"] becomes {"camvid": "data"}.

    Raises:
        ValueError: if a value has no "=".
    """
    pairs = [value.partition("=") for value in values]
    for value, (_, sign, _) in zip(values, pairs, strict=True):
        if not sign:
            raise ValueError(f"{option} {value!r} has no name; write {option} NAME=VALUE")
    return {name: rest for name, _, rest in pairs}


def _settings(values: list[str]) -> dict[str, Any]:
    """Parse NAME=JSON pairs: ["steps=500"] becomes {"steps": 500}. A value that is not JSON is kept as text."""
    import json

    settings: dict[str, Any] = {}
    for name, text in _named(values, "--set").items():
        try:
            settings[name] = json.loads(text)
        except json.JSONDecodeError:
            settings[name] = text
    return settings


def train(
    dataset: Annotated[list[str], typer.Option(help="Data set to train on. Repeat it to train on several domains.")],
    out: Annotated[Path, typer.Option(help="Folder of the run. An interrupted run resumes from its last checkpoint.")],
    objective: Annotated[
        Literal["vmf-nca", "vmf", "softmax"],
        typer.Option(
            help="vmf-nca: with labels; vmf: with regions, without labels; softmax: a classifier as the baseline."
        ),
    ] = "vmf-nca",
    root: Annotated[
        list[str], typer.Option(help="Folder of the data set: PATH, or NAME=PATH for each of several.")
    ] = [],
    split: Annotated[
        list[str], typer.Option(help="Training split of a data set, if it is not 'train': NAME=SPLIT.")
    ] = [],
    validation_split: Annotated[str, typer.Option(help="Split of the first data set that validates the run.")] = "val",
    reference: Annotated[
        str | None, typer.Option(help="Data set whose exemplars will label images of all others.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="mobilenet_v2, or a model name that transformers' AutoBackbone accepts.")
    ] = "mobilenet_v2",
    weights: Annotated[Path | None, typer.Option(help="Initial weights of MobileNetV2 (safetensors file).")] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 2000,
    devices: Annotated[int, typer.Option(help="Number of GPUs (or CPU processes) to train on.")] = 1,
    precision: Annotated[
        str, typer.Option(help="Lightning's name of the precision: 32-true, bf16-mixed or 16-mixed.")
    ] = "32-true",
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    set_: Annotated[list[str], typer.Option("--set", help="Any other setting of the recipe: NAME=JSON.")] = [],
) -> None:
    """Train an embedding by segment sorting, or a softmax classifier. The run's folder then holds network.onnx."""
    from index_builder.training import Recipe
    from index_builder.training import train as run

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


def _changed(info: _Info, **values: Any) -> _Info:
    """Return a copy of `info` with the values that are not None, validated by its model."""
    return info.model_validate({**info.model_dump(), **{key: v for key, v in values.items() if v is not None}})


def build(
    out: Annotated[Path, typer.Option(help="Folder of the new release. It must not exist.")],
    data: Annotated[
        Path | None, typer.Argument(help="Folder or file of labelled images; its format is detected, see --format.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=_FORMAT)] = "auto",
    classes: Annotated[Path | None, typer.Option(help=_CLASSES)] = None,
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
    dataset: Annotated[
        str | None, typer.Option(help="Instead of DATA, with --root: streets (painted), camvid or another format.")
    ] = None,
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
    segments: Annotated[
        int | None, typer.Option(help="Number of segments in pixel sorting. Default: that of the embedder.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Maximum EM iterations over all pixels.")] = None,
    coarse_iterations: Annotated[
        int | None, typer.Option(help="EM iterations over a quarter of the pixels first: faster, slightly coarser.")
    ] = None,
    location_weight: Annotated[float | None, typer.Option(help="Weight of location in pixel sorting.")] = None,
    working_size: Annotated[
        int | None,
        typer.Option(help="Longest side of the network's input, pixels. Larger finds thinner objects and is slower."),
    ] = None,
    remove_positional_bias: Annotated[
        bool, typer.Option(help="Subtract from a transformers backbone on patches what depends on position only.")
    ] = False,
    k: Annotated[int | None, typer.Option(help="Number of nearest exemplars that vote.")] = None,
    classes_by_clustering: Annotated[
        int | None, typer.Option(help="Ignore labels and cluster all segments into this many classes.")
    ] = None,
    index_factory: Annotated[
        str | None, typer.Option(help="FAISS index factory string, such as Flat or HNSW32.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the release. Default: the folder's name.")] = None,
    description: Annotated[str, typer.Option(help="Description for the release's card.")] = "",
    licence: Annotated[
        str | None,
        typer.Option(help="Licence of the images, for the card. Default: the card says that it was not stated."),
    ] = None,
    source: Annotated[
        str, typer.Option(help="Where the images come from, for the card. Default: the name of the data set or folder.")
    ] = "",
    device: Annotated[Device, typer.Option(help="Device that the network runs on.")] = "cpu",
    calibrate_dataset: Annotated[str | None, typer.Option(help="Data set that confidence is calibrated on.")] = None,
    calibrate_root: Annotated[Path | None, typer.Option(help="Folder of that data set.")] = None,
    calibrate_split: Annotated[str, typer.Option(help="Split of that data set.")] = "val",
) -> None:
    """Build a release: embed labelled images, keep their segments as exemplars, then index and calibrate them."""
    from index_builder.build import BuildOptions, Notes
    from index_builder.build_report import report_lines, warnings_of
    from index_builder.clustering import Unlabelled
    from index_builder.datasets import Dataset, named_dataset, open_dataset, open_images, with_classes
    from index_builder.heads import open_features
    from model_store.card import RetrievalInfo, SortingInfo
    from model_store.store import open_store

    dataset, root = named_dataset(data, dataset, root, format_)
    calibration = open_dataset(calibrate_dataset, calibrate_root, calibrate_split) if calibrate_dataset else None
    if classes_by_clustering is None:
        images: Dataset = with_classes(open_dataset(dataset, root, split, count=count), classes)
    elif calibration is None:
        images = Unlabelled(open_images(dataset, root, split, count=count), classes_by_clustering)
    else:
        raise ValueError(
            "--calibrate-dataset needs labels, but --classes-by-clustering ignores them; give one of the two"
        )

    def options(sorting: SortingInfo, retrieval: RetrievalInfo) -> BuildOptions:
        """The options of the command line over the settings of the embedder."""
        return BuildOptions(
            max_exemplars=max_exemplars,
            max_images=max_images,
            balance=balance,
            sorting=_changed(
                sorting,
                segments=segments,
                iterations=iterations,
                coarse_iterations=coarse_iterations,
                location_weight=location_weight,
            ),
            retrieval=_changed(retrieval, k=k, index_factory=index_factory),
        )

    stated = {} if licence is None else {"exemplars": licence}
    notes = Notes(description=description, licence=stated, images=source)
    if _fits(embedder, fit, classes_by_clustering is not None):
        if calibration is not None:
            raise ValueError("a release on features is calibrated by cross-validation; leave --calibrate-dataset out")
        settings = {"fit": fit or "auto", "budget": budget, "seed": seed}

        def features(folder: Path) -> "OpenedFeatures":
            return open_features(
                embedder, open_store(), folder, working_size, remove_positional_bias=remove_positional_bias
            )

        release = _fit(images, features, out, options, notes, name, settings)
    else:
        if remove_positional_bias:
            raise ValueError("--remove-positional-bias is for a head on a transformers backbone; leave it out")
        release = _build(
            images, embedder, out, options, notes,
            name=name, working_size=working_size, calibration=calibration, device=device,
        )  # fmt: skip
    survey = getattr(images, "survey", None)
    for line in report_lines(release.card, survey):
        typer.echo(line, err=True)
    warnings = warnings_of(release.card)
    for line in warnings:
        typer.echo(f"Warning: {line}", err=True)
    typer.echo(str(release.path))
    if strict and warnings:
        raise typer.Exit(3)


def _fits(embedder: str, fit: str | None, clustered: bool) -> bool:
    """Whether a head is chosen: one that is fitted was asked for, or the embedder has features."""
    from index_builder.embedder_source import is_run
    from index_builder.heads import has_features

    if clustered or is_run(Path(embedder)):
        if fit not in (None, "none"):
            raise ValueError(f"--fit {fit} needs labels and an embedder with features; leave --fit out")
        return False
    return fit not in (None, "none") or has_features(embedder)


def _fit(
    images: "Dataset",
    features: "Callable[[Path], OpenedFeatures]",
    out: Path,
    options: "Callable[[SortingInfo, RetrievalInfo], BuildOptions]",
    notes: "Notes",
    name: str | None,
    settings: dict[str, Any],
) -> "Release":
    """Build a release with a head that is fitted to its images. features: opens the extractor in a folder."""
    from tempfile import TemporaryDirectory

    from index_builder.fit_release import fit_release
    from index_builder.heads import FitSettings
    from index_builder.new_release import SORTING
    from index_builder.progress import StageBars
    from model_store.card import RetrievalInfo

    with TemporaryDirectory(prefix="segsort-features-") as folder, StageBars() as stages:
        result = fit_release(
            images,
            features(Path(folder)),
            out,
            name=name,
            settings=FitSettings(**settings),
            options=options(SORTING, RetrievalInfo()),
            notes=notes,
            report=lambda done: stages.show(*done),
        )
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in result.fitted.seconds.items())
    typer.echo(f"head: {result.fitted.info.chosen} ({seconds})", err=True)
    for candidate, score in sorted(result.fitted.info.cross_validated.items(), key=lambda one: -one[1]):
        typer.echo(f"  mIoU {score:.3f}  {candidate}", err=True)
    return result.release


def _build(
    images: "Dataset",
    embedder: str,
    out: Path,
    options: "Callable[[SortingInfo, RetrievalInfo], BuildOptions]",
    notes: "Notes",
    *,
    name: str | None,
    working_size: int | None,
    calibration: "Dataset | None",
    device: Device,
) -> "Release":
    """Build a release with a network as it is."""
    from dataclasses import replace

    from index_builder.build import build_release
    from index_builder.embedder_source import load_embedder_source
    from model_store.store import open_store

    path = Path(embedder)
    source = load_embedder_source(path if path.exists() else open_store().resolve(embedder))
    source = replace(source, preprocessing=_changed(source.preprocessing, working_size=working_size))
    return build_release(
        images,
        source,
        out,
        name=name,
        options=options(source.sorting, source.retrieval),
        calibrate_with=calibration,
        notes=notes,
        device=device,
    )


def evaluate(
    release: Annotated[str, typer.Argument(help="Name or path of a release, or the folder of a softmax run.")],
    data: Annotated[
        Path | None, typer.Argument(help="Folder or file of labelled images; its format is detected, see --format.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=_FORMAT)] = "auto",
    classes: Annotated[Path | None, typer.Option(help=_CLASSES)] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Instead of DATA, with --root: streets (painted), camvid or another format.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of that data set.")] = None,
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "val",
    explanations: Annotated[bool, typer.Option("--explanations", help="Measure the explanations as well.")] = False,
    explanation_images: Annotated[int, typer.Option(help="Maximum number of images to explain, evenly spaced.")] = 40,
    foreign: Annotated[
        list[str],
        typer.Option(help="Images that should be unknown: 'samples' (from scikit-image), PATH, or NAME=PATH."),
    ] = [],
    match_clusters: Annotated[
        bool,
        typer.Option("--match-clusters", help="Match the release's clusters with the classes of the data set first."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables on standard output.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON to this file.")] = None,
    device: Annotated[Device, typer.Option(help="Device that everything runs on.")] = "cpu",
    half: Annotated[bool, typer.Option("--half", help="Run the network in 16 bits, as SEGSORT_HALF does.")] = False,
) -> None:
    """Measure a release on labelled images: mIoU, IoU per class, accuracy, boundary F and calibration."""
    from index_builder.datasets import named_dataset, open_dataset, with_classes
    from index_builder.evaluation import Photographs, evaluate_classifier, is_classifier
    from index_builder.evaluation import evaluate as measure
    from model_store.predictor import Predictor
    from model_store.release import Release
    from model_store.store import open_store

    if as_json and as_markdown:
        raise ValueError(
            "--json and --markdown both print on standard output; give one of them, or write the JSON with --out"
        )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    dataset, root = named_dataset(data, dataset, root, format_)
    labelled = with_classes(open_dataset(dataset, root, split), classes)
    if is_classifier(Path(release)):
        if half:
            raise ValueError("--half works with releases only; a classifier is measured in 32 bits")
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
