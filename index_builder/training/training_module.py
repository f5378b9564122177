"""Training by Lightning: what all objectives share."""

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
from index_builder.training.recipe import Recipe
from index_builder.training.validation import RetrievalScore
from model_store.card import ClassInfo, Preprocessing, SortingInfo
from model_store.embedder import prepare
from segsort.network import ClassifyingNetwork, EmbeddingNetwork
from segsort.segment_sorting import frequencies, sample_pixels

SERVED_SORTING, SERVED_K = SortingInfo(), 20  # how validation sorts and votes, as a release does unless told otherwise


class TrainingModule(L.LightningModule):
    """What all objectives share: the network, validation on labelled images, and the optimiser.

    Args:
        network: backbone and decoder, with a classifier where the objective is "softmax".
        recipe: what the run was told.
        augment: turns the bytes of a batch into the network's input.
        classes: of the data sets; empty where there are none.
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

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self.network(self.augment(batch.images))
        with torch.autocast(self.device.type, enabled=False):  # cosines near 1 need float32
            loss = self.compare(output, batch)
        self.log("loss", loss, prog_bar=True)
        return loss

    def compare(self, output: Any, batch: Batch) -> Tensor:
        """The loss of what the network made of a batch; no step of it waits for a GPU."""
        raise NotImplementedError

    def draw(self, classes: Tensor, usable: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Pixels that enter the loss, rare classes more often than they occur.

        Args:
            classes: [N] int64, 0..number-1 where usable.
            usable: [N] bool.
            number: of classes.

        Returns:
            Positions [P], and [P] bool: where False, too few pixels were usable.
        """
        weight = frequencies(classes, usable, number).clamp(min=1).pow(-self.recipe.class_balance)
        weights = torch.where(usable, weight[classes.clamp(min=0)], 0)
        return sample_pixels(weights, self.recipe.pixels_per_world)

    def validation_loaders(self, domains: list[Dataset], queries: Dataset) -> list[DataLoader[Sample]]:
        """Images that become exemplars, one loader a domain, and last the images that query them."""
        most = self.recipe.validation_images
        return [
            DataLoader(Subset(images, evenly_spread(len(images), most)), batch_size=None, collate_fn=_as_it_is)  # type: ignore[arg-type]
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
        """Add an image to the score: one whose segments become exemplars, or, of the last loader, one that queries."""
        embeddings = output[0].float()[:, : cells[0], : cells[1]].cpu()
        if loader < len(self.recipe.datasets):
            self.score.add_exemplars(loader, sample, embeddings)
        else:
            self.score.add_query(sample, embeddings)

    def on_validation_epoch_end(self) -> None:
        """Log the mIoU of each domain's exemplars; "val/miou", which picks the best checkpoint, is their mean."""
        scores = []
        for domain, name in enumerate(self.recipe.datasets):
            iou = self.score.iou(domain)
            scores.append(float(np.nanmean(iou)))
            self.log(f"val/miou/{name}", scores[-1], prog_bar=True)
            for info, value in zip(self.classes, iou, strict=True):
                self.log(f"val/iou/{name}/{info.name}", float(value))
        self.log("val/miou", float(np.mean(scores)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, the backbone at a share of the rate, warm-up then polynomial decay."""
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


def _as_it_is(sample: Sample) -> Sample:
    return sample
