"""Evaluation: how well a release labels the images of a data set, by the retrieval that is served."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict

from index_builder.datasets import Dataset
from index_builder.progress import counted
from index_builder.scores import (
    boundary_f,
    calibration_error,
    class_lookup,
    intersection_over_union,
    label_counts,
    majority_agrees,
    recall,
)
from model_store.embedder import Device
from model_store.predictor import Prediction, Predictor
from model_store.release import Release

TOLERANCES = (1, 2, 3, 4, 5)  # pixels


class Report(BaseModel):
    """What `evaluate` found. Shares and scores are 0..1; null: not defined on these images.

    Attributes:
        release, dataset: names.
        images: how many.
        miou: mean of `per_class` over the classes that occur or are predicted.
        per_class: IoU over all images together, by class of the data set.
        pixel_accuracy: share of labelled pixels whose class is right.
        mean_accuracy: mean over the classes that occur of the share of their pixels that is found.
        boundary_f: by tolerance in pixels: mean over images of the mean over their classes.
        ece: expected calibration error of the segments' confidence, weighted by labelled pixels, 15 bins.
        known_share: share of the pixels, labelled or not, that lie in known segments.
        segments_per_image: mean.
        timings_ms: medians of "embed", "sort" and "retrieve", milliseconds.
        seconds: the whole evaluation took.
        confusion: labelled pixels, a row for each true class (`per_class`' order), a column for each of
            `predicted_classes`.
        predicted_classes: of the release; the data set's come first, in its order.
    """

    model_config = ConfigDict(frozen=True)

    release: str
    dataset: str
    images: int
    miou: float | None
    per_class: dict[str, float | None]
    pixel_accuracy: float | None
    mean_accuracy: float | None
    boundary_f: dict[str, float | None]
    ece: float | None
    known_share: float | None
    segments_per_image: float
    timings_ms: dict[str, float]
    seconds: float
    predicted_classes: list[str]
    confusion: list[list[int]]

    def to_json(self) -> str:
        """One JSON document, indented."""
        return self.model_dump_json(indent=2)


@dataclass
class _Tally:
    """Sums and lists over the images seen so far."""

    confusion: np.ndarray  # [R, R] true, predicted; classes of the release
    boundary: list[np.ndarray] = field(default_factory=list)
    confidence: list[np.ndarray] = field(default_factory=list)
    correct: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    timings: list[dict[str, float]] = field(default_factory=list)
    known_pixels: int = 0
    pixels: int = 0

    def add(self, labels: np.ndarray, prediction: Prediction) -> None:
        """labels: [H, W], classes of the release or IGNORE."""
        class_ids = prediction.vote.class_ids
        counts = label_counts(prediction.segments.labels, labels, len(class_ids), len(self.confusion))
        np.add.at(self.confusion.T, class_ids, counts)
        self.boundary.append(boundary_f(labels, prediction.class_map, TOLERANCES))
        self.confidence.append(prediction.confidence)
        self.correct.append(majority_agrees(counts, class_ids))
        self.weights.append(counts.sum(axis=1))
        self.timings.append(prediction.timings_ms)
        self.known_pixels += int(prediction.segments.areas[prediction.known].sum())
        self.pixels += labels.size


def evaluate(
    release: Release | Predictor, dataset: Dataset, *, device: Device = "cpu", threads: int | None = None
) -> Report:
    """Label every image of a data set and compare with its masks, at the masks' own resolution.

    Args:
        release: a release, or a predictor that holds one.
        dataset: its classes are matched with the release's by name. Ignored pixels count for nothing.
        device: "cpu" or "cuda", where `release` is no predictor.
        threads: of the network on a CPU, where `release` is no predictor.

    Raises:
        ValueError: if the data set is empty or has a class that the release does not know.
    """
    if len(dataset) == 0:
        raise ValueError(f"data set {dataset.name!r} holds no image; give one that does, or another split")
    card = release.card if isinstance(release, Release) else release.release.card
    lookup = class_lookup(dataset.classes, card.classes, f"release {card.name}")
    predictor = release if isinstance(release, Predictor) else Predictor(release, device, threads)
    tally = _Tally(np.zeros((len(card.classes), len(card.classes)), dtype=np.int64))
    started = time.perf_counter()
    for i in counted(len(dataset), "evaluating"):
        sample = dataset[i]
        tally.add(lookup[sample.labels], predictor.predict(sample.image))
    return _report(tally, predictor, dataset, lookup, time.perf_counter() - started)


def _report(tally: _Tally, predictor: Predictor, dataset: Dataset, lookup: np.ndarray, seconds: float) -> Report:
    card = predictor.release.card
    ours = [int(lookup[info.class_id]) for info in dataset.classes]
    columns = ours + [info.class_id for info in card.classes if info.class_id not in ours]
    confusion = tally.confusion[ours][:, columns]
    iou, total = intersection_over_union(confusion), confusion.sum()
    boundary = np.stack(tally.boundary)
    confidence, correct, weights = (np.concatenate(x) for x in (tally.confidence, tally.correct, tally.weights))
    return Report(
        release=card.name,
        dataset=dataset.name,
        images=len(tally.timings),
        miou=_mean(iou),
        per_class={info.name: _number(value) for info, value in zip(dataset.classes, iou, strict=True)},
        pixel_accuracy=_number(confusion.trace() / total) if total else None,
        mean_accuracy=_mean(recall(confusion)),
        boundary_f={str(pixels): _mean(boundary[:, column]) for column, pixels in enumerate(TOLERANCES)},
        ece=_number(calibration_error(confidence, correct, weights)),
        known_share=_number(tally.known_pixels / tally.pixels),
        segments_per_image=sum(len(x) for x in tally.weights) / len(tally.weights),
        timings_ms={name: float(np.median([t[name] for t in tally.timings])) for name in tally.timings[0]},
        seconds=seconds,
        predicted_classes=[card.classes[c].name for c in columns],
        confusion=confusion.tolist(),
    )


def _mean(values: np.ndarray) -> float | None:
    """Mean of what is defined, or None if nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
