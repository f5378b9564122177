"""The network that a run keeps: averaged weights, and batch norms whose statistics belong to these weights."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from index_builder.training.crops import Batch, Crops, Domain
from index_builder.training.ranks import part_of_rank
from index_builder.training.recipe import Recipe
from index_builder.training.training_module import TrainingModule
from segsort.network import ClassifyingNetwork

MOST_BATCHES = 32  # batches of crops that statistics are estimated on; fewer in a run of fewer steps


class WarmAveraging(WeightAveraging):
    """Exponential moving average of the weights, which forgets the first steps of a short run.

    After t steps the average moves by 1 - min(decay, (1 + t) / (10 + t)) towards the weights. With a constant decay of
    0.995, three quarters of the average after 60 steps would be the weights after the first step.

    Args:
        decay: its final value, 0 to below 1.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        super().__init__(avg_fn=self._average)

    def averaged(self) -> TrainingModule:
        """The module with averaged weights.

        Raises:
            RuntimeError: before training has begun.
        """
        if self._average_model is None or not isinstance(self._average_model.module, TrainingModule):
            raise RuntimeError("weights are averaged during training only; call it from a hook of training")
        return self._average_model.module

    def _average(self, averaged: Tensor, current: Tensor, updates: Tensor) -> Tensor:
        decay = ((1 + updates) / (10 + updates)).clamp(max=self.decay)  # a tensor: a GPU is not waited for
        return decay * averaged + (1 - decay) * current


class NormStatistics(Callback):
    """Estimates the statistics of batch norms again for the weights that are validated and kept.

    During training, a batch norm uses the statistics of the batch and keeps running averages for serving. These lag
    behind the weights, and averaged weights never had them. So the statistics are computed again over training crops
    before each validation and after the last step. The random numbers of training stay as they are.

    Args:
        domains: what the run trains on.
        recipe: of the run. A frozen network keeps its statistics.
        averaging: averages the weights; None: the weights of the last step are kept.
    """

    def __init__(self, domains: Sequence[Domain], recipe: Recipe, averaging: WarmAveraging | None) -> None:
        self.recipe, self.averaging = recipe, averaging
        self._crops = Crops(domains, recipe, first_step=recipe.steps)  # no run starts there: other crops than training
        self._batches: list[Batch] = []
        self._estimated_at = -1

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Estimate for the weights that are validated, which `WarmAveraging` has put into the module."""
        self._estimate(pl_module, trainer.global_step)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Estimate after the last step, before its checkpoint is written."""
        if trainer.global_step >= self.recipe.steps:
            self._estimate(self.averaging.averaged() if self.averaging else pl_module, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """The step after which statistics were last estimated; -1: never."""
        return {"estimated_at": self._estimated_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue a run."""
        self._estimated_at = state_dict["estimated_at"]

    @classmethod
    def are_of(cls, checkpoint: str | Path) -> bool:
        """Whether the statistics in a checkpoint were estimated for the weights in it."""
        state = torch.load(checkpoint, map_location="cpu", weights_only=False)
        kept = state.get("callbacks", {}).get(cls.__name__, {})
        return bool(kept.get("estimated_at") == state["global_step"])

    def _estimate(self, module: L.LightningModule, step: int) -> None:
        if not isinstance(module, TrainingModule) or self.recipe.frozen:
            return
        if not self._batches:
            whole = islice(self._crops, min(MOST_BATCHES, self.recipe.steps))
            self._batches = [part_of_rank(batch, self.recipe.views) for batch in whole]
        estimate_statistics(module, self._batches)
        self._estimated_at = step


def has_batch_norms(network: nn.Module) -> bool:
    """Whether a network has batch norms that training changes."""
    frozen = isinstance(network, ClassifyingNetwork) and network.frozen
    return not frozen and any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in network.modules())


@torch.no_grad()
def estimate_statistics(module: TrainingModule, batches: Sequence[Batch]) -> None:
    """Set the statistics of the network's batch norms to their averages over batches of crops.

    Args:
        module: its network is changed in place; it stays in its mode, training or evaluation.
        batches: crops; at least one.
    """
    device = module.augment.mean.device
    with torch.random.fork_rng():
        torch.manual_seed(module.recipe.seed)
        update_bn((module.augment(batch.images.to(device)) for batch in batches), module.network)
