"""Speed of the parts of a training step: `python -m benchmarks.training --recipe RUN/recipe.json --out RUN`.

It measures images per second of the loader alone (cropping; images are read once), of the network alone (forward,
backward, optimiser) and of the whole step, in turn. `segsort report` reads the resulting speed.json.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.common import interleave, report
from index_builder.environment import circumstances
from index_builder.training.crops import Batch, Crops
from index_builder.training.recipe import Recipe
from index_builder.training.run import make_module, open_domains
from index_builder.training.training_module import TrainingModule

WARM_BATCHES = 4


class Step:
    """The parts of a training step, on the GPU if there is one, else on the CPU.

    Args:
        recipe: recipe of a run; its data sets must be available.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        domains = open_domains(recipe)
        self.module: TrainingModule = make_module(recipe, domains).to(self.device).train()
        self.module.log = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer to log to
        self.module.on_fit_start()
        self.optimiser = torch.optim.AdamW(self.module.parameters(), lr=1e-5)
        self.stream = iter(Crops(domains, recipe))
        self.batches = [self._moved(batch) for batch in islice(self.stream, WARM_BATCHES)]
        with torch.no_grad():
            self.inputs = [self.module.augment(batch.images) for batch in self.batches]
        self.turn = 0

    def load(self) -> None:
        """Make one batch."""
        next(self.stream)

    def run_network(self) -> None:
        """Run forward pass, backward pass and optimiser with a trivial loss."""
        output = self.module.network(self.inputs[self._next()])
        self._learn((output[1] if isinstance(output, tuple) else output).square().mean())

    def run_step(self) -> None:
        """Run a whole step: augmentation, network, pixel sorting, prototypes, memory bank, loss and optimiser."""
        batch = self.batches[self._next()]
        self._learn(self.module.compare(self.module.network(self.module.augment(batch.images)), batch))

    def _next(self) -> int:
        self.turn += 1
        return self.turn % len(self.batches)

    def _learn(self, loss: torch.Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def _moved(self, batch: Batch) -> Batch:
        return Batch(*(part.to(self.device) for part in batch))


def measure(recipe: Recipe, rounds: int) -> dict[str, float]:
    """Images per second of "loader", "network" and "step", medians of `rounds` measurements."""
    step = Step(recipe)
    seconds = interleave({"loader": step.load, "network": step.run_network, "step": step.run_step}, rounds, warmup=2)
    return {name: len(step.batches[0].images) / float(np.median(values)) for name, values in seconds.items()}


def _main(
    recipe: Annotated[Path, typer.Option(help="recipe.json of a run.")],
    out: Annotated[Path | None, typer.Option(help="Folder for speed.json.")] = None,
    rounds: Annotated[int, typer.Option(help="Number of measured steps.")] = 20,
) -> None:
    """Measure the speed of the parts of a training step."""
    settings = Recipe.model_validate_json(recipe.read_bytes())
    found = measure(settings, rounds)
    share = found["step"] / found["network"]
    rows = [{"part": name, "images a second": value} for name, value in found.items()]
    report("training", rows, {"share of the step in the network": share, "objective": settings.objective})
    if out is not None:
        document = {"images_per_s": found, "share_in_network": share, "machine": circumstances()["machine"]}
        (out / "speed.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(_main)
