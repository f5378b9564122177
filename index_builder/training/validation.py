"""Validation by served retrieval: segments of held-out images are labelled by exemplars from training images."""

from typing import NamedTuple

import numpy as np
import torch

from index_builder.datasets import IGNORE, Sample
from index_builder.scores import intersection_over_union, label_counts
from segsort.arrays import AnyArray
from segsort.labelled_segments import split_by_label
from segsort.pixel_sorting import SortingOptions
from segsort.retrieval import vote
from segsort.segments import segment_image

MIN_AREA = 0.0001  # minimum area of a piece as a share of the image; the default of `segsort build`


class Query(NamedTuple):
    """One held-out image. prototypes: [S, D] of its segments; pixels: [S, C] int64, pixels of each class in each."""

    prototypes: np.ndarray
    pixels: np.ndarray


class RetrievalScore:
    """Collects exemplars of each domain and held-out queries, and computes the IoU that each domain's exemplars give.

    Args:
        domains: number of domains.
        num_classes: number of classes, C.
        sorting: options of pixel sorting, as served.
        k: number of exemplars that vote.
        kappa: concentration of the vote.
    """

    def __init__(self, domains: int, num_classes: int, sorting: SortingOptions, k: int, kappa: float) -> None:
        self.num_classes, self.sorting, self.k, self.kappa = num_classes, sorting, k, kappa
        self.exemplars: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(domains)]
        self.queries: list[Query] = []

    def add_exemplars(self, domain: int, sample: Sample, embeddings: AnyArray) -> None:
        """Add the labelled segments of an image as exemplars of a domain; embeddings: [D, h, w] unit vectors."""
        segments = segment_image(embeddings, sample.labels.shape, self.sorting, MIN_AREA)
        pieces = split_by_label(segments, embeddings, sample.labels, IGNORE, MIN_AREA)
        self.exemplars[domain].append((pieces.prototypes, pieces.class_ids))

    def add_query(self, sample: Sample, embeddings: AnyArray) -> None:
        """Add the segments of a held-out image; embeddings: [D, h, w] unit vectors."""
        segments = segment_image(embeddings, sample.labels.shape, self.sorting, MIN_AREA)
        pixels = label_counts(segments.labels, sample.labels, len(segments.areas), self.num_classes)
        self.queries.append(Query(segments.prototypes, pixels))

    def iou(self, domain: int) -> np.ndarray:
        """IoU of each class by the exemplars of one domain: [C], NaN if a class neither occurs nor is predicted."""
        prototypes = np.concatenate([p for p, _ in self.exemplars[domain]])
        classes = np.concatenate([c for _, c in self.exemplars[domain]])
        confusion = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)  # [true, predicted]
        for query in self.queries:
            cosines = torch.from_numpy(query.prototypes) @ torch.from_numpy(prototypes).T
            nearest = cosines.topk(min(self.k, len(prototypes)), dim=1)
            result = vote(nearest.values.numpy(), classes[nearest.indices.numpy()], self.num_classes, self.kappa)
            np.add.at(confusion.T, result.class_ids, query.pixels)
        return intersection_over_union(confusion)

    def best_iou(self) -> np.ndarray:
        """Highest possible IoU of each class: each segment has the label of most of its pixels. [C]."""
        confusion = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)
        for query in self.queries:
            np.add.at(confusion.T, query.pixels.argmax(axis=1), query.pixels)
        return intersection_over_union(confusion)


class PixelScore:
    """Counts correct and wrong labels pixel by pixel.

    Args:
        num_classes: number of classes, C.
    """

    def __init__(self, num_classes: int) -> None:
        self.confusion = np.zeros((num_classes, num_classes), dtype=np.int64)  # [true, predicted]

    def add(self, sample: Sample, predicted: np.ndarray) -> None:
        """Add an image; predicted: [H, W] int, class of each pixel."""
        known, C = sample.labels != IGNORE, len(self.confusion)
        key = sample.labels[known].astype(np.int64) * C + predicted[known]
        self.confusion += np.bincount(key, minlength=C * C).reshape(C, C)

    def iou(self) -> np.ndarray:
        """IoU of each class: [C], NaN if a class neither occurs nor is predicted."""
        return intersection_over_union(self.confusion)
