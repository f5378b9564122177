"""One training step: embed, sort pixels, take prototypes, compare."""

from dataclasses import replace

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from index_builder.datasets import IGNORE, Dataset, Sample
from index_builder.progress import spread
from index_builder.training.data import Augment, Batch
from index_builder.training.recipe import Recipe
from index_builder.training.validation import RetrievalScore
from model_store.card import ClassInfo, Preprocessing, SortingInfo
from model_store.embedder import prepare
from segsort.memory_bank import MemoryBank
from segsort.network import STRIDE, EmbeddingNetwork
from segsort.pixel_sorting import SortingOptions, sort_pixels
from segsort.segment_sorting import Prototypes, prototypes_by_label, vmf_nca_loss

SERVED_SORTING, SERVED_K = SortingInfo(), 20  # how validation sorts and votes, as a release does unless told otherwise


class SegSortModule(L.LightningModule):
    """Supervised segment sorting over one or more worlds."""

    def __init__(
        self, network: EmbeddingNetwork, recipe: Recipe, augment: Augment, classes: tuple[ClassInfo, ...]
    ) -> None:
        super().__init__()
        self.network, self.recipe, self.augment, self.classes = network, recipe, augment, classes
        self.reference = recipe.datasets.index(recipe.reference) if recipe.reference is not None else None
        self.sorting = SortingOptions(recipe.segments, recipe.iterations, recipe.location_weight)
        self.bank = MemoryBank(0, recipe.dimension)

    def on_fit_start(self) -> None:
        self.bank = MemoryBank(
            self.recipe.bank_batches * self.recipe.bank_per_batch, self.recipe.dimension, self.device
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        embeddings = self.network(self.augment(batch.images)).float()  # [B, D, h, w]
        with torch.autocast(self.device.type, enabled=False):  # cosines near 1 need float32
            loss = self._sort_and_compare(embeddings, batch)
        self.log("loss", loss, prog_bar=True)
        return loss

    def _sort_and_compare(self, embeddings: Tensor, batch: Batch) -> Tensor:
        labels = batch.labels[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].long()  # the pixel at each cell's centre
        sorted_pixels = sort_pixels(embeddings, self.sorting, labels != IGNORE)
        own = prototypes_by_label(
            embeddings, sorted_pixels.labels, labels, batch.worlds, ignore=IGNORE, min_pixels=self.recipe.min_pixels
        )
        loss = self._loss(embeddings, own)
        self._remember(own)
        return loss

    def _loss(self, embeddings: Tensor, own: Prototypes) -> Tensor:
        """Mean over worlds of the loss within the world, and of the loss against the reference world."""
        flat = embeddings.permute(0, 2, 3, 1).reshape(-1, embeddings.shape[1])
        segment_of = own.segment_of.flatten()
        bank, bank_classes, bank_worlds = self.bank.read()
        directions = torch.cat([own.directions, bank])
        classes, worlds = torch.cat([own.class_ids, bank_classes]), torch.cat([own.domains, bank_worlds])
        total, terms = embeddings.new_zeros(()), 0.0
        for world in range(len(self.recipe.datasets)):
            pixels = self._sample(segment_of, own, world)
            if len(pixels) == 0:
                continue
            vectors, segments = flat[pixels], segment_of[pixels]
            wanted = own.class_ids[segments]
            for others, weight in self._comparisons(world):
                among = (worlds == others).nonzero().squeeze(1)
                row = torch.full_like(worlds, -1)
                row[among] = torch.arange(len(among), device=row.device)
                loss = vmf_nca_loss(
                    vectors, wanted, row[segments], directions[among], classes[among], self.recipe.kappa
                )
                self.log(f"loss/{self.recipe.datasets[world]}-{self.recipe.datasets[others]}", loss.mean().detach())
                total, terms = total + weight * loss.mean(), terms + weight
        return total / max(terms, 1.0)

    def _comparisons(self, world: int) -> list[tuple[int, float]]:
        """Worlds whose prototypes the pixels of a world are compared with, and the weight of each."""
        within = [(world, 1.0)]
        if self.reference is None or world == self.reference:
            return within
        return [*within, (self.reference, self.recipe.reference_weight)]

    def _sample(self, segment_of: Tensor, own: Prototypes, world: int) -> Tensor:
        """Positions of the pixels of a world that enter the loss, rare classes more often than they occur."""
        usable = (segment_of >= 0).nonzero().squeeze(1)
        segments = segment_of[usable]
        usable = usable[own.domains[segments] == world]
        if len(usable) <= self.recipe.pixels_per_world:
            return usable
        classes = own.class_ids[segment_of[usable]]
        frequency = torch.bincount(classes, minlength=int(classes.max()) + 1).float()
        weight = frequency.clamp(min=1).pow(-self.recipe.class_balance)[classes]
        return usable[torch.multinomial(weight, self.recipe.pixels_per_world)]

    def _remember(self, own: Prototypes) -> None:
        chosen = torch.randperm(len(own.class_ids), device=self.device)[: self.recipe.bank_per_batch]
        self.bank.add(own.directions[chosen], own.class_ids[chosen], own.domains[chosen])

    def validation_loaders(self, worlds: list[Dataset], queries: Dataset) -> list[DataLoader[Sample]]:
        """Images that become exemplars, one loader a world, and last the images that query them."""
        most = self.recipe.validation_images
        return [
            DataLoader(Subset(images, spread(len(images), most)), batch_size=None, collate_fn=_as_it_is)  # type: ignore[arg-type]
            for images in (*worlds, queries)
        ]

    def on_validation_epoch_start(self) -> None:
        sorting = replace(SERVED_SORTING.options(), location_weight=self.recipe.location_weight)
        self.score = RetrievalScore(len(self.recipe.datasets), len(self.classes), sorting, SERVED_K, self.recipe.kappa)

    def validation_step(self, sample: Sample, batch_idx: int, dataloader_idx: int = 0) -> None:
        mean, std = (tuple(v.flatten().tolist()) for v in (self.augment.mean, self.augment.std))
        image, cells = prepare(sample.image, Preprocessing(working_size=self.recipe.working_size, mean=mean, std=std))
        embeddings = self.network(torch.from_numpy(image).to(self.device))[0].float()[:, : cells[0], : cells[1]]
        with torch.autocast(self.device.type, enabled=False):
            if dataloader_idx < len(self.recipe.datasets):
                self.score.add_exemplars(dataloader_idx, sample, embeddings.cpu())
            else:
                self.score.add_query(sample, embeddings.cpu())

    def on_validation_epoch_end(self) -> None:
        """Log the mIoU of each world's exemplars; "val/miou", which picks the best checkpoint, is their mean."""
        scores = []
        for world, name in enumerate(self.recipe.datasets):
            iou = self.score.iou(world)
            scores.append(float(np.nanmean(iou)))
            self.log(f"val/miou/{name}", scores[-1], prog_bar=True)
            for info, value in zip(self.classes, iou, strict=True):
                self.log(f"val/iou/{name}/{info.name}", float(value))
        self.log("val/miou", float(np.mean(scores)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, the backbone at a share of the rate, warm-up then polynomial decay."""
        rate = self.recipe.learning_rate
        groups = [
            {"params": self.network.backbone.parameters(), "lr": rate * self.recipe.backbone_rate},
            {"params": self.network.decoder.parameters(), "lr": rate},
        ]
        optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=self.recipe.weight_decay)
        steps, warm_up = self.recipe.steps, min(100, self.recipe.steps // 10 + 1)

        def factor(step: int) -> float:
            return float(min(1.0, (step + 1) / warm_up) * max(0.0, 1 - step / steps) ** 0.9)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _as_it_is(sample: Sample) -> Sample:
    return sample
