"""Builds a release whose head is fitted to its own labelled images."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from index_builder.build import MIN_SHARE, BuildOptions, FittedParts, Notes, build_release
from index_builder.calibration import HeldOut, HeldOutVotes, calibration_of, outcomes_of
from index_builder.datasets import IGNORE, Dataset
from index_builder.embedder_source import EmbedderSource
from index_builder.heads import (
    FitSettings,
    FittedHead,
    HeadFitting,
    HeadOnCells,
    OpenedFeatures,
    Progress,
    Report,
    append_head,
    save_head,
)
from index_builder.new_release import SORTING, network_info
from index_builder.scores import label_counts
from index_builder.subsets import evenly_spread
from model_store.card import Calibration, RetrievalInfo, SortingInfo
from model_store.index import ExemplarIndex
from model_store.release import FEATURES, HEAD, Release
from segsort.segments import segment_image, split_by_label

CALIBRATION_IMAGES = 24  # that are embedded by the head of each fold


class FitResult(NamedTuple):
    """A release and how its head was fitted."""

    release: Release
    fitted: FittedHead


def fit_release(
    dataset: Dataset,
    features: OpenedFeatures,
    out: Path,
    *,
    name: str | None = None,
    settings: FitSettings | None = None,
    options: BuildOptions | None = None,
    notes: Notes | None = None,
    report: Report | None = None,
) -> FitResult:
    """Fit a head to the labelled images of a data set, and build a release of them.

    Confidence and the threshold of known segments are calibrated by cross-validation over images: the segments of each
    fold are labelled with a head and with exemplars of the other folds.

    Args:
        dataset: labelled images; masks may be mostly unlabelled.
        features: the feature extractor.
        out: folder of the release; it must not exist.
        name: name of the release; None: the name of the folder.
        settings: of the fit.
        options: of the build; `sorting` and `retrieval` apply to the fitted network.
        notes: texts and facts for the card.
        report: called as the fit goes on.

    Raises:
        ValueError: if `out` exists, or no pixel is labelled.
    """
    if out.exists():
        raise ValueError(f"{out} exists, and a release is never overwritten; give another folder with --out")
    options, settings, report = options or BuildOptions(), settings or FitSettings(), report or (lambda progress: None)
    with TemporaryDirectory(prefix="segsort-features-") as folder:
        fitting = HeadFitting(dataset, features.source, features.statistics, Path(folder), settings, report)
        fitted = fitting.fit()
        sorting, retrieval = options.sorting or SORTING, options.retrieval or RetrievalInfo()
        trial = CrossValidation(dataset, fitting, fitted, sorting, retrieval, options.min_share)
        calibration = trial.calibration(report)
        network, values = Path(folder) / "network.onnx", Path(folder) / HEAD
        append_head(features.source.file, fitted.head, network)
        save_head(values, fitted.head, fitting.statistics, fitting.fitted_on(fitted))
        source = EmbedderSource(
            network_file=network,
            network=network_info(features.source, fitted.head, network),
            preprocessing=features.source.preprocessing,
            sorting=sorting,
            retrieval=retrieval,
            licence=dict(features.source.licence),
        )
        cells = HeadOnCells(fitted.head, settings.threads)
        parts = FittedParts(
            embed=lambda i: exemplar_embeddings(fitting, fitted, cells, i),
            calibration=calibration,
            features=features.source.info,
            head=fitted.info,
            attachments={FEATURES: features.source.file, HEAD: values},
        )
        built = replace(options, sorting=sorting, retrieval=retrieval)
        release = build_release(
            dataset, source, out, name=name, options=built, notes=notes, threads=settings.threads, fitted=parts
        )
    return FitResult(release, fitted)


def exemplar_embeddings(fitting: HeadFitting, fitted: FittedHead, cells: HeadOnCells, i: int) -> Tensor:
    """Embeddings of an image that becomes exemplars: [D, h, w] unit vectors.

    A forest knows the pixels that it was grown on too well. Those have the posteriors of the trees that did not see
    them, so that exemplars lie where pixels of other images will.
    """
    found = cells.embed(fitting.maps(i))
    if fitted.head.trees is not None or fitted.head.logits:
        mine = np.flatnonzero(fitted.samples.images == i)
        flat = found.flatten(1)
        flat[:, torch.from_numpy(fitted.samples.places[mine])] = fitted.embeddings[torch.from_numpy(mine)].T
        found = flat.reshape(found.shape)
    return found


class CrossValidation:
    """Labels the segments of each fold of images with a head and exemplars of the other folds.

    Args:
        dataset: labelled images.
        fitting: features of the images.
        fitted: the head, and the folds that it was chosen by.
        sorting: settings of pixel sorting.
        retrieval: settings of the vote.
        min_share: see `BuildOptions`.
    """

    def __init__(
        self,
        dataset: Dataset,
        fitting: HeadFitting,
        fitted: FittedHead,
        sorting: SortingInfo,
        retrieval: RetrievalInfo,
        min_share: float = MIN_SHARE,
    ) -> None:
        self.dataset, self.fitting, self.fitted = dataset, fitting, fitted
        self.sorting, self.retrieval, self.min_share = sorting, retrieval, min_share

    def calibration(self, report: Report) -> Calibration:
        """Calibrate over all folds; not calibrated where images could not be compared."""
        folds = self.fitted.folds
        if folds is None:
            how = "not calibrated: it takes two labelled images or more that share a class"
            return calibration_of([], how)
        used = np.flatnonzero(folds >= 0)
        used = used[evenly_spread(len(used), CALIBRATION_IMAGES)]
        names = np.unique(folds[used]).tolist()
        outcomes: list[HeldOutVotes] = []
        for n, fold in enumerate(names):
            report(Progress("calibration", n, len(names)))
            outcomes += self._fold(used, folds == fold)
        report(Progress("calibration", len(names), len(names)))
        how = f"{len(used)} images in {len(names)} folds, each labelled by a head and exemplars of the other folds"
        return calibration_of(outcomes, how)

    def _fold(self, used: np.ndarray, held: np.ndarray) -> list[HeldOutVotes]:
        """HeldOutVotes of the images of one fold. held: [I] bool."""
        head = self.fitting.refit(self.fitted, np.flatnonzero(~held))
        cells = HeadOnCells(head, self.fitting.settings.threads)
        prototypes, class_ids, image_ids, asked = [], [], [], []
        for i in used.tolist():
            labels = self.dataset[i].labels
            embeddings = cells.embed(self.fitting.maps(i))
            found = segment_image(embeddings, labels.shape, self.sorting.options(), self.sorting.min_area)
            if held[i]:
                counts = label_counts(found.labels, labels, len(found.areas), len(self.dataset.classes))
                asked.append(HeldOut(found.prototypes, found.areas, counts, -1))
            else:
                pieces = split_by_label(found, embeddings, labels, IGNORE, self.sorting.min_area, self.min_share)
                prototypes.append(pieces.prototypes)
                class_ids.append(pieces.class_ids)
                image_ids.append(np.full(len(pieces.class_ids), i))
        if not prototypes or not sum(len(one) for one in prototypes):
            return []
        index = ExemplarIndex.build(np.concatenate(prototypes), "Flat")
        known, images = np.concatenate(class_ids), np.concatenate(image_ids)
        return [outcomes_of(one, index, known, images, self.retrieval) for one in asked]
