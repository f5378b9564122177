"""The softmax baseline: a linear classifier of each pixel, on the network, data and schedule of segment sorting."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from index_builder.datasets import Sample
from index_builder.training.crops import Batch
from index_builder.training.ranks import ranks, total
from index_builder.training.sorting_modules import labels_at_cells
from index_builder.training.training_module import TrainingModule
from index_builder.training.validation import PixelScore
from model_store.pixel_classifier import classify_pixels


class SoftmaxModule(TrainingModule):
    """Cross entropy. Each step uses as many pixels as segment sorting does, sampled by the same rule."""

    def compare(self, output: tuple[Tensor, Tensor], batch: Batch) -> Tensor:
        logits, labels = output[1].float(), labels_at_cells(batch).flatten()
        domains = batch.domains[:, None].expand(len(batch.domains), labels.numel() // len(batch.domains)).flatten()
        flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
        summed, terms = logits.new_zeros(()), logits.new_zeros(())
        for domain, name in enumerate(self.recipe.datasets):
            pixels, drawn = self.draw(labels, (labels >= 0) & (domains == domain), len(self.classes))
            target = torch.where(drawn, labels[pixels], -100)  # -100: cross_entropy ignores the pixel
            pixels_drawn = total(drawn.sum())
            loss = ranks() * F.cross_entropy(flat[pixels], target, reduction="sum") / pixels_drawn.clamp(min=1)
            self.log(f"loss/{name}", loss.detach(), sync_dist=ranks() > 1)
            summed, terms = summed + loss, terms + (pixels_drawn > 0)
        return summed / terms.clamp(min=1)

    def on_validation_epoch_start(self) -> None:
        self.pixel_score = PixelScore(len(self.classes))

    def score_one(self, output: tuple[Tensor, Tensor], sample: Sample, cells: tuple[int, int], loader: int) -> None:
        if loader == len(self.recipe.datasets):  # a classifier needs no exemplars
            logits = output[1][0].float()[:, : cells[0], : cells[1]].cpu()
            self.pixel_score.add(sample, classify_pixels(logits, sample.labels.shape)[0])

    def on_validation_epoch_end(self) -> None:
        """Log the mIoU. The checkpoint with the highest "val/miou" is kept."""
        iou = self.pixel_score.iou()
        for info, value in zip(self.classes, iou, strict=True):
            self.log(f"val/iou/{info.name}", float(value))
        self.log("val/miou", float(np.nanmean(iou)), prog_bar=True)
