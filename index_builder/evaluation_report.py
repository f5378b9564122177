"""What an evaluation found, as numbers, JSON, text and Markdown."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from index_builder.datasets import Dataset
from index_builder.explanation_scores import ExplanationReport
from index_builder.scores import Reliability, calibration_error, intersection_over_union, recall, reliability

TOLERANCES = (1, 2, 3, 4, 5)  # pixels


class ForeignScore(BaseModel):
    """How far photographs of other things are told from the data set that was evaluated.

    Attributes:
        images: how many photographs.
        auroc: chance that a pixel of the data set lies in a more familiar segment than a pixel of these photographs,
            0..1, 0.5 if familiarity tells nothing.
        known_share: share of these photographs' pixels that lie in known segments, 0..1; the lower the better.
    """

    model_config = ConfigDict(frozen=True)

    images: int
    auroc: float
    known_share: float


class ReliabilityBin(BaseModel):
    """Segments of like confidence. Numbers are 0..1, means by labelled pixels; null: no such segment.

    Attributes:
        confidence: their mean confidence.
        correct: how often their label is the most frequent true one.
        weight: their share of all labelled pixels.
    """

    model_config = ConfigDict(frozen=True)

    confidence: float | None
    correct: float | None
    weight: float | None


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
        segments_per_image: mean; null where there are none.
        timings_ms: medians of "embed", "sort" and "retrieve", milliseconds.
        seconds: the whole evaluation took, foreign photographs and explanations included.
        confusion: labelled pixels, a row for each true class (`per_class`' order), a column for each of
            `predicted_classes`.
        predicted_classes: of the release; the data set's come first, in its order.
        protocol: how segments got their labels: "knn" by the vote of the nearest exemplars, as served; "cluster" by
            clusters matched with classes; "softmax" by a classifier.
        reliability: 15 equal bins of confidence, the lowest first: a reliability diagram.
        foreign: by name of the photographs of other things that were asked for.
        explanations: what explanations are worth; null if it was not asked for.
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
    segments_per_image: float | None
    timings_ms: dict[str, float]
    seconds: float = 0.0
    predicted_classes: list[str]
    confusion: list[list[int]]
    protocol: Literal["knn", "cluster", "softmax"] = "knn"
    reliability: list[ReliabilityBin] = []
    foreign: dict[str, ForeignScore] = {}
    explanations: ExplanationReport | None = None

    def to_json(self) -> str:
        """One JSON document, indented."""
        return self.model_dump_json(indent=2)

    def rows(self) -> Iterator[tuple[str, float | int | None]]:
        """The numbers that fit on a line, under names that can be read."""
        yield "images", self.images
        for name, value in self.per_class.items():
            yield f"IoU of {name}", value
        yield "mIoU", self.miou
        yield "pixel accuracy", self.pixel_accuracy
        yield "mean accuracy", self.mean_accuracy
        for pixels, value in self.boundary_f.items():
            yield f"boundary F, {pixels} px", value
        yield "calibration error", self.ece
        yield "known share", self.known_share
        yield "segments per image", self.segments_per_image
        for name, score in self.foreign.items():
            yield f"photographs of {name}", score.images
            yield f"known share of {name}", score.known_share
            yield f"known against {name}, AUROC", score.auroc
        if self.explanations:
            yield from self.explanations.rows()

    def to_text(self) -> str:
        """One line a number."""
        rows = list(self.rows())
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:>{width}}  {_cell(value)}" for name, value in rows)

    def to_markdown(self) -> str:
        """The same as a Markdown table, and the reliability diagram as another."""
        title = f"{self.release} on {self.dataset}, {self.protocol}"
        bins = [
            (_cell(one.confidence), _cell(one.correct), _cell(one.weight)) for one in self.reliability if one.weight
        ]
        tables = [_table((title, "value"), [(name, _cell(value)) for name, value in self.rows()])]
        return "\n\n".join([*tables, _table(("confidence", "correct", "share of labelled pixels"), bins)])


class Outcomes(NamedTuple):
    """What comparing predictions with masks gave.

    confusion: [C, C'] labelled pixels, true class of the data set, predicted class (the first C are the same);
    names: C' predicted classes; boundary: [I, T] boundary F of each image at each of `TOLERANCES`; confidence, correct,
    weights: [S] of segments (or of pixels), 0..1, whether right, labelled pixels.
    """

    confusion: np.ndarray
    names: list[str]
    boundary: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    weights: np.ndarray


def scores_of(outcomes: Outcomes, dataset: Dataset) -> dict[str, object]:
    """The fields of a `Report` that follow from comparing predictions with masks."""
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
    """Mean of what is defined, or None if nothing is."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else None


def defined(value: float) -> float | None:
    """The value, or None where it is NaN."""
    return None if math.isnan(value) else float(value)


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
