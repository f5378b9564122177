"""Fitting the head of a release: features of labelled images, the choice of a head, and what it embeds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from index_builder.datasets import Dataset
from index_builder.heads.assemble import head_model
from index_builder.heads.choice import (
    SCORE_DIGITS,
    TRIAL_POSTERIORS,
    TRIAL_SORTING,
    Candidate,
    Chosen,
    Fit,
    Fitter,
    choose,
    fold_of,
    named_candidate,
    score,
    score_head,
)
from index_builder.heads.files import StoredHead
from index_builder.heads.maps import FeatureExtractor, FeatureSource, ImageMaps, MapsWork
from index_builder.heads.samples import Samples, gather_samples
from model_store.card import HeadInfo
from model_store.cores import available_cores
from model_store.spreading import CarriedFile, Here, Spread
from segsort.head import FeatureStatistics, Head

MOST_SAMPLES = 8000  # labelled pixels of all images together
TRIAL_SAMPLES = 2500  # of these, for cross-validation


class Progress(NamedTuple):
    """How far a fit is: the stage, and how many of its steps are done."""

    stage: str
    done: int
    total: int


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class FitSettings:
    """How a head is chosen and fitted.

    Attributes:
        fit: kind of the head, or "auto" to choose by cross-validation.
        budget: seconds for trying candidates; the fit of the chosen one is not counted.
        seed: of every random choice.
        threads: cores to use; None: all.
    """

    fit: Fit = "auto"
    budget: float = 20.0
    seed: int = 0
    threads: int | None = None


class FittedHead(NamedTuple):
    """A head fitted to labelled images.

    head: the head; candidate: what it is; info: for the card; samples: what it was fitted on; embeddings: [N, D] unit
    vectors of the samples, for a forest by the trees that did not see them; folds: [I] fold of each image, -1 where an
    image has no samples, or None where images were not compared; seconds: of features and of head.
    """

    head: Head
    candidate: Candidate
    info: HeadInfo
    samples: Samples
    embeddings: Tensor
    folds: np.ndarray | None
    seconds: dict[str, float]


class HeadOnCells:
    """Runs a head on the feature maps of images, with the network that a release will have."""

    def __init__(self, head: Head, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.log_severity_level = 3
        content = head_model(head).SerializeToString()
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._names = [group.name for group in head.groups]

    def embed(self, maps: ImageMaps) -> Tensor:
        """Embeddings of an image: [D, h, w] unit vectors, without padding."""
        h, w = maps.cells
        found = self._session.run(["embedding"], {name: maps.maps[name][None] for name in self._names})[0]
        return torch.from_numpy(found[0, :, :h, :w])


class HeadFitting:
    """Fits heads to the labelled images of a data set, whose features are computed once.

    Args:
        dataset: labelled images.
        source: the feature extractor.
        statistics: of its features over images of many kinds.
        folder: where feature maps are kept.
        settings: see `FitSettings`.
        report: called as the fit goes on.
        spread: computes features; None: this process does.
    """

    def __init__(
        self,
        dataset: Dataset,
        source: FeatureSource,
        statistics: FeatureStatistics,
        folder: Path,
        settings: FitSettings,
        report: Report | None = None,
        spread: Spread | None = None,
    ) -> None:
        self.dataset, self.source, self.settings = dataset, source, settings
        self._extractor = FeatureExtractor(source, folder, settings.threads)
        self._report = report or (lambda progress: None)
        self._threads = settings.threads or available_cores()
        started = time.perf_counter()
        for count in self._computed(folder, spread or Here()):
            self._report(Progress("features", count, len(dataset)))
        self.statistics = statistics
        self._feature_seconds = time.perf_counter() - started

    def _computed(self, folder: Path, spread: Spread) -> Iterator[int]:
        """Compute the feature maps of all images; yields how many are done.

        Machines that do not share the folder cannot find maps that are kept in it, so these images are not sent.
        """
        count = len(self.dataset)
        if spread.is_local:
            for i in range(count):
                self.maps(i)
                yield i + 1
            return
        shared = folder if spread.shares_disk else None
        make = partial(MapsWork, CarriedFile(self.source.file), self.source, shared, 1)
        read = _Pixels(self.dataset)
        left = [i for i in range(count) if not self._extractor.has_maps(read(i))] if shared is None else range(count)
        done = count - len(left)
        for _, (name, content) in spread.each(make, left, read, read.name):
            if content:
                (folder / name).write_bytes(content)
            done += 1
            yield done

    def maps(self, i: int) -> ImageMaps:
        """Feature maps of an image of the data set, by its position."""
        return self.maps_of(self.dataset.photograph(i).image)

    def maps_of(self, image: np.ndarray) -> ImageMaps:
        """Feature maps of any image [H, W, 3] uint8 RGB."""
        return self._extractor.maps(image)

    def samples(self) -> Samples:
        """Draw the labelled pixels that heads are fitted to.

        Raises:
            ValueError: if no pixel is labelled.
        """
        groups, seed = self.source.groups, self.settings.seed
        basis = Fitter(groups, self.statistics, seed, self._threads).basis(groups)

        def image(i: int) -> tuple[ImageMaps, np.ndarray]:
            return self.maps(i), self.dataset[i].labels

        return gather_samples(len(self.dataset), image, groups, basis, most=MOST_SAMPLES, seed=seed)

    def fitted_on(self, fitted: FittedHead) -> list[str]:
        """Names of the images that a head was fitted to."""
        if fitted.head.kind == "identity":
            return []
        return [self.dataset.photograph(i).source for i in np.unique(fitted.samples.images).tolist()]

    def score_before(self, fitted: FittedHead, stored: StoredHead, chosen: str) -> float | None:
        """Cross-validated mIoU of a stored head on the images of the data set; None if nothing can be compared.

        A head knows the images that it was fitted to. So in each fold its candidate is fitted again to the other ones
        of these images, and labels the fold by the exemplars of all other folds. It is rounded as the scores of `fit`
        are. A head of an unknown candidate that was fitted to some of these images cannot be compared.

        Args:
            fitted: what was fitted to the same images.
            stored: the head.
            chosen: name of its candidate, from the card.
        """
        trial, trials = fitted.samples.thinned(TRIAL_SAMPLES, self.settings.seed), self._trials()
        folds = fold_of(trial)
        if folds is None:
            return None
        candidate = named_candidate(self.source.groups, chosen)
        names = [self.dataset.photograph(i).source for i in range(len(self.dataset))]
        seen = np.array([name in stored.fitted_on for name in names])[trial.images]
        with _torch_threads(self._threads):
            if not seen.any():
                return round(score_head(trials, stored.head, trial, folds), SCORE_DIGITS)
            if candidate is None:
                return None
            return round(score(trials, candidate, trial, folds, seen), SCORE_DIGITS)

    def fit(self) -> FittedHead:
        """Choose a head by cross-validation and fit it to all labelled pixels.

        Raises:
            ValueError: if no pixel is labelled, or a head that learns from labels was asked for and there is one class.
        """
        settings, groups = self.settings, self.source.groups
        started = time.perf_counter()
        fitter = Fitter(groups, self.statistics, settings.seed, self._threads)
        steps = 1  # the candidates, and the fit of the chosen one

        def tried(count: int, total: int) -> None:
            nonlocal steps
            steps = total + 1
            self._report(Progress("head", count, steps))

        samples = self.samples()
        self._report(Progress("head", 0, steps))
        trial = samples.thinned(TRIAL_SAMPLES, settings.seed)
        with _torch_threads(self._threads):
            chosen = choose(self._trials(), trial, settings.fit, settings.budget, tried)
            head, embeddings = fitter.fit(chosen.candidate, samples)
        self._report(Progress("head", steps, steps))
        seconds = time.perf_counter() - started
        info = HeadInfo(
            kind=head.kind,
            groups=[group.name for group in head.groups],
            chosen=str(chosen.candidate),
            cross_validated=chosen.scores,
            seconds=round(seconds, 1),
        )
        folds = _image_folds(chosen, trial, len(self.dataset))
        times = {"features": self._feature_seconds, "head": seconds}
        return FittedHead(head, chosen.candidate, info, samples, embeddings, folds, times)

    def _trials(self) -> Fitter:
        """Fits heads cheaply, for comparing candidates."""
        seed, threads = self.settings.seed, self._threads
        return Fitter(
            self.source.groups, self.statistics, seed, threads, sorting=TRIAL_SORTING, posteriors=TRIAL_POSTERIORS
        )

    def refit(self, fitted: FittedHead, images: np.ndarray) -> Head:
        """Fit the chosen kind of head to some images: [n] positions. Images of one class get the identity head."""
        fitter = Fitter(self.source.groups, self.statistics, self.settings.seed, self._threads)
        samples, candidate = fitted.samples.subset(np.isin(fitted.samples.images, images)), fitted.candidate
        if samples.classes < 2:
            candidate = Candidate("identity", candidate.reads)
        with _torch_threads(self._threads):
            return fitter.fit(candidate, samples)[0]


class _Pixels:
    """Reads the pixels of images of a data set, by their positions."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __call__(self, i: int) -> np.ndarray:
        return self._dataset.photograph(i).image

    def name(self, i: int) -> str:
        """The file of an image, or its position."""
        file = getattr(self._dataset, "image_file", None)
        return f"image {i} of {self._dataset.name}" if file is None else str(file(i))


def _image_folds(chosen: Chosen, samples: Samples, count: int) -> np.ndarray | None:
    """Fold of each image [count], -1 where it has no samples; None if folds are of strokes, or there are none."""
    if chosen.folds is None or len(np.unique(samples.images)) < 2:
        return None
    folds = np.full(count, -1)
    folds[samples.images] = chosen.folds
    return folds


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
