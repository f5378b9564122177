"""Adaptation: the head of a release is fitted again, to the images of its exemplars."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from index_builder.datasets import IGNORE, Photograph, Sample
from index_builder.fit_release import CrossValidation, exemplar_embeddings
from index_builder.heads import (
    FeatureSource,
    Fit,
    FitSettings,
    FittedHead,
    HeadFitting,
    HeadOnCells,
    Progress,
    Report,
    append_head,
    load_head,
    save_head,
)
from index_builder.new_release import network_info
from model_store.card import Card
from model_store.exemplar_table import Exemplars, exemplar_ids
from model_store.images import read_image
from model_store.release import FEATURES, HEAD, Release, write_release
from segsort.masks import decode_rle
from segsort.segments import prototypes_of_labels

__all__ = ["Adapted", "LabelledByExemplars", "Progress", "adapt_release"]


class Adapted(NamedTuple):
    """The result of an adaptation.

    release: the new release; before, after: cross-validated mIoU, 0..1, of the head of the old release (see
    `HeadFitting.score_before`) and of the new head, None where images (or strokes) cannot be compared; images: number
    of images with marks; better: whether the new head is better; head: what it is; seconds: how long it took.
    """

    release: Release
    before: float | None
    after: float | None
    images: int
    better: bool
    head: str
    seconds: float


class LabelledByExemplars:
    """The images of a release as a data set, labelled where their exemplars are. Later exemplars cover earlier ones.

    An image that was marked again after an adaptation is in the release twice, with different exemplars. Here it is one
    image, so that cross-validation never holds out one copy and fits to the other.
    """

    split = None

    def __init__(self, release: Release) -> None:
        self.name = f"exemplars of {release.card.name}"
        self.classes = tuple(release.card.classes)
        self._release = release
        self._image_ids, number = _distinct(release)
        self._rows: list[list[int]] = [[] for _ in self._image_ids]
        for row, image_id in enumerate(release.exemplars.image_ids.tolist()):
            self._rows[number[image_id]].append(row)

    def __len__(self) -> int:
        return len(self._rows)

    def photograph(self, i: int) -> Photograph:
        image_id = self._image_ids[i]
        return Photograph(read_image(self._release.image_path(image_id)).pixels, self._release.sources[image_id].source)

    def __getitem__(self, i: int) -> Sample:
        image, source = self.photograph(i)
        labels = np.full(image.shape[:2], IGNORE, dtype=np.uint8)
        for row, mask in self.masks(i):
            labels[mask] = self._release.exemplars.class_ids[row]
        return Sample(image, labels, source)

    def masks(self, i: int) -> Iterator[tuple[int, np.ndarray]]:
        """Row and mask [H, W] bool of each exemplar of an image."""
        source = self._release.sources[self._image_ids[i]]
        for row in self._rows[i]:
            yield row, decode_rle(self._release.exemplars.masks[row], (source.height, source.width))


def _distinct(release: Release) -> tuple[list[int], list[int]]:
    """The first of equal images of a release, by image_id, and the position there of each image of the release."""
    positions: dict[bytes, int] = {}
    first: list[int] = []
    number = []
    for image_id in range(len(release.sources)):
        digest = hashlib.sha256(release.image_path(image_id).read_bytes()).digest()
        if digest not in positions:
            positions[digest] = len(first)
            first.append(image_id)
        number.append(positions[digest])
    return first, number


def adapt_release(
    release: Release,
    out: Path,
    *,
    name: str | None = None,
    fit: Fit = "auto",
    budget_s: float = 20.0,
    seed: int = 0,
    progress: Report | None = None,
    threads: int | None = None,
) -> Adapted:
    """Fit the head of a release again, to its exemplars, and write a release that begins with all of them.

    Every exemplar keeps its image, mask, class and strength; its prototype is that of the new embedding. Confidence is
    calibrated anew by cross-validation.

    Args:
        release: with `features.onnx`, for example `general` after a few edits (a snapshot), or one built with --fit.
        out: folder of the new release; it must not exist.
        name: name of the new release; None: the name of the folder.
        fit: kind of the head, or "auto".
        budget_s: seconds for the choice of a head.
        seed: of every random choice.
        progress: called as it goes on.
        threads: cores to use; None: all.

    Raises:
        ValueError: if the release has no features or no exemplars, its exemplars have one class, or `out` exists.
    """
    started, report = time.perf_counter(), progress or (lambda done: None)
    source = _source(release, out)
    dataset = LabelledByExemplars(release)
    stored = load_head(release.attachments[HEAD])
    settings = FitSettings(fit=fit, budget=budget_s, seed=seed, threads=threads)
    with TemporaryDirectory(prefix="segsort-features-") as folder:
        fitting = HeadFitting(dataset, source, stored.statistics, Path(folder), settings, report)
        fitted, card = fitting.fit(), release.card
        before = fitting.score_before(fitted, stored, "" if card.head is None else card.head.chosen)
        after = fitted.info.cross_validated.get(fitted.info.chosen)
        compared = len(np.unique(fitted.samples.images))
        calibration = CrossValidation(dataset, fitting, fitted, card.sorting, card.retrieval).calibration(report)
        exemplars = _again(release, dataset, fitting, fitted, report)
        network, values = Path(folder) / "network.onnx", Path(folder) / HEAD
        append_head(source.file, fitted.head, network)
        save_head(values, fitted.head, stored.statistics, fitting.fitted_on(fitted))
        changes = {
            "name": name or out.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "network": network_info(source, fitted.head, network).model_dump(),
            "calibration": calibration.model_dump(),
            "head": fitted.info.model_dump(),
            "metrics": {},
            "data": {
                **card.data,
                "adapted": {"from": card.name, "before": before, "after": after, "images": compared},
            },
        }
        new = Card.model_validate({**card.model_dump(), **changes})
        images = ((one.file, (release.path / one.file).read_bytes()) for one in release.sources)
        attachments = {FEATURES: source.file, HEAD: values}
        written = write_release(out, new, network, exemplars, release.sources, images, attachments)
    better = before is not None and after is not None and after > before
    return Adapted(written, before, after, compared, better, fitted.info.chosen, time.perf_counter() - started)


def _source(release: Release, out: Path) -> FeatureSource:
    card = release.card
    if FEATURES not in release.attachments or HEAD not in release.attachments or card.features is None:
        raise ValueError(
            f"release {card.name!r} has no {FEATURES}, so its head cannot be fitted again; start from 'general', or "
            "build it with --fit"
        )
    if len(np.unique(release.exemplars.class_ids)) < 2:
        raise ValueError(
            f"the {len(release.exemplars)} exemplars of release {card.name!r} have fewer than two classes; mark some "
            "pixels of another class"
        )
    if out.exists():
        raise ValueError(f"{out} exists, and a release is never overwritten; give another folder")
    licence = {key: str(value) for key, value in card.network_licence().items()}
    return FeatureSource(release.attachments[FEATURES], card.features, card.preprocessing, licence)


def _again(
    release: Release, dataset: LabelledByExemplars, fitting: HeadFitting, fitted: FittedHead, report: Report
) -> Exemplars:
    """The exemplars with prototypes of the new embedding."""
    old, cells = release.exemplars, HeadOnCells(fitted.head, fitting.settings.threads)
    found = np.zeros((len(old), fitted.head.dimension), dtype=np.float32)
    for i in range(len(dataset)):
        embeddings = exemplar_embeddings(fitting, fitted, cells, i)
        for rows, labels in _layers(dataset, i):
            found[rows] = prototypes_of_labels(embeddings, labels, len(rows))
        report(Progress("exemplars", i + 1, len(dataset)))
    names = [release.card.classes[c].name for c in old.class_ids.tolist()]
    sources = [release.sources[i].source for i in old.image_ids.tolist()]
    ids = exemplar_ids(found, names, sources, old.masks)
    return Exemplars(ids, found, old.class_ids, old.image_ids, old.bboxes, old.areas, old.masks, old.strengths)


def _layers(dataset: LabelledByExemplars, i: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The exemplars of an image in layers without overlap: their rows, and a map of their numbers, -1 elsewhere."""
    waiting = list(dataset.masks(i))
    while waiting:
        labels = np.full(waiting[0][1].shape, -1, dtype=np.int32)
        rows: list[int] = []
        later: list[tuple[int, np.ndarray]] = []
        for row, mask in waiting:
            if (labels[mask] >= 0).any():
                later.append((row, mask))
            else:
                labels[mask] = len(rows)
                rows.append(row)
        yield np.array(rows), labels
        waiting = later
