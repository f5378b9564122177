"""Training batches: random crops of the images of each domain, and their augmentation on the device."""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import kornia.augmentation as K
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info

from index_builder.datasets import IGNORE, Dataset, Images
from index_builder.regions import Regions
from index_builder.training.photometry import StrongPhotometry
from index_builder.training.rare_classes import DONORS, ClassPlaces, paste_small_classes, place_of
from index_builder.training.recipe import Recipe

JPEG = 0.2  # share of crops that are compressed if `photometry` is "strong"


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
        random = np.random.default_rng([self.recipe.seed, self.first_step, 0, number])  # the same on all devices
        sources = [_Source(domain, self.recipe, random) for domain in self.domains]
        views = self.recipe.views
        while True:
            crops = [
                (*crop, w)
                for w, source in enumerate(sources)
                for _ in range(self.recipe.batch_per_domain // views)
                for crop in source.next_views()
            ]
            images, labels, numbers = zip(*crops, strict=True)
            image_of = torch.arange(len(crops)) // views
            yield Batch(torch.stack(images), torch.stack(labels), torch.tensor(numbers), image_of)


class _Source:
    """The crops of one domain. An image is read, and its regions are computed, once."""

    def __init__(self, domain: Domain, recipe: Recipe, random: np.random.Generator) -> None:
        self.recipe, self.random = recipe, random
        self._order = _endless_order(len(domain), random)
        self._read = lru_cache(maxsize=None)(domain.__getitem__)
        self._places = ClassPlaces()
        self._donors: deque[tuple[Tensor, Tensor]] = deque(maxlen=DONORS)

    def next_views(self) -> list[tuple[Tensor, Tensor]]:
        """Crops of the next image: `views` pairs of [3, h, w] uint8 and [h, w] int32."""
        if self.recipe.objective == "vmf":
            return _views(self._read(next(self._order)), self.recipe, self.random)
        chance = self.recipe.rare_crops
        crop = self._on_rare_class() if chance and self.random.random() < chance else None
        if crop is None:
            crop = self._anywhere()
        if self._donors and self.random.random() < self.recipe.class_mix:
            crop = paste_small_classes(crop, self._donors[int(self.random.integers(len(self._donors)))], self.random)
        if self.recipe.photometry == "strong" and self.random.random() < JPEG:
            crop = (_compressed(crop[0], int(self.random.integers(25, 90))), crop[1])
        return [crop]

    def _anywhere(self) -> tuple[Tensor, Tensor]:
        number = next(self._order)
        labelled = self._read(number)
        if self.recipe.rare_crops:
            self._places.add(number, labelled.labels, labelled.unknown)
        return _crop(labelled, self.recipe, self.random)

    def _on_rare_class(self) -> tuple[Tensor, Tensor] | None:
        """A crop that shows a pixel of a class, rare ones more often than frequent ones; None before any was read."""
        drawn = self._places.draw(self.random)
        if drawn is None:
            return None
        labelled = self._read(drawn[0])
        crop = _crop(labelled, self.recipe, self.random, place_of(labelled.labels, drawn[1], self.random))
        self._donors.append(crop)
        return crop


def _compressed(image: Tensor, quality: int) -> Tensor:
    """An image [3, h, w] uint8 after JPEG compression."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


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


def _crop(
    labelled: LabelledImage, recipe: Recipe, random: np.random.Generator, shown: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor]:
    """A window of random position and size, flipped with probability 1/2: [3, *crop] uint8 and [*crop] int32.

    Pixels outside the image have the label -1. If `shown`, a row and a column of the image, is given, the window shows
    that pixel.
    """
    height, width = recipe.crop
    image_height, image_width = labelled.labels.shape
    working = recipe.working_size / max(image_height, image_width)
    scale = working * float(np.exp(random.uniform(*np.log(recipe.scale))))
    window = (max(round(height / scale), 1), max(round(width / scale), 1))
    top, left = (
        _start(n, m, random, shown[axis] if shown else None)
        for axis, (n, m) in enumerate(zip(labelled.labels.shape, window, strict=True))
    )
    image, labels = _window(labelled, top, left, window)
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, size=(height, width), mode="bilinear", antialias=scale < 1)
    nearest = [(np.arange(n) * 2 + 1) * m // (2 * n) for n, m in zip((height, width), window, strict=True)]
    classes = torch.from_numpy(labels[nearest[0][:, None], nearest[1]])
    return pixels[0].clamp(0, 255).round().to(torch.uint8), classes


def _start(length: int, window: int, random: np.random.Generator, shown: int | None) -> int:
    """Where a window starts along one axis, so that it covers as much of the image as it can, and `shown`."""
    low, high = min(0, length - window), max(0, length - window)
    if shown is not None:
        low, high = max(low, shown - window + 1), min(high, shown)
    return int(random.integers(low, high + 1))


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

    mean and std are of RGB in 0..255. strong: change light, colour and sharpness much more.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], strong: bool = False) -> None:
        super().__init__()
        self.colour = StrongPhotometry() if strong else _plain_photometry()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.mean: Tensor
        self.std: Tensor

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        jittered = self.colour(images.float() / 255).clamp(0, 1) * 255
        normalised: Tensor = (jittered - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)


def _plain_photometry() -> nn.Module:
    return K.AugmentationSequential(
        K.ColorJitter(0.35, 0.35, 0.35, 0.04, p=0.9),
        K.RandomGrayscale(p=0.05),
        K.RandomGaussianBlur((5, 5), (0.3, 1.2), p=0.2),
        K.RandomGaussianNoise(std=0.02, p=0.2),
        data_keys=["input"],
    )
