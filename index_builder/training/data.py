"""Training batches: crops of several worlds side by side, augmented on the device."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import kornia.augmentation as K
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info

from index_builder.datasets import IGNORE, Dataset, Sample
from index_builder.training.recipe import Recipe


class Batch(NamedTuple):
    """images: [B, 3, H, W] uint8; labels: [B, H, W] uint8; worlds: [B] int64, position in the recipe's `datasets`."""

    images: Tensor
    labels: Tensor
    worlds: Tensor


class Crops(IterableDataset[Batch]):
    """Endless stream of whole batches: `batch_per_world` crops of each world."""

    def __init__(self, worlds: list[Dataset], recipe: Recipe, first_step: int = 0) -> None:
        self.worlds, self.recipe, self.first_step = worlds, recipe, first_step

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number = worker.id if worker else 0
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        random = np.random.default_rng([self.recipe.seed, self.first_step, rank, number])
        orders = [_endless_order(len(world), random) for world in self.worlds]
        read = [lru_cache(maxsize=None)(world.__getitem__) for world in self.worlds]
        while True:
            crops = [
                (*_crop(read[w](next(orders[w])), self.recipe, random), w)
                for w in range(len(self.worlds))
                for _ in range(self.recipe.batch_per_world)
            ]
            images, labels, numbers = zip(*crops, strict=True)
            yield Batch(torch.stack(images), torch.stack(labels), torch.tensor(numbers))


def _endless_order(count: int, random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from (int(i) for i in random.permutation(count))


def _crop(sample: Sample, recipe: Recipe, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A random window of a random size, flipped at random: [3, *crop], [*crop] uint8; outside the image: IGNORE."""
    height, width = recipe.crop
    image_height, image_width = sample.labels.shape
    working = recipe.working_size / max(image_height, image_width)
    scale = working * float(np.exp(random.uniform(*np.log(recipe.scale))))
    window = (max(round(height / scale), 1), max(round(width / scale), 1))
    top, left = (
        int(random.integers(min(0, n - m), max(0, n - m) + 1)) for n, m in zip(sample.labels.shape, window, strict=True)
    )
    image, labels = _window(sample, top, left, window)
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, size=(height, width), mode="bilinear", antialias=scale < 1)
    classes = torch.from_numpy(np.ascontiguousarray(labels))[None, None]
    classes = F.interpolate(classes, size=(height, width), mode="nearest-exact")
    return pixels[0].clamp(0, 255).round().to(torch.uint8), classes[0, 0]


def _window(sample: Sample, top: int, left: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Part of an image; what lies outside it is grey and unlabelled."""
    image = np.full((*size, 3), 127, dtype=np.uint8)
    labels = np.full(size, IGNORE, dtype=np.uint8)
    height, width = sample.labels.shape
    rows, columns = slice(max(top, 0), min(top + size[0], height)), slice(max(left, 0), min(left + size[1], width))
    into = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    image[into], labels[into] = sample.image[rows, columns], sample.labels[rows, columns]
    return image, labels


class Augment(nn.Module):
    """Colour, blur and noise on the device: [B, 3, H, W] uint8 -> normalised float."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.colour = K.AugmentationSequential(
            K.ColorJitter(0.35, 0.35, 0.35, 0.04, p=0.9),
            K.RandomGrayscale(p=0.05),
            K.RandomGaussianBlur((5, 5), (0.3, 1.2), p=0.2),
            K.RandomGaussianNoise(std=0.02, p=0.2),
            data_keys=["input"],
        )
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.mean: Tensor
        self.std: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        jittered = self.colour(images.float() / 255).clamp(0, 1) * 255
        normalised: Tensor = (jittered - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)
