"""Commands of the offline side: train, build, evaluate."""

from pathlib import Path
from typing import Annotated, Any

import typer

train_app = typer.Typer()


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
    """Train an embedding by segment sorting; the run's folder ends with the network as ONNX."""
    from index_builder.training.recipe import Recipe
    from index_builder.training.run import train as run

    roots = {dataset[0]: root[0]} if len(root) == 1 and "=" not in root[0] else _named(root, "--root")
    recipe = Recipe(
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
