"""One training step of segment sorting: compute prototypes, compare pixels with them, keep them in the memory bank."""

from abc import abstractmethod

import torch
from torch import Tensor

from index_builder.training.crops import Augment, Batch
from index_builder.training.ranks import of_all_ranks, ranks, segments_of_all_ranks, total
from index_builder.training.recipe import Recipe
from index_builder.training.training_module import TrainingModule
from model_store.card import ClassInfo
from segsort.memory_bank import MemoryBank, Remembered
from segsort.network import STRIDE, EmbeddingNetwork
from segsort.pixel_sorting import SortingOptions, sort_pixels
from segsort.segment_sorting import Prototypes, prototypes_by_label, vmf_loss, vmf_nca_loss

PIECES = 3  # an image has at most PIECES * K pieces: labels split few segments into more than two


def labels_at_cells(batch: Batch) -> Tensor:
    """Label of the pixel at the centre of each cell of the embedding: [B, H/4, W/4] int64."""
    return batch.labels[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].long()


class SortingModule(TrainingModule):
    """Segment sorting over one or more domains. Base of the supervised and the unsupervised module."""

    def __init__(
        self, network: EmbeddingNetwork, recipe: Recipe, augment: Augment, classes: tuple[ClassInfo, ...]
    ) -> None:
        super().__init__(network, recipe, augment, classes)
        self.reference = recipe.datasets.index(recipe.reference) if recipe.reference is not None else None
        self.bank = MemoryBank(0, recipe.dimension)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        rows = self.recipe.bank_batches * self.recipe.bank_per_batch
        self.bank = MemoryBank(rows, self.recipe.dimension, self.device)

    def compare(self, output: Tensor, batch: Batch) -> Tensor:
        embeddings = output.float()  # [B, D, h, w]
        own = self.prototypes(embeddings, batch)
        loss = self._loss(embeddings, own, batch.domains)
        self._remember(own)
        return loss

    @abstractmethod
    def prototypes(self, embeddings: Tensor, batch: Batch) -> Prototypes:
        """Prototypes of the segments of a batch; embeddings: [B, D, h, w] unit vectors."""

    @abstractmethod
    def pixel_losses(
        self, vectors: Tensor, segments: Tensor, own: Prototypes, everything: Remembered, compared: Tensor
    ) -> Tensor:
        """Loss of each pixel: [P] float32.

        Args:
            vectors: [P, D] unit vectors.
            segments: [P] int64, row of each pixel's segment in `own`.
            own: segments of the batch, which are the first rows of `everything`.
            everything: segments of the batch and of the memory bank, S of them.
            compared: [S] bool, rows that the pixels are compared with.
        """

    def _loss(self, embeddings: Tensor, own: Prototypes, domains: Tensor) -> Tensor:
        """Weighted mean, over domains, of the loss within the domain and of the loss against the reference domain."""
        B, D, h, w = embeddings.shape
        flat = embeddings.permute(0, 2, 3, 1).reshape(-1, D)
        domain_of = domains[:, None].expand(B, h * w).flatten()
        bank = self.bank.read()
        own = segments_of_all_ranks(own)
        of_batch = (own.directions, own.class_ids, own.domains, own.valid)
        segment_of = own.segment_of.flatten()
        everything = Remembered(*(torch.cat(pair) for pair in zip(of_batch, bank, strict=True)))
        summed, terms = embeddings.new_zeros(()), embeddings.new_zeros(())
        for domain in range(len(self.recipe.datasets)):
            usable = (segment_of >= 0) & (domain_of == domain)
            pixels, drawn = self.draw(*self.balanced(own, segment_of, usable))
            segments, pixels_drawn = segment_of[pixels].clamp(min=0), total(drawn.sum())
            for others, weight in self._comparisons(domain):
                compared = everything.valid & (everything.domains == others)
                losses = self.pixel_losses(flat[pixels], segments, own, everything, compared)
                loss = ranks() * torch.where(drawn, losses, 0).sum() / pixels_drawn.clamp(min=1)
                name = f"loss/{self.recipe.datasets[domain]}-{self.recipe.datasets[others]}"
                self.log(name, loss.detach(), sync_dist=ranks() > 1)
                summed, terms = summed + weight * loss, terms + weight * (pixels_drawn > 0)
        return summed / terms.clamp(min=1)

    @abstractmethod
    def balanced(self, own: Prototypes, segment_of: Tensor, usable: Tensor) -> tuple[Tensor, Tensor, int]:
        """Arguments of `draw`: the class of each pixel, which pixels are usable, and the number of classes."""

    def _comparisons(self, domain: int) -> list[tuple[int, float]]:
        """Domains whose prototypes the pixels of a domain are compared with, and the weight of each comparison."""
        within = [(domain, 1.0)]
        if self.reference is None or domain == self.reference:
            return within
        return [*within, (self.reference, self.recipe.reference_weight)]

    def _remember(self, own: Prototypes) -> None:
        chance = of_all_ranks(torch.rand(own.valid.shape, device=own.valid.device))
        own = segments_of_all_ranks(own)
        chosen = torch.where(own.valid, chance, -1).topk(min(self.recipe.bank_per_batch, len(chance))).indices
        self.bank.add(own.directions[chosen], own.class_ids[chosen], own.domains[chosen], own.valid[chosen])


class SupervisedModule(SortingModule):
    """Supervised segment sorting: segments are split by label, and those of a pixel's class attract it (vMF-NCA)."""

    def __init__(
        self, network: EmbeddingNetwork, recipe: Recipe, augment: Augment, classes: tuple[ClassInfo, ...]
    ) -> None:
        super().__init__(network, recipe, augment, classes)
        self.sorting = SortingOptions(recipe.segments, recipe.iterations, recipe.location_weight)

    def prototypes(self, embeddings: Tensor, batch: Batch) -> Prototypes:
        labels = labels_at_cells(batch)
        return prototypes_by_label(
            embeddings,
            sort_pixels(embeddings, self.sorting, labels >= 0).labels,
            labels,
            batch.domains,
            classes=len(self.classes),
            segments_per_image=self.recipe.segments,
            rows=PIECES * self.recipe.segments * len(labels),
            min_pixels=self.recipe.min_pixels,
        )

    def balanced(self, own: Prototypes, segment_of: Tensor, usable: Tensor) -> tuple[Tensor, Tensor, int]:
        return own.class_ids[segment_of.clamp(min=0)], usable, len(self.classes)

    def pixel_losses(
        self, vectors: Tensor, segments: Tensor, own: Prototypes, everything: Remembered, compared: Tensor
    ) -> Tensor:
        targets = own.class_ids[segments]
        prototypes, classes = everything.prototypes, everything.class_ids
        return vmf_nca_loss(vectors, targets, segments, prototypes, classes, self.recipe.kappa, compared)


class UnsupervisedModule(SortingModule):
    """Unsupervised segment sorting: regions are the segments, and each repels the pixels of all others (vMF).

    Crops of one image share their regions.
    """

    def prototypes(self, embeddings: Tensor, batch: Batch) -> Prototypes:
        regions = labels_at_cells(batch)
        return prototypes_by_label(
            embeddings,
            torch.where(regions >= 0, 0, -1),
            regions,
            batch.domains[:: self.recipe.views],
            images=batch.image_of,
            classes=self.recipe.max_regions,
            segments_per_image=1,
            rows=self.recipe.max_regions * len(regions) // self.recipe.views,
            min_pixels=self.recipe.min_pixels,
        )

    def balanced(self, own: Prototypes, segment_of: Tensor, usable: Tensor) -> tuple[Tensor, Tensor, int]:
        return segment_of, usable, len(own.valid)

    def pixel_losses(
        self, vectors: Tensor, segments: Tensor, own: Prototypes, everything: Remembered, compared: Tensor
    ) -> Tensor:
        return vmf_loss(vectors, segments, everything.prototypes, self.recipe.kappa, compared)
