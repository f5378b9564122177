"""Training batches: random crops of the images of each domain, and their augmentation on the device."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import kornia.augmentation as K
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info

from index_builder.datasets import IGNORE, Dataset, Images
from index_builder.regions import Regions
from index_builder.training.recipe import Recipe


class Batch(NamedTuple):
    """Crops that one training step uses.

    images: [B, 3, H, W] uint8; labels: [B, H, W] int32, class or region of each pixel, -1 if unknown; domains: [B]
    int64, position in the recipe's `datasets`; image_of: [B] int64, number of the source image within the batch.
    """

    images: Tensor
    labels: Tensor
    domains: Tensor
    image_of: Tensor


class LabelledImage(NamedTuple):
    """image: [H, W, 3] uint8; labels: [H, W] int, class or region of each pixel; unknown: the label that means none."""

    image: np.ndarray
    labels: np.ndarray
    unknown: int


class WithClasses:
    """A domain of supervised training: images with the class of each pixel."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> LabelledImage:
        sample = self.dataset[i]
        return LabelledImage(sample.image, sample.labels, IGNORE)


class WithRegions:
    """A domain of unsupervised training: images with regions computed from them. No label is read."""

    def __init__(self, images: Images, regions: Regions) -> None:
        self.images, self.regions = images, regions

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> LabelledImage:
        image, source = self.images.photograph(i)
        found = self.regions(image, source)
        return LabelledImage(image, found.astype(np.int16) if found.max() < 2**15 else found, -1)


Domain = WithClasses | WithRegions


class Crops(IterableDataset[Batch]):
    """Endless stream of whole batches: `batch_per_domain` crops of each domain, `views` of each image.

    Each worker reads an image, and computes its regions, once and then keeps it in memory.
    """

    def __init__(self, domains: Sequence[Domain], recipe: Recipe, first_step: int = 0) -> None:
        self.domains, self.recipe, self.first_step = domains, recipe, first_step

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number = worker.id if worker else 0
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        random = np.random.default_rng([self.recipe.seed, self.first_step, rank, number])
        orders = [_endless_order(len(domain), random) for domain in self.domains]
        read = [lru_cache(maxsize=None)(domain.__getitem__) for domain in self.domains]
        views = self.recipe.views
        while True:
            crops = [
                (*crop, w)
                for w in range(len(self.domains))
                for _ in range(self.recipe.batch_per_domain // views)
                for crop in _views(read[w](next(orders[w])), self.recipe, random)
            ]
            images, labels, numbers = zip(*crops, strict=True)
            image_of = torch.arange(len(crops)) // views
            yield Batch(torch.stack(images), torch.stack(labels), torch.tensor(numbers), image_of)


def _views(labelled: LabelledImage, recipe: Recipe, random: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
    """Crops of one image: `views` pairs of [3, h, w] uint8 and [h, w] int32.

    For objective "vmf" only the largest `max_regions` regions are kept. They are numbered from 0, and all crops of the
    image share the numbers.
    """
    crops = [_crop(labelled, recipe, random) for _ in range(recipe.views)]
    if recipe.objective != "vmf":
        return crops
    maps = torch.stack([labels for _, labels in crops])
    ids, inverse, sizes = torch.unique(maps, return_inverse=True, return_counts=True)
    kept = torch.where(ids >= 0, sizes, 0).topk(min(recipe.max_regions, len(ids)))
    number = torch.full_like(ids, -1)
    number[kept.indices] = torch.where(kept.values > 0, torch.arange(len(kept.values), dtype=ids.dtype), -1)
    return [(image, labels) for (image, _), labels in zip(crops, number[inverse], strict=True)]


def _endless_order(count: int, random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from (int(i) for i in random.permutation(count))


def _crop(labelled: LabelledImage, recipe: Recipe, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A window of random position and size, flipped with probability 1/2: [3, *crop] uint8 and [*crop] int32.

    Pixels outside the image have the label -1.
    """
    height, width = recipe.crop
    image_height, image_width = labelled.labels.shape
    working = recipe.working_size / max(image_height, image_width)
    scale = working * float(np.exp(random.uniform(*np.log(recipe.scale))))
    window = (max(round(height / scale), 1), max(round(width / scale), 1))
    top, left = (
        int(random.integers(min(0, n - m), max(0, n - m) + 1))
        for n, m in zip(labelled.labels.shape, window, strict=True)
    )
    image, labels = _window(labelled, top, left, window)
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, size=(height, width), mode="bilinear", antialias=scale < 1)
    nearest = [(np.arange(n) * 2 + 1) * m // (2 * n) for n, m in zip((height, width), window, strict=True)]
    classes = torch.from_numpy(labels[nearest[0][:, None], nearest[1]])
    return pixels[0].clamp(0, 255).round().to(torch.uint8), classes


def _window(labelled: LabelledImage, top: int, left: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Part of an image. Pixels outside the image are grey and have the label -1."""
    image = np.full((*size, 3), 127, dtype=np.uint8)
    labels = np.full(size, -1, dtype=np.int32)
    height, width = labelled.labels.shape
    rows, columns = slice(max(top, 0), min(top + size[0], height)), slice(max(left, 0), min(left + size[1], width))
    into = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    part = labelled.labels[rows, columns].astype(np.int32)
    image[into], labels[into] = labelled.image[rows, columns], np.where(part == labelled.unknown, -1, part)
    return image, labels


class Augment(nn.Module):
    """Random colour, blur and noise on the device: [B, 3, H, W] uint8 -> [B, 3, H, W] float32, normalised.

    mean and std are of RGB in 0..255.
    """

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
