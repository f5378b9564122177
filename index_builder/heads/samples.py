"""Labelled embedding cells of images, with their features, as samples to fit a head on."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from index_builder.datasets import IGNORE
from index_builder.heads.maps import ImageMaps
from segsort.features import FeatureGroup
from segsort.head import Basis
from segsort.pixel_sorting import SortingOptions, sort_pixels
from segsort.sphere import normalize

LEAST = 200  # samples an image
_SORTING = SortingOptions(segments=64, iterations=4, location_weight=0.5)


class Samples(NamedTuple):
    """N labelled embedding cells.

    rows: [N, F] float32 features of all groups; class_ids: [N] int64; images: [N] int64; places: [N] int64, y * w + x
    of the cell in its image; parts: [N] int64, the labelled
    part of an image that a cell belongs to (a component of one class: a stroke or an object); segments: [N] int64, the
    sorted segment of one class that it belongs to; weights: [N] float32, labelled cells that each stands for.
    """

    rows: Tensor
    class_ids: Tensor
    images: np.ndarray
    places: np.ndarray
    parts: np.ndarray
    segments: np.ndarray
    weights: np.ndarray

    @property
    def classes(self) -> int:
        """Number of classes that occur."""
        return len(np.unique(self.class_ids.numpy()))

    def subset(self, chosen: np.ndarray) -> "Samples":
        """The samples at positions, or where a mask is true."""
        at = torch.from_numpy(np.flatnonzero(chosen) if chosen.dtype == bool else chosen)
        index = at.numpy()
        return Samples(self.rows[at], self.class_ids[at], *(one[index] for one in self[2:]))

    def thinned(self, most: int, seed: int) -> "Samples":
        """At most `most` of the samples, drawn at random."""
        if len(self.images) <= most:
            return self
        chosen = np.random.default_rng(seed).choice(len(self.images), most, replace=False)
        return self.subset(np.sort(chosen))


def cell_labels(labels: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """The most frequent class among the labelled pixels below each embedding cell.

    Args:
        labels: [H, W] uint8, a class or IGNORE.
        cells: (h, w).

    Returns:
        [h, w] uint8; IGNORE where no pixel below the cell is labelled. A thin stroke labels every cell that it crosses.
    """
    (H, W), (h, w) = labels.shape, cells
    y, x = np.nonzero(labels != IGNORE)
    if not len(y):
        return np.full(cells, IGNORE, dtype=np.uint8)
    values = labels[y, x].astype(np.int64)
    classes = int(values.max()) + 1
    counts = np.bincount(((y * h // H) * w + x * w // W) * classes + values, minlength=h * w * classes)
    counts = counts.reshape(h, w, classes)
    return np.where(counts.any(axis=2), counts.argmax(axis=2), IGNORE).astype(np.uint8)


def draw_cells(labels: np.ndarray, most: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw labelled cells of one image, each class by the square root of its frequency.

    Args:
        labels: [h, w] uint8, from `cell_labels`.
        most: maximum number of cells.
        random: source of the draw.

    Returns:
        y, x [n] int64 and weights [n] float32, the number of labelled cells that each stands for.
    """
    chosen, weights = [], []
    flat = labels.ravel()
    classes, counts = np.unique(flat[flat != IGNORE], return_counts=True)
    if counts.sum() <= most:
        chosen, weights = [np.flatnonzero(flat != IGNORE)], [np.ones(int(counts.sum()))]
    else:
        quota = np.sqrt(counts) / np.sqrt(counts).sum() * most
        for class_id, count, share in zip(classes, counts, quota, strict=True):
            n = int(min(count, max(1, round(share))))
            chosen.append(random.choice(np.flatnonzero(flat == class_id), n, replace=False))
            weights.append(np.full(n, count / n))
    at = np.concatenate(chosen)
    return at // labels.shape[1], at % labels.shape[1], np.concatenate(weights).astype(np.float32)


def gather_samples(
    count: int,
    image: Callable[[int], tuple[ImageMaps, np.ndarray]],
    groups: Sequence[FeatureGroup],
    basis: Basis,
    *,
    most: int,
    seed: int,
) -> Samples:
    """Draw samples from all labelled images.

    Args:
        count: number of images.
        image: maps and labels [H, W] of an image, by its position.
        groups: the groups that become features, in order.
        basis: of the identity head over `groups`, whose embedding is sorted into segments.
        most: maximum number of samples of all images together, but at least 200 an image.
        seed: of the draw.

    Raises:
        ValueError: if no pixel of any image is labelled.
    """
    random = np.random.default_rng(seed)
    found: list[Samples] = []
    parts = segments = 0
    for i in range(count):
        maps, labels = image(i)
        cells = cell_labels(labels, maps.cells)
        y, x, weights = draw_cells(cells, max(LEAST, most // count), random)
        if not len(y):
            continue
        part, segment = _parts(cells)[y, x], _segments(maps, cells, groups, basis)[y, x]
        found.append(
            Samples(
                maps.rows(groups, y, x), torch.from_numpy(cells[y, x].astype(np.int64)), np.full(len(y), i),
                y * maps.cells[1] + x,
                part + parts, segment + segments, weights,
            )
        )  # fmt: skip
        parts += int(part.max()) + 1
        segments += int(segment.max()) + 1
    if not found:
        raise ValueError(f"no pixel of the {count} images is labelled; label some, in two classes or more")
    rows, class_ids, *others = zip(*found, strict=True)
    return Samples(torch.cat(rows), torch.cat(class_ids), *(np.concatenate(one) for one in others))


def _parts(cells: np.ndarray) -> np.ndarray:
    """Number of the connected component of one class that each labelled cell [h, w] belongs to."""
    from skimage.measure import label

    found = label(cells.astype(np.int32) + 1, background=IGNORE + 1, connectivity=2)  # type: ignore[no-untyped-call]
    return np.asarray(found)


def _segments(maps: ImageMaps, cells: np.ndarray, groups: Sequence[FeatureGroup], basis: Basis) -> np.ndarray:
    """Sort the pixels of an image by the identity head, and split the segments by class: [h, w] int64."""
    coordinates = maps.affine(groups, basis.directions.T, -(basis.mean @ basis.directions))
    sorted_ = sort_pixels(normalize(coordinates, dim=0)[None], _SORTING).labels[0].numpy()
    return np.unique(sorted_ * (IGNORE + 1) + cells, return_inverse=True)[1].reshape(cells.shape)
