"""Ways to label pixels that the claims about streets compare: as served, by a probe, pixel by pixel, by the twin."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from index_builder.datasets import IGNORE, Dataset, Sample
from index_builder.embedder_source import load_embedder_source
from index_builder.pixel_scores import Curve, HeldPixels, fitted_temperature, iou_of
from index_builder.subsets import evenly_spread
from model_store.embedder import Embedder, prepare
from model_store.predictor import Predictor
from model_store.release import Release
from segsort.retrieval import vote

PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)  # scikit-learn's C: how little the weights of a probe are penalised
BALANCES = (0.0, 0.5)  # exponents of 1 / class frequency in the weights of a probe's pixels
CELLS = 200  # labelled cells of an image that a probe is fitted to
IMAGES = 150  # images that a probe is fitted to, evenly spread
HELD_STRIDE = 4  # every fourth pixel of a held-out image, in both directions, fits a temperature


class Labelled(NamedTuple):
    """Classes [H, W] int64 and their confidence [H, W], 0..1, before and after the method's own calibration."""

    classes: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray


class Method(ABC):
    """A way to label the pixels of an image. `name` is what tables call it."""

    name: str

    @abstractmethod
    def calibrate(self, held: Sequence[Sample]) -> None:
        """Fit the method's own calibration on held-out images."""

    @abstractmethod
    def label(self, image: np.ndarray, embedding: np.ndarray | None = None) -> Labelled:
        """Label an image [H, W, 3] uint8; embedding: [D, h, w] of the method's network, if it has been computed."""

    def curve(self, held: Sequence[Sample]) -> Curve:
        """The rising curve of correct pixels over raw confidence on held-out images."""
        pixels = HeldPixels()
        for sample in held:
            found = self.label(sample.image)
            pixels.add(sample.labels, found.classes, found.raw)
        return pixels.curve()


class Served(Method):
    """A release as it is served."""

    def __init__(self, name: str, release: Release) -> None:
        self.name, self.predictor = name, Predictor(release, threads=1)
        self.embedder = self.predictor.embedder

    def calibrate(self, held: Sequence[Sample]) -> None:
        """Nothing: the release was calibrated when it was built."""

    def label(self, image: np.ndarray, embedding: np.ndarray | None = None) -> Labelled:
        size = (image.shape[0], image.shape[1])
        segments = self.predictor.sort(self.predictor.embedder.embed(image) if embedding is None else embedding, size)
        found, of_pixel = self.predictor.retrieve(segments.prototypes, segments.areas), segments.labels
        raw = found.vote.shares.max(axis=1)
        return Labelled(found.vote.class_ids[of_pixel], raw[of_pixel], found.confidence[of_pixel])


class _ByLogits(Method):
    """A method with logits for each cell, calibrated by a temperature."""

    temperature = 1.0

    @abstractmethod
    def logits(self, image: np.ndarray, embedding: np.ndarray | None) -> np.ndarray:
        """Logits of the cells of an image: [C, h, w] float32."""

    def calibrate(self, held: Sequence[Sample]) -> None:
        self.temperature = 1.0
        logits, labels = [], []
        for sample in held:
            whole = _enlarged(self.logits(sample.image, None), sample.labels.shape)[:, ::HELD_STRIDE, ::HELD_STRIDE]
            true = sample.labels[::HELD_STRIDE, ::HELD_STRIDE]
            logits.append(whole[:, true != IGNORE].T)
            labels.append(true[true != IGNORE])
        self.temperature = fitted_temperature(np.concatenate(logits), np.concatenate(labels))

    def label(self, image: np.ndarray, embedding: np.ndarray | None = None) -> Labelled:
        whole = _enlarged(self.logits(image, embedding), (image.shape[0], image.shape[1]))
        classes = whole.argmax(axis=0)
        return Labelled(classes, _highest(whole), _highest(whole / self.temperature))


class Twin(_ByLogits):
    """The classifier of a softmax run."""

    def __init__(self, name: str, run: Path) -> None:
        source = load_embedder_source(run)
        self.name, self.preprocessing = name, source.preprocessing
        self.embedder = Embedder((source.network_file, source.preprocessing), threads=1)

    def logits(self, image: np.ndarray, embedding: np.ndarray | None) -> np.ndarray:
        x, (rows, columns) = prepare(image, self.preprocessing)
        return self.embedder.run_classifier(x)[0, :, :rows, :columns].numpy()


class Probe(_ByLogits):
    """Multinomial logistic regression of each cell on a frozen embedding, fitted by L-BFGS until it converges.

    Every dimension is scaled to unit variance first, because unit vectors of many dimensions have small values, which a
    penalty of the weights would keep from ever deciding. Penalty and class weights are chosen by the mIoU of the
    held-out images' cells.

    Args:
        name: name in tables.
        embedder: the frozen network.
        fit: labelled images of its training.
        held: labelled images that choose.
    """

    def __init__(self, name: str, embedder: Embedder, fit: Dataset, held: Sequence[Sample]) -> None:
        self.name, self.embedder = name, embedder
        self.classes = len(fit.classes)
        random = np.random.default_rng(0)
        rows = evenly_spread(len(fit), IMAGES)
        cells = [_some(*self._cells(fit[i]), random) for i in rows]
        vectors, labels = (np.concatenate(parts) for parts in zip(*cells, strict=True))
        measured = [self._cells(sample) for sample in held]
        self.scaler = StandardScaler().fit(vectors)
        best = -1.0
        for balance in BALANCES:
            for penalty in PENALTIES:
                model = self._fitted(vectors, labels, penalty, balance)
                score = self._score(model, measured)
                if score > best:
                    best, self.model, self.chosen = score, model, {"C": penalty, "balance": balance}
        self.iterations = int(np.max(self.model.n_iter_))

    def logits(self, image: np.ndarray, embedding: np.ndarray | None) -> np.ndarray:
        found = np.asarray(self.embedder.embed(image)) if embedding is None else embedding
        values = self._logits(self.model, found.reshape(len(found), -1).T)
        return values.T.reshape(self.classes, *found.shape[1:]).astype(np.float32)

    def _fitted(self, vectors: np.ndarray, labels: np.ndarray, penalty: float, balance: float) -> LogisticRegression:
        weights = np.bincount(labels, minlength=self.classes).clip(1) ** -balance
        model = LogisticRegression(C=penalty, max_iter=2000, tol=1e-4)
        model.fit(self.scaler.transform(vectors), labels, sample_weight=weights[labels] / weights[labels].mean())
        if model.n_iter_.max() >= model.max_iter:
            raise ValueError(f"the probe did not converge in {model.max_iter} iterations with C={penalty}; allow more")
        return model

    def _logits(self, model: LogisticRegression, vectors: np.ndarray) -> np.ndarray:
        """[N, D] -> [N, C]; a class without a training pixel gets a logit far below all others."""
        values = np.full((len(vectors), self.classes), -30.0)
        values[:, model.classes_] = model.decision_function(self.scaler.transform(vectors))
        return values

    def _score(self, model: LogisticRegression, measured: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        counts = np.zeros((3, self.classes))
        for vectors, labels in measured:
            guess = self._logits(model, vectors).argmax(axis=1)
            parts = (labels, guess, labels[labels == guess])
            counts += [np.bincount(part, minlength=self.classes) for part in parts]
        return float(np.nanmean(iou_of(counts)))

    def _cells(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """Embedding [N, D] and class [N] of the labelled cells of an image."""
        found = np.asarray(self.embedder.embed(sample.image))
        labels = labels_of_cells(sample.labels, found.shape[1:]).ravel()
        known = labels != IGNORE
        return found.reshape(len(found), -1).T[known], labels[known].astype(np.int64)


class PixelRetrieval(Method):
    """The vote of a release's exemplars on each cell alone, without segments. Shares are interpolated between cells."""

    def __init__(self, name: str, release: Release, embedder: Embedder) -> None:
        self.name, self.release, self.embedder = name, release, embedder
        self.own: Curve | None = None

    def calibrate(self, held: Sequence[Sample]) -> None:
        self.own = self.curve(held)

    def label(self, image: np.ndarray, embedding: np.ndarray | None = None) -> Labelled:
        found = np.asarray(self.embedder.embed(image)) if embedding is None else embedding
        card, (D, h, w) = self.release.card, found.shape
        cosines, rows = self.release.index.search(np.ascontiguousarray(found.reshape(D, -1).T), card.retrieval.k)
        voters = self.release.exemplars.class_ids[rows]
        shares = vote(cosines, voters, len(card.classes), card.retrieval.kappa).shares
        whole = _enlarged(shares.T.reshape(-1, h, w).astype(np.float32), (image.shape[0], image.shape[1]))
        raw = whole.max(axis=0)
        return Labelled(whole.argmax(axis=0), raw, raw if self.own is None else self.own(raw))


def labels_of_cells(labels: np.ndarray, cells: tuple[int, ...]) -> np.ndarray:
    """Class at the centre of each cell: [H, W] -> [h, w]."""
    rows, columns = ((np.arange(n) * 2 + 1) * m // (2 * n) for n, m in zip(cells, labels.shape, strict=True))
    return np.asarray(labels[rows[:, None], columns])


def _some(vectors: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    chosen = random.permutation(len(labels))[:CELLS]
    return vectors[chosen], labels[chosen]


def _enlarged(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """[C, h, w] -> [C, H, W], bilinear."""
    whole = F.interpolate(torch.from_numpy(maps)[None], size=size, mode="bilinear", align_corners=False)
    return whole[0].numpy()


def _highest(logits: np.ndarray) -> np.ndarray:
    """Probability of the most probable class: [C, H, W] -> [H, W]."""
    return np.asarray(1 / np.exp(logits - logits.max(axis=0)).sum(axis=0))
