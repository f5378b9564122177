"""The result of an evaluation as numbers, JSON, text and Markdown."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from index_builder.datasets import Dataset
from index_builder.evaluation.explanation_scores import ExplanationReport
from index_builder.scores import Reliability, calibration_error, intersection_over_union, recall, reliability

TOLERANCES = (1, 2, 3, 4, 5)  # pixels


class ForeignScore(BaseModel):
    """How well familiarity separates photographs of other subjects from the evaluated data set.

    Attributes:
        images: number of photographs.
        auroc: probability that the segment of a pixel of the data set is more familiar than that of a pixel of these
            photographs, 0..1; 0.5 if familiarity gives no information.
        known_share: share of the pixels of these photographs that are in known segments, 0..1; lower is better.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    auroc: float
    known_share: float


class ReliabilityBin(BaseModel):
    """Segments in one bin of confidence. Values are 0..1, weighted by labelled pixels; null if the bin is empty.

    Attributes:
        confidence: mean confidence.
        correct: share of segments whose label is their majority class.
        weight: share of all labelled pixels.
    """

    model_config = ConfigDict(frozen=True)

    confidence: float | None
    correct: float | None
    weight: float | None


class Report(BaseModel):
    """Result of `evaluate`. Shares and scores are 0..1; null if not defined on these images.

    Attributes:
        release, dataset: names.
        images: number of images.
        miou: mean of `per_class` over the classes that occur or are predicted.
        per_class: IoU of each class of the data set, over all images together.
        pixel_accuracy: share of labelled pixels with the correct class.
        mean_accuracy: mean recall of the classes that occur.
        boundary_f: boundary F by tolerance in pixels: mean over images of the mean over their classes.
        ece: expected calibration error of the confidence of segments, weighted by labelled pixels, 15 bins; null if
            the release is not calibrated. A segment is right if its label is its majority class.
        pixel_ece: expected calibration error of pixels, 15 bins. "raw": of the winning share of the vote, or of the
            softmax; "calibrated": of the calibrated confidence. Only these compare retrieval with a classifier.
        known_share: share of all pixels, labelled or not, that are in known segments.
        segments_per_image: mean number of segments; null for a classifier.
        timings_ms: median times of "embed", "sort" and "retrieve", milliseconds.
        seconds: time of the whole evaluation, with foreign photographs and explanations.
        confusion: labelled pixels; rows are true classes in the order of `per_class`, columns `predicted_classes`.
        predicted_classes: classes of the release; those of the data set come first, in its order.
        protocol: origin of the labels: "knn", the vote of the nearest exemplars, as served; "cluster", clusters matched
            with classes; "softmax", a classifier.
        reliability: reliability diagram: 15 equal bins of confidence in increasing order.
        foreign: scores of photographs of other subjects, by name.
        explanations: measurements of explanations; null if not requested.
        environment: commit, machine, threads and versions, see `index_builder.environment`; {} in earlier documents.
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
    pixel_ece: dict[str, float | None] = {}
    known_share: float | None
    segments_per_image: float | None
    timings_ms: dict[str, float]
    seconds: float = 0.0
    predicted_classes: list[str]
    confusion: list[list[int]]
    protocol: Literal["knn", "cluster", "softmax"] = "knn"
    reliability: list[ReliabilityBin] = []
    foreign: dict[str, ForeignScore] = {}
    explanations: ExplanationReport | None = None
    environment: dict[str, Any] = {}

    def to_json(self) -> str:
        """The report as an indented JSON document."""
        return self.model_dump_json(indent=2)

    def rows(self) -> Iterator[tuple[str, float | int | None]]:
        """Name and value of every scalar, in the order in which they are printed."""
        yield "images", self.images
        for name, value in self.per_class.items():
            yield f"IoU of {name}", value
        yield "mIoU", self.miou
        yield "pixel accuracy", self.pixel_accuracy
        yield "mean accuracy", self.mean_accuracy
        for pixels, value in self.boundary_f.items():
            yield f"boundary F, {pixels} px", value
        yield "calibration error of segments", self.ece
        for name, value in self.pixel_ece.items():
            yield f"calibration error of pixels, {name}", value
        yield "known share", self.known_share
        yield "segments per image", self.segments_per_image
        for name, score in self.foreign.items():
            yield f"photographs of {name}", score.images
            yield f"known share of {name}", score.known_share
            yield f"known against {name}, AUROC", score.auroc
        if self.explanations:
            yield from self.explanations.rows()

    def to_text(self) -> str:
        """The report as text, one line for each value."""
        rows = list(self.rows())
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:>{width}}  {_cell(value)}" for name, value in rows)

    def to_markdown(self) -> str:
        """The report as two Markdown tables: values, and the reliability diagram."""
        title = f"{self.release} on {self.dataset}, {self.protocol}"
        bins = [
            (_cell(one.confidence), _cell(one.correct), _cell(one.weight)) for one in self.reliability if one.weight
        ]
        tables = [_table((title, "value"), [(name, _cell(value)) for name, value in self.rows()])]
        return "\n\n".join([*tables, _table(("confidence", "correct", "share of labelled pixels"), bins)])


class Outcomes(NamedTuple):
    """Result of the comparison of predictions with masks.

    confusion: [C, C'] labelled pixels by true and predicted class; the first C predicted classes are the true ones;
    names: names of the C' predicted classes; boundary: [I, T] boundary F of each image at each of `TOLERANCES`;
    confidence: [S] confidence of segments or pixels, 0..1, NaN if not calibrated; correct: [S] whether the label is
    correct, or the share of correct ones; weights: [S] labelled pixels; raw: [S] confidence before calibration; right:
    [S] share of a segment's pixels that have its label.
    """

    confusion: np.ndarray
    names: list[str]
    boundary: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    weights: np.ndarray
    raw: np.ndarray
    right: np.ndarray


def scores_of(outcomes: Outcomes, dataset: Dataset) -> dict[str, object]:
    """Fields of a `Report` that are computed from the comparison of predictions with masks."""
    confusion, judged = outcomes.confusion, (outcomes.confidence, outcomes.correct, outcomes.weights)
    iou, total = intersection_over_union(confusion), confusion.sum()
    return {
        "dataset": dataset.name,
        "images": len(outcomes.boundary),
        "miou": mean_of_defined(iou),
        "per_class": {info.name: defined(value) for info, value in zip(dataset.classes, iou, strict=True)},
        "pixel_accuracy": defined(confusion.trace() / total) if total else None,
        "mean_accuracy": mean_of_defined(recall(confusion)),
        "boundary_f": {str(t): mean_of_defined(outcomes.boundary[:, column]) for column, t in enumerate(TOLERANCES)},
        "ece": defined(calibration_error(*judged)),
        "pixel_ece": {
            "raw": defined(calibration_error(outcomes.raw, outcomes.right, outcomes.weights)),
            "calibrated": defined(calibration_error(outcomes.confidence, outcomes.right, outcomes.weights)),
        },
        "predicted_classes": outcomes.names,
        "confusion": confusion.tolist(),
        "reliability": _bins(reliability(*judged)),
    }


def _bins(found: Reliability) -> list[ReliabilityBin]:
    return [
        ReliabilityBin(confidence=defined(confidence), correct=defined(correct), weight=defined(weight))
        for confidence, correct, weight in zip(*found, strict=True)
    ]


def mean_of_defined(values: np.ndarray) -> float | None:
    """Mean of the values that are not NaN, or None if there are none."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else None


def defined(value: float) -> float | None:
    """The value, or None if it is NaN."""
    return None if math.isnan(value) else float(value)


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns, except the first, are right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
