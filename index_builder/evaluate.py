"""Evaluation: how well a release labels the images of a data set, by the retrieval that is served."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import ImageOps
from pydantic import BaseModel, ConfigDict

from index_builder.datasets import Dataset, open_image
from index_builder.explanations import ExplanationReport, measure_explanations
from index_builder.progress import counted, spread
from index_builder.scores import (
    Reliability,
    area_under_roc,
    boundary_f,
    calibration_error,
    class_lookup,
    intersection_over_union,
    label_counts,
    majority_agrees,
    recall,
    reliability,
)
from model_store.embedder import Device
from model_store.predictor import Prediction, Predictor
from model_store.release import Release
from segsort.retrieval import familiarity

TOLERANCES = (1, 2, 3, 4, 5)  # pixels
SAMPLES = (
    "astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel",
    "horse", "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip # scikit-image's photographs that travel in its wheel; none is of a street
PHOTOGRAPHS = (".jpg", ".jpeg", ".webp")
MOST = 100  # photographs of a folder


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
        segments_per_image: mean.
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
    segments_per_image: float
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


class Photographs:
    """Photographs of other things than a data set's, read one by one.

    Args:
        source: "samples", scikit-image's photographs; or PATH or NAME=PATH, a folder of which, and of the folders
            below it, at most 100 JPEG and WebP files are taken, evenly spread (masks lie beside photographs as PNG).

    Attributes:
        name: "samples", NAME, or the last two parts of the folder's path.

    Raises:
        ValueError: if there is no such folder or it holds no photograph.
    """

    def __init__(self, source: str) -> None:
        name, sign, path = source.partition("=")
        if not sign or Path(source).is_dir():
            name, path = "", source
        self.files: list[Path] | None = None
        self.folder = Path(path)
        if source != "samples":
            files = sorted(file for file in self.folder.rglob("*") if file.suffix.lower() in PHOTOGRAPHS)
            if not files:
                raise ValueError(
                    f"foreign photographs {source!r}: {self.folder} holds no file ending in {', '.join(PHOTOGRAPHS)}; "
                    "give a folder that does, NAME=PATH, or 'samples'"
                )
            self.files = [files[i] for i in spread(len(files), MOST)]
            source = name or "/".join(self.folder.absolute().parts[-2:])
        self.name = source

    def __len__(self) -> int:
        return len(SAMPLES if self.files is None else self.files)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and [H, W, 3] uint8 RGB, upright, of each."""
        if self.files is None:
            yield from ((name, _sample(name)) for name in SAMPLES)
            return
        for file in self.files:
            with open_image(file) as opened:
                yield str(file.relative_to(self.folder)), np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


class Familiar(NamedTuple):
    """How familiar segments are: familiarity [S] float64, known [S] bool, areas [S] int64, pixels."""

    familiarity: np.ndarray
    known: np.ndarray
    areas: np.ndarray

    @property
    def known_share(self) -> float:
        """Share of the pixels that lie in known segments, 0..1."""
        return float(self.areas[self.known].sum() / self.areas.sum())


def familiar(prediction: Prediction) -> Familiar:
    """How familiar the segments of an image are."""
    areas = prediction.segments.areas
    return Familiar(familiarity(prediction.similarities[:, 0], areas)[0], prediction.known, areas)


def familiar_in(predictor: Predictor, photographs: Photographs) -> dict[str, Familiar]:
    """How familiar the segments of each photograph are, by the photograph's name."""
    images = iter(photographs)
    return {
        name: familiar(predictor.predict(image))
        for _, (name, image) in zip(
            counted(len(photographs), f"photographs of {photographs.name}"), images, strict=True
        )
    }


def joined(parts: Sequence[Familiar]) -> Familiar:
    """The segments of several images, one after the other; at least one image."""
    return Familiar(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def told_apart(ours: Familiar, others: Familiar) -> float:
    """Area under the ROC, 0..1, of familiarity as a sign that a pixel is one of ours; both have pixels."""
    return area_under_roc(ours.familiarity, others.familiarity, ours.areas, others.areas)


def _sample(name: str) -> np.ndarray:
    import skimage.data

    image = getattr(skimage.data, name)()
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    return np.ascontiguousarray(image[:, :, :3] if image.ndim == 3 else np.repeat(image[:, :, None], 3, 2))


@dataclass
class _Tally:
    """Sums and lists over the images seen so far."""

    confusion: np.ndarray  # [R, R] true, predicted; classes of the release
    boundary: list[np.ndarray] = field(default_factory=list)
    confidence: list[np.ndarray] = field(default_factory=list)
    correct: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    timings: list[dict[str, float]] = field(default_factory=list)
    familiar: list[Familiar] = field(default_factory=list)

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
        self.familiar.append(familiar(prediction))


def evaluate(
    release: Release | Predictor,
    dataset: Dataset,
    *,
    device: Device = "cpu",
    threads: int | None = None,
    foreign: Sequence[Photographs] = (),
    explanation_images: int | None = None,
) -> Report:
    """Label every image of a data set and compare with its masks, at the masks' own resolution.

    Args:
        release: a release, or a predictor that holds one.
        dataset: its classes are matched with the release's by name. Ignored pixels count for nothing.
        device: "cpu" or "cuda", where `release` is no predictor.
        threads: of the network on a CPU, where `release` is no predictor.
        foreign: photographs of other things, which should not be known. Their names must differ.
        explanation_images: on how many of the images explanations are measured; None: not at all.

    Raises:
        ValueError: if the data set is empty or has a class that the release does not know, two sets of photographs have
            one name, or explanation_images is below 1.
    """
    if len(dataset) == 0:
        raise ValueError(f"data set {dataset.name!r} holds no image; give one that does, or another split")
    _check(foreign, explanation_images)
    card = release.card if isinstance(release, Release) else release.release.card
    lookup = class_lookup(dataset.classes, card.classes, f"release {card.name}")
    predictor = release if isinstance(release, Predictor) else Predictor(release, device, threads)
    tally = _Tally(np.zeros((len(card.classes), len(card.classes)), dtype=np.int64))
    started = time.perf_counter()
    for i in counted(len(dataset), "evaluating"):
        sample = dataset[i]
        tally.add(lookup[sample.labels], predictor.predict(sample.image))
    scores = {one.name: _foreign(predictor, one, joined(tally.familiar)) for one in foreign}
    explained = measure_explanations(predictor, dataset, images=explanation_images) if explanation_images else None
    report = _report(tally, predictor, dataset, lookup)
    seconds = time.perf_counter() - started
    return report.model_copy(update={"foreign": scores, "explanations": explained, "seconds": seconds})


def _check(foreign: Sequence[Photographs], explanation_images: int | None) -> None:
    """Raise ValueError for what would only be noticed after minutes."""
    names = [one.name for one in foreign]
    if len(set(names)) < len(names):
        raise ValueError(f"foreign photographs are named {', '.join(names)}; give them different names, NAME=PATH")
    if explanation_images is not None and explanation_images < 1:
        raise ValueError(f"explanation_images={explanation_images} must be at least 1; ask for one image or more")


def _foreign(predictor: Predictor, photographs: Photographs, ours: Familiar) -> ForeignScore:
    others = joined(list(familiar_in(predictor, photographs).values()))
    return ForeignScore(images=len(photographs), auroc=told_apart(ours, others), known_share=others.known_share)


def _report(tally: _Tally, predictor: Predictor, dataset: Dataset, lookup: np.ndarray) -> Report:
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
        known_share=joined(tally.familiar).known_share,
        segments_per_image=sum(len(x) for x in tally.weights) / len(tally.weights),
        timings_ms={name: float(np.median([t[name] for t in tally.timings])) for name in tally.timings[0]},
        predicted_classes=[card.classes[c].name for c in columns],
        confusion=confusion.tolist(),
        reliability=_bins(reliability(confidence, correct, weights)),
    )


def _bins(found: Reliability) -> list[ReliabilityBin]:
    return [
        ReliabilityBin(confidence=_number(confidence), correct=_number(correct), weight=_number(weight))
        for confidence, correct, weight in zip(*found, strict=True)
    ]


def _mean(values: np.ndarray) -> float | None:
    """Mean of what is defined, or None if nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
