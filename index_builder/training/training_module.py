"""The Lightning module that all objectives share: network, validation and optimiser."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from index_builder.datasets import Dataset, Sample
from index_builder.subsets import evenly_spread
from index_builder.training.crops import Augment, Batch
from index_builder.training.ranks import part_of_rank, rank, ranks, sample_of_all_ranks, total
from index_builder.training.recipe import Recipe
from index_builder.training.validation import RetrievalScore
from model_store.card import ClassInfo, Preprocessing, SortingInfo
from model_store.embedder import prepare
from segsort.network import ClassifyingNetwork, EmbeddingNetwork
from segsort.segment_sorting import frequencies

SERVED_SORTING, SERVED_K = SortingInfo(), 20  # validation sorts and votes by a release's default settings


class TrainingModule(L.LightningModule, ABC):
    """Base of the modules of all objectives: the network, validation on labelled images, and the optimiser.

    Args:
        network: backbone and decoder; with a classifier if the objective is "softmax".
        recipe: settings of the run.
        augment: turns the bytes of a batch into the network's input.
        classes: classes of the data sets; empty for unsupervised training.
    """

    def __init__(
        self,
        network: EmbeddingNetwork | ClassifyingNetwork,
        recipe: Recipe,
        augment: Augment,
        classes: tuple[ClassInfo, ...],
    ) -> None:
        super().__init__()
        self.network, self.recipe, self.augment, self.classes = network, recipe, augment, classes

    def on_fit_start(self) -> None:
        """Let each device draw other random numbers. The network has its initial weights already, which are equal."""
        if ranks() > 1:
            torch.manual_seed(self.recipe.seed + 1_000_003 * rank())

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Take the part of a training batch that this device works on."""
        return part_of_rank(batch, self.recipe.views) if isinstance(batch, Batch) else batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self.network(self.augment(batch.images))
        with torch.autocast(self.device.type, enabled=False):  # cosines near 1 need float32
            loss = self.compare(output, batch)
        self.log("loss", loss, prog_bar=True, sync_dist=ranks() > 1)
        return loss

    @abstractmethod
    def compare(self, output: Any, batch: Batch) -> Tensor:
        """Loss of the network's output on a batch. It must not synchronise with a GPU."""

    def draw(self, classes: Tensor, usable: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Sample the pixels that enter the loss. Rare classes are sampled more often than they occur.

        Args:
            classes: [N] int64, 0..number-1 for usable pixels.
            usable: [N] bool, pixels that may be sampled.
            number: number of classes.

        Returns:
            Positions [P] int64 of this device's pixels, and [P] bool: False at places left over because too few pixels
            were usable.
        """
        weight = total(frequencies(classes, usable, number)).clamp(min=1).pow(-self.recipe.class_balance)
        weights = torch.where(usable, weight[classes.clamp(min=0)], 0)
        return sample_of_all_ranks(weights, self.recipe.pixels_per_domain)

    def validation_loaders(self, domains: list[Dataset], queries: Dataset) -> list[DataLoader[Sample]]:
        """Loaders of the images that become exemplars, one a domain; the last loader has the images that query them."""
        most = self.recipe.validation_images
        return [
            DataLoader(Subset(images, evenly_spread(len(images), most)), batch_size=None, collate_fn=_unchanged)  # type: ignore[arg-type]
            for images in (*domains, queries)
        ]

    def on_validation_epoch_start(self) -> None:
        sorting = replace(SERVED_SORTING.options(), location_weight=self.recipe.location_weight)
        self.score = RetrievalScore(len(self.recipe.datasets), len(self.classes), sorting, SERVED_K, self.recipe.kappa)

    def validation_step(self, sample: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:
        mean, std = (tuple(v.flatten().tolist()) for v in (self.augment.mean, self.augment.std))
        image, cells = prepare(sample.image, Preprocessing(working_size=self.recipe.working_size, mean=mean, std=std))
        output = self.network(torch.from_numpy(image).to(self.device))
        with torch.autocast(self.device.type, enabled=False):
            self.score_one(output, sample, cells, dataloader_idx)

    def score_one(self, output: Any, sample: Sample, cells: tuple[int, int], loader: int) -> None:
        """Add an image to the score: as exemplars, or as a query if it comes from the last loader."""
        embeddings = output[0].float()[:, : cells[0], : cells[1]].cpu()
        if loader < len(self.recipe.datasets):
            self.score.add_exemplars(loader, sample, embeddings)
        else:
            self.score.add_query(sample, embeddings)

    def on_validation_epoch_end(self) -> None:
        """Log the mIoU by the exemplars of each domain, and their mean as "val/miou".

        The checkpoint with the highest "val/miou" is kept.
        """
        scores = []
        for domain, name in enumerate(self.recipe.datasets):
            iou = self.score.iou(domain)
            scores.append(float(np.nanmean(iou)))
            self.log(f"val/miou/{name}", scores[-1], prog_bar=True)
            for info, value in zip(self.classes, iou, strict=True):
                self.log(f"val/iou/{name}/{info.name}", float(value))
        self.log("val/miou", float(np.mean(scores)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with warm-up and polynomial decay. The backbone learns at `backbone_rate` times the learning rate."""
        rate = self.recipe.learning_rate
        slow: list[Tensor] = []
        fast: list[Tensor] = []
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                (slow if "backbone." in name else fast).append(parameter)
        groups = [{"params": fast, "lr": rate}]
        if slow:
            groups.insert(0, {"params": slow, "lr": rate * self.recipe.backbone_rate})
        optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=self.recipe.weight_decay)
        steps, warm_up = self.recipe.steps, min(100, self.recipe.steps // 10 + 1)

        def factor(step: int) -> float:
            return float(min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / steps) ** 0.9)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _unchanged(sample: Sample) -> Sample:
    return sample
