"""Builds a release whose head is fitted to its own labelled images."""

import hashlib
from dataclasses import replace
from functools import partial
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
    FeatureExtractor,
    FeatureSource,
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
from index_builder.kept_results import Working, file_digest, make_folder
from index_builder.new_release import SORTING, network_info
from index_builder.scores import label_counts
from index_builder.subsets import evenly_spread
from model_store.card import Calibration, RetrievalInfo, SortingInfo
from model_store.index import ExemplarIndex
from model_store.predictor import splitting_of
from model_store.release import FEATURES, HEAD, Release
from model_store.spreading import CarriedFile
from segsort.head import Head
from segsort.labelled_segments import split_by_label
from segsort.segments import Segments, segment_image
from segsort.splitting import Splitting

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
    working: Working | None = None,
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
        working: how the steps are done that look at one image at a time; None: in this process. It changes no result.

    Raises:
        ValueError: if `out` exists, or no pixel is labelled.
    """
    if out.exists():
        raise ValueError(f"{out} exists, and a release is never overwritten; give another folder with --out")
    options, settings, report = options or BuildOptions(), settings or FitSettings(), report or (lambda progress: None)
    working = working or Working()
    with TemporaryDirectory(prefix="segsort-features-") as folder:
        maps = _maps_folder(working, features.source) or Path(folder)
        fitting = HeadFitting(dataset, features.source, features.statistics, maps, settings, report, working.spread)
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
        shared, trees = maps if working.spread.shares_disk else None, TreeEmbeddings.of(fitted)
        parts = FittedParts(
            embedding=partial(
                _FittedEmbedding, CarriedFile(features.source.file), features.source, shared, fitted.head, trees
            ),
            facts="" if trees is None else trees.digest(),
            calibration=calibration,
            features=features.source.info,
            head=fitted.info,
            attachments={FEATURES: features.source.file, HEAD: values},
        )
        built = replace(options, sorting=sorting, retrieval=retrieval)
        release = build_release(
            dataset,
            source,
            out,
            name=name,
            options=built,
            notes=notes,
            threads=settings.threads,
            fitted=parts,
            working=working,
        )
    return FitResult(release, fitted)


class TreeEmbeddings(NamedTuple):
    """Embeddings of the pixels that a forest was grown on, by the trees that did not see them.

    A forest knows these pixels too well. With these embeddings, exemplars lie where pixels of other images will.

    images, places: [N] int64, image of each pixel, and its cell y * w + x; embeddings: [N, D] unit vectors.
    """

    images: np.ndarray
    places: np.ndarray
    embeddings: np.ndarray

    @classmethod
    def of(cls, fitted: FittedHead) -> "TreeEmbeddings | None":
        """Those of a fitted head; None if it is no forest."""
        if fitted.head.trees is None and not fitted.head.logits:
            return None
        return cls(fitted.samples.images, fitted.samples.places, fitted.embeddings.numpy())

    def put(self, found: Tensor, i: int) -> Tensor:
        """Put them into the embeddings [D, h, w] of image i."""
        mine = np.flatnonzero(self.images == i)
        flat = found.flatten(1)
        flat[:, torch.from_numpy(self.places[mine])] = torch.from_numpy(self.embeddings[mine]).T
        return flat.reshape(found.shape)

    def digest(self) -> str:
        """SHA-256 of all values."""
        return hashlib.sha256(b"".join(np.ascontiguousarray(one).tobytes() for one in self)).hexdigest()


def exemplar_embeddings(fitting: HeadFitting, fitted: FittedHead, cells: HeadOnCells, i: int) -> Tensor:
    """Embeddings of an image that becomes exemplars: [D, h, w] unit vectors, see `TreeEmbeddings`."""
    found, trees = cells.embed(fitting.maps(i)), TreeEmbeddings.of(fitted)
    return found if trees is None else trees.put(found, i)


class _FittedEmbedding:
    """Embeds the images of the data set that a head was fitted to, in any process.

    Args:
        file: of the extractor; source: describes it.
        folder: where the maps of these images are; None: they are computed again.
        head: the fitted head; trees: see `TreeEmbeddings`.
        threads: of ONNX Runtime; None: all cores.
    """

    def __init__(
        self,
        file: CarriedFile,
        source: FeatureSource,
        folder: Path | None,
        head: Head,
        trees: TreeEmbeddings | None,
        threads: int | None,
    ) -> None:
        self._extractor = FeatureExtractor(replace(source, file=file.path), folder, threads)
        self._cells, self._trees = HeadOnCells(head, threads), trees

    def __call__(self, position: int, image: np.ndarray) -> Tensor:
        found = self._cells.embed(self._extractor.maps(image))
        return found if self._trees is None else self._trees.put(found, position)


def _maps_folder(working: Working, source: FeatureSource) -> Path | None:
    """Where feature maps outlive this process; None: nowhere."""
    if working.folder is None:
        return None
    told = f"{file_digest(source.file)} {source.preprocessing.model_dump_json()}"
    folder = working.folder / f"features-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    make_folder(folder)
    return folder


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
        prototypes, class_ids, image_ids = [], [], []
        for i in used[~held[used]].tolist():
            labels, embeddings, found = self._segments(cells, i, None)
            pieces = split_by_label(found, embeddings, labels, IGNORE, self.sorting.min_area, self.min_share)
            prototypes.append(pieces.prototypes)
            class_ids.append(pieces.class_ids)
            image_ids.append(np.full(len(pieces.class_ids), i))
        if not prototypes or not sum(len(one) for one in prototypes):
            return []
        rows, known, images = np.concatenate(prototypes), np.concatenate(class_ids), np.concatenate(image_ids)
        index, splitting = ExemplarIndex.build(rows, "Flat"), splitting_of(self.sorting, rows, known)
        asked = []
        for i in used[held[used]].tolist():
            labels, _, found = self._segments(cells, i, splitting)
            counts = label_counts(found.labels, labels, len(found.areas), len(self.dataset.classes))
            asked.append(HeldOut(found.prototypes, found.areas, counts, -1))
        return [outcomes_of(one, index, known, images, self.retrieval) for one in asked]

    def _segments(self, cells: HeadOnCells, i: int, splitting: Splitting | None) -> tuple[np.ndarray, Tensor, Segments]:
        """Labels [H, W], embeddings [D, h, w] and segments of one image."""
        labels, embeddings = self.dataset[i].labels, cells.embed(self.fitting.maps(i))
        options, min_area = self.sorting.options(), self.sorting.min_area
        return labels, embeddings, segment_image(embeddings, labels.shape, options, min_area, splitting)
