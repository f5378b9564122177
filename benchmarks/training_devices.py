"""Several devices against one: is a network equally good after the same steps with the same batch?

    python -m benchmarks.training_devices --camvid CAMVID --weights mobilenet_v2_imagenet.safetensors --out runs/devices

For each seed, `segsort train` trains on one device and on two, which share each batch. The crops of the steps are the
same; colours and the pixels that are drawn differ by chance. Both networks are then compared on the same crops of held
frames, which neither has seen: the loss without changed colours, with all pixels and an empty memory bank. Finished
runs are kept. The processes run on the CPU.
"""

import csv
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import nn

from benchmarks.common import report
from index_builder.training.crops import Crops
from index_builder.training.export import load_checkpoint
from index_builder.training.recipe import Recipe
from index_builder.training.run import make_module, open_domains

BATCHES = 12  # of crops that the networks are compared on


def train(camvid: Path, weights: Path, out: Path, devices: int, seed: int, steps: int) -> Path:
    """Train on CPU processes; returns the folder of the run."""
    folder = out / f"{devices}-{seed}"
    if not (folder / "network.onnx").exists():
        command = [sys.executable, "-m", "command_line.main", "train", "--dataset", "camvid", "--root", str(camvid)]
        command += ["--split", "camvid=fit", "--validation-split", "held", "--weights", str(weights)]
        command += ["--steps", str(steps), "--seed", str(seed), "--devices", str(devices), "--out", str(folder)]
        settings = ("crop=[192,256]", "batch_per_domain=8", "learning_rate=0.004", "validate_every=0", "workers=0")
        for setting in (*settings, 'accelerator="cpu"'):
            command += ["--set", setting]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def held_loss(run: Path) -> float:
    """Mean loss of a run's network over crops of held frames."""
    recipe = Recipe.model_validate_json((run / "recipe.json").read_bytes())
    whole = {"train_splits": {"camvid": "held"}, "seed": 1, "pixels_per_domain": 10**6, "devices": 1}
    recipe = recipe.model_copy(update=whole)
    domains = open_domains(recipe)
    module = make_module(recipe, domains)
    module.network = load_checkpoint(run / "checkpoints" / "last.ckpt", recipe)
    module.augment.colour = nn.Identity()
    module.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer to log to
    module.on_fit_start()
    with torch.no_grad():
        losses = [
            float(module.compare(module.network(module.augment(batch.images)), batch))
            for batch in islice(Crops(domains, recipe), BATCHES)
        ]
    return float(np.mean(losses))


def last_losses(run: Path) -> float:
    """Mean of the logged losses of the second half of a run, with the chance of its colours and pixels."""
    rows = list(csv.DictReader((run / "logs" / "metrics.csv").read_text().splitlines()))
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    return float(np.mean(losses[len(losses) // 2 :]))


def _main(
    camvid: Annotated[Path, typer.Option(help="Folder of CamVid.")],
    weights: Annotated[Path, typer.Option(help="ImageNet weights of MobileNetV2 (safetensors file).")],
    out: Annotated[Path, typer.Option(help="Folder of the runs.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    steps: Annotated[int, typer.Option(min=20, help="Optimiser steps of each run.")] = 50,
) -> None:
    """Train on one device and on two with the same crops, and compare what they learnt."""
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        one, two = (train(camvid, weights, out, devices, seed, steps) for devices in (1, 2))
        losses = (held_loss(one), held_loss(two))
        logged = last_losses(two) / last_losses(one)
        rows.append(
            {"seed": seed, "one": losses[0], "two": losses[1], "ratio": losses[1] / losses[0], "logged": logged}
        )
        print(rows[-1], flush=True)
    ratios = [row["ratio"] for row in rows]
    report("training_devices", rows, {"steps": steps, "mean ratio": float(np.mean(ratios))}, out)


if __name__ == "__main__":
    typer.run(_main)
