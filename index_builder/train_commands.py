"""Command `segsort train`: train an embedding, or a classifier as the baseline."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer


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
        str,
        typer.Option(help="mobilenet_v2, efficientnet_lite2, or a model name that transformers' AutoBackbone accepts."),
    ] = "mobilenet_v2",
    weights: Annotated[
        Path | None,
        typer.Option(help="Initial weights of the backbone: MobileNetV2 (.safetensors) or EfficientNet-Lite2 (.pth)."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 2000,
    devices: Annotated[int, typer.Option(help="Number of GPUs (or CPU processes) to train on.")] = 1,
    precision: Annotated[
        str, typer.Option(help="Lightning's name of the precision: 32-true, bf16-mixed or 16-mixed.")
    ] = "32-true",
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    set_: Annotated[list[str], typer.Option("--set", help="Any other setting of the recipe: NAME=JSON.")] = [],
) -> None:
    """Train an embedding by segment sorting, or a softmax classifier. The run's folder then holds network.onnx."""
    from index_builder.training import Recipe, is_first_process
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
    folder = run(recipe, out)
    if is_first_process():
        typer.echo(str(folder))
