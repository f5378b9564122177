"""Evaluation of a release: labels of a data set's images by served retrieval, compared with the masks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from index_builder.datasets import Dataset
from index_builder.environment import circumstances
from index_builder.evaluation.evaluation_report import TOLERANCES, ForeignScore, Outcomes, Report, scores_of
from index_builder.evaluation.explanation_scores import measure_explanations
from index_builder.evaluation.foreign_photographs import (
    Familiar,
    Photographs,
    familiar,
    familiar_in,
    joined,
    separation,
)
from index_builder.progress import counted
from index_builder.scores import boundary_f, class_lookup, label_counts, majority_agrees
from model_store.embedder import Device
from model_store.predictor import Prediction, Predictor
from model_store.release import Release


@dataclass
class _Tally:
    """Sums and lists over the images evaluated so far."""

    confusion: np.ndarray  # [R, R] pixels by true and predicted class, in the numbers of `_Numbering`
    boundary: list[np.ndarray] = field(default_factory=list)
    confidence: list[np.ndarray] = field(default_factory=list)
    correct: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    raw: list[np.ndarray] = field(default_factory=list)
    right: list[np.ndarray] = field(default_factory=list)
    timings: list[dict[str, float]] = field(default_factory=list)
    familiar: list[Familiar] = field(default_factory=list)

    def add(self, labels: np.ndarray, prediction: Prediction) -> None:
        """Add one image; labels: [H, W] uint8, in the numbers of the predicted classes, or IGNORE."""
        class_ids = prediction.vote.class_ids
        counts = label_counts(prediction.segments.labels, labels, len(class_ids), len(self.confusion))
        np.add.at(self.confusion.T, class_ids, counts)
        self.boundary.append(boundary_f(labels, prediction.class_map, TOLERANCES))
        self.confidence.append(prediction.confidence)
        self.correct.append(majority_agrees(counts, class_ids))
        self.weights.append(counts.sum(axis=1))
        self.raw.append(prediction.vote.shares.max(axis=1))
        self.right.append(counts[np.arange(len(counts)), class_ids] / np.maximum(counts.sum(axis=1), 1))
        self.timings.append(prediction.timings_ms)
        self.familiar.append(familiar(prediction))


class _Numbering(NamedTuple):
    """Common numbers of the classes of data set and release.

    lookup: [256] uint8, number of each class of the data set; relabel: [R] int64, number of each class of the release;
    names: name of each number.
    """

    lookup: np.ndarray
    relabel: np.ndarray
    names: list[str]


def evaluate(
    release: Release | Predictor,
    dataset: Dataset,
    *,
    device: Device = "cpu",
    threads: int | None = None,
    foreign: Sequence[Photographs] = (),
    explanation_images: int | None = None,
    match_clusters: bool = False,
) -> Report:
    """Label every image of a data set and compare the labels with its masks, at the resolution of the masks.

    Args:
        release: a release, or a predictor of one.
        dataset: labelled images. Classes are matched with those of the release by name; ignored pixels do not count.
        device: "cpu" or "cuda"; unused if `release` is a predictor.
        threads: threads of the network on a CPU; unused if `release` is a predictor.
        foreign: sets of photographs of other subjects, which should be unknown. Their names must differ.
        explanation_images: number of images that explanations are measured on; None: explanations are not measured.
        match_clusters: whether the classes of the release are clusters. Each class of the data set is then scored as
            the cluster that fits it best, by Hungarian assignment of IoU over the evaluated images (protocol
            "cluster"). The assignment affects only the score.

    Raises:
        ValueError: if the data set is empty or has a class that is not in the release, the release has no exemplars,
            two sets of photographs have the same name, or explanation_images is below 1.
    """
    if len(dataset) == 0:
        raise ValueError(f"data set {dataset.name!r} has no images; give another data set or split")
    _check(foreign, explanation_images)
    predictor = release if isinstance(release, Predictor) else Predictor(release, device, threads)
    if not len(predictor.release.exemplars):
        raise ValueError(
            f"release {predictor.release.card.name!r} has no exemplars, so it labels nothing that could be compared; "
            "teach it and write a snapshot, or build a release from labelled images"
        )
    started = time.perf_counter()
    numbering = _match_clusters(predictor, dataset) if match_clusters else _by_name(predictor.release, dataset)
    tally = _Tally(np.zeros((len(numbering.names), len(numbering.names)), dtype=np.int64))
    for i in counted(len(dataset), "evaluating"):
        sample = dataset[i]
        prediction = predictor.predict(sample.image)
        classes = numbering.relabel[prediction.vote.class_ids]
        tally.add(
            numbering.lookup[sample.labels], prediction._replace(vote=prediction.vote._replace(class_ids=classes))
        )
    scores = {one.name: _foreign(predictor, one, joined(tally.familiar)) for one in foreign}
    explained = measure_explanations(predictor, dataset, images=explanation_images) if explanation_images else None
    report = _report(tally, predictor, dataset, numbering)
    update = {"foreign": scores, "explanations": explained, "protocol": "cluster" if match_clusters else "knn"}
    return report.model_copy(update=update | {"seconds": time.perf_counter() - started})


def _by_name(release: Release, dataset: Dataset) -> _Numbering:
    """Use the class ids of the release as numbers."""
    classes = release.card.classes
    lookup = class_lookup(dataset.classes, classes, f"release {release.card.name}")
    return _Numbering(lookup, np.arange(len(classes)), [info.name for info in classes])


def _match_clusters(predictor: Predictor, dataset: Dataset) -> _Numbering:
    """Use the class ids of the data set as numbers; unmatched clusters follow."""
    C, K = len(dataset.classes), len(predictor.release.card.classes)
    confusion = np.zeros((C, K), dtype=np.int64)
    for i in counted(len(dataset), "matching clusters"):
        sample = dataset[i]
        prediction = predictor.predict(sample.image)
        counts = label_counts(prediction.segments.labels, sample.labels, len(prediction.segments.areas), C)
        np.add.at(confusion.T, prediction.vote.class_ids, counts)
    relabel = matched(confusion)
    lookup = np.arange(256, dtype=np.uint8)  # IGNORE stays IGNORE
    rest = [info.name for info in predictor.release.card.classes if relabel[info.class_id] >= C]
    return _Numbering(lookup, relabel, [info.name for info in dataset.classes] + rest)


def matched(confusion: np.ndarray) -> np.ndarray:
    """Match clusters with classes one to one, with the largest sum of IoU (Hungarian assignment).

    Args:
        confusion: [C, K] int64, pixels of each class in each cluster.

    Returns:
        [K] int64: class 0..C-1 of each cluster; unmatched clusters have C, C+1, ...
    """
    C, K = confusion.shape
    union = confusion.sum(axis=1, keepdims=True) + confusion.sum(axis=0, keepdims=True) - confusion
    classes, clusters = linear_sum_assignment(confusion / np.maximum(union, 1), maximize=True)
    relabel = np.full(K, -1, dtype=np.int64)
    relabel[clusters] = classes
    relabel[relabel < 0] = C + np.arange((relabel < 0).sum())
    return relabel


def _check(foreign: Sequence[Photographs], explanation_images: int | None) -> None:
    """Raise ValueError early for arguments that would otherwise fail after minutes."""
    names = [one.name for one in foreign]
    if len(set(names)) < len(names):
        raise ValueError(f"foreign photographs are named {', '.join(names)}; give them different names, NAME=PATH")
    if explanation_images is not None and explanation_images < 1:
        raise ValueError(f"explanation_images={explanation_images} must be at least 1")


def _foreign(predictor: Predictor, photographs: Photographs, ours: Familiar) -> ForeignScore:
    others = joined(list(familiar_in(predictor, photographs).values()))
    return ForeignScore(images=len(photographs), auroc=separation(ours, others), known_share=others.known_share)


def _report(tally: _Tally, predictor: Predictor, dataset: Dataset, numbering: _Numbering) -> Report:
    ours = [int(numbering.lookup[info.class_id]) for info in dataset.classes]
    columns = ours + [number for number in range(len(numbering.names)) if number not in ours]
    outcomes = Outcomes(
        confusion=tally.confusion[ours][:, columns],
        names=[numbering.names[number] for number in columns],
        boundary=np.stack(tally.boundary),
        confidence=np.concatenate(tally.confidence),
        correct=np.concatenate(tally.correct),
        weights=np.concatenate(tally.weights),
        raw=np.concatenate(tally.raw),
        right=np.concatenate(tally.right),
    )
    return Report.model_validate(
        {
            **scores_of(outcomes, dataset),
            "release": predictor.release.card.name,
            "known_share": joined(tally.familiar).known_share,
            "segments_per_image": sum(len(x) for x in tally.weights) / len(tally.weights),
            "environment": circumstances(),
            "timings_ms": {name: float(np.median([t[name] for t in tally.timings])) for name in tally.timings[0]},
        }
    )
