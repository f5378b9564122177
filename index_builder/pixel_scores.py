"""Scores of any method by the same event: whether a pixel has the right class. Kept by blocks of frames.

Neighbouring frames of a drive show almost the same street. So an interval is computed by resampling blocks of
consecutive frames, and two methods are compared on the same blocks.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import minimize_scalar

from index_builder.calibration import rising_curve
from index_builder.datasets import IGNORE
from index_builder.scores import boundary_f

BINS = 15  # equal bins of confidence for the expected calibration error
FINE = 1000  # bins of confidence that a curve is fitted to
FRAMES = 10  # consecutive frames in a block
TOLERANCE = 2  # pixels, of boundary F
DRAWS = 10_000  # resamples of an interval


class PixelScores(BaseModel):
    """What one method did on one set of frames, by pixels.

    Attributes:
        method: name of the method.
        frames: number of frames.
        counts: [blocks][3][classes] pixels of each class: true, predicted, and both.
        raw, calibrated, curve: [3][15] sums over pixels by bin of confidence: pixels, confidence, correct pixels. raw:
            confidence before calibration; calibrated: by the method's own calibration; curve: by a rising curve of the
            raw confidence of pixels, the same kind for all methods. All are fitted on held-out frames.
        boundary_f: mean boundary F of the frames at 2 pixels.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    frames: int
    counts: list[list[list[int]]]
    raw: list[list[float]]
    calibrated: list[list[float]]
    curve: list[list[float]]
    boundary_f: float | None

    @property
    def pixel_accuracy(self) -> float:
        """Share of labelled pixels with the right class."""
        true, _, both = np.asarray(self.counts).sum(axis=(0, 2))
        return float(both / true)

    def miou(self) -> float:
        """Mean IoU over the classes that occur or are predicted."""
        return float(miou_of(np.asarray(self.counts).sum(axis=0)))

    def per_class(self) -> list[float | None]:
        """IoU of each class; None if it neither occurs nor is predicted."""
        return [None if np.isnan(value) else float(value) for value in iou_of(np.asarray(self.counts).sum(axis=0))]


def iou_of(counts: np.ndarray) -> np.ndarray:
    """IoU of each class: [..., 3, C] true, predicted and common pixels -> [..., C], NaN for absent classes."""
    true, predicted, both = (counts[..., row, :].astype(np.float64) for row in range(3))
    union = true + predicted - both
    return np.asarray(np.divide(both, union, out=np.full(union.shape, np.nan), where=union > 0))


def miou_of(counts: np.ndarray) -> np.ndarray:
    """Mean IoU over the classes that occur or are predicted: [..., 3, C] -> [...]."""
    return np.asarray(np.nanmean(iou_of(counts), axis=-1))


def calibration_error_of(sums: Sequence[Sequence[float]]) -> float:
    """Expected calibration error, 0..1, of sums by bin: pixels, confidence, correct pixels; [3][B]."""
    pixels, confidence, correct = np.asarray(sums, dtype=np.float64)
    return float(np.abs(confidence - correct).sum() / pixels.sum())


class Curve(NamedTuple):
    """A rising curve of the probability that a pixel is right: knots x (increasing) and y, 0..1."""

    x: list[float]
    y: list[float]

    def __call__(self, confidence: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(confidence, self.x, self.y))


class HeldPixels:
    """Raw confidences of held-out pixels, summed up in fine bins, and the curve that is fitted to them."""

    def __init__(self) -> None:
        self.sums = np.zeros((3, FINE))

    def add(self, labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> None:
        """Add one image: true and predicted classes [H, W], and raw confidence [H, W], 0..1."""
        known = labels != IGNORE
        self.sums += binned(confidence[known], (predicted == labels)[known], FINE)

    def curve(self) -> Curve:
        """The rising curve of correct pixels over confidence, see `index_builder.calibration.rising_curve`."""
        used = self.sums[0] > 0
        pixels, confidence, correct = self.sums[:, used]
        return Curve(*rising_curve(confidence / pixels, correct / pixels, pixels))


def binned(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Sums by bin of confidence: pixels, confidence and correct pixels. [N] 0..1, [N] bool -> [3, bins]."""
    row = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    values = (np.ones(len(row)), confidence, correct)
    return np.stack([np.bincount(row, weights=value, minlength=bins) for value in values])


class PixelTally:
    """Sums over the frames of a drive, in their order.

    Args:
        method: name of the method.
        classes: number of classes.
        curve: see `HeldPixels.curve`.
        block: consecutive frames in a block.
    """

    def __init__(self, method: str, classes: int, curve: Curve, block: int = FRAMES) -> None:
        self.method, self.classes, self.curve, self.block = method, classes, curve, block
        self.counts: list[np.ndarray] = []
        self.sums = np.zeros((3, 3, BINS))  # raw, calibrated, curve
        self.boundary: list[float] = []

    def add(self, labels: np.ndarray, predicted: np.ndarray, raw: np.ndarray, calibrated: np.ndarray) -> None:
        """Add one frame; all [H, W]: true and predicted classes, confidence before and after calibration, 0..1."""
        known = labels != IGNORE
        true, guess = labels[known].astype(np.int64), predicted[known].astype(np.int64)
        right = true == guess
        frame = [np.bincount(values, minlength=self.classes) for values in (true, guess, true[right])]
        if len(self.boundary) % self.block == 0:
            self.counts.append(np.zeros((3, self.classes), dtype=np.int64))
        self.counts[-1] += np.stack(frame)
        for row, confidence in enumerate((raw[known], calibrated[known], self.curve(raw[known]))):
            self.sums[row] += binned(confidence, right)
        self.boundary.append(float(boundary_f(labels, predicted, [TOLERANCE])[0]))

    def scores(self) -> PixelScores:
        """The sums as a document."""
        raw, calibrated, curve = self.sums.round(3).tolist()
        defined = [value for value in self.boundary if not np.isnan(value)]
        return PixelScores(
            method=self.method,
            frames=len(self.boundary),
            counts=[block.tolist() for block in self.counts],
            raw=raw,
            calibrated=calibrated,
            curve=curve,
            boundary_f=float(np.mean(defined)) if defined else None,
        )


def fitted_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that fits the softmax of logits [N, C] best to labels [N]: least negative log-likelihood.

    Logits are divided by it. Guo et al., On Calibration of Modern Neural Networks (ICML 2017).
    """

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        likelihood = scaled[np.arange(len(labels)), labels] - np.log(np.exp(scaled).sum(axis=1))
        return float(-likelihood.mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded").x))


class Interval(NamedTuple):
    """An estimate with the 2.5th and 97.5th percentile of its resamples."""

    value: float
    low: float
    high: float


Folds = Mapping[str, Sequence[np.ndarray]]  # by drive: counts [blocks, 3, C] of each seed


def mean_miou(folds: Folds, draws: int = DRAWS, seed: int = 0) -> Interval:
    """mIoU as the mean over drives and seeds, with its interval over blocks of frames."""
    return _interval(_resampled([folds], draws, seed)[0])


def ratio_of_miou(above: Folds, below: Folds, draws: int = DRAWS, seed: int = 0) -> Interval:
    """mIoU of one method over that of another, each the mean over drives and seeds, with its interval.

    Each draw resamples, in every drive, blocks of frames with replacement, the same for both methods, and, in every
    drive and method, seeds where there are several. So the interval covers other streets like these and other seeds,
    but no other kinds of drives.

    Args:
        above, below: by drive, counts of each seed. The drives and their blocks must be the same.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: if the two were not measured on the same blocks.
    """
    first, second = _together(above, below, draws, seed)
    return _interval(first / second)


def difference_of_miou(above: Folds, below: Folds, draws: int = DRAWS, seed: int = 0) -> Interval:
    """mIoU of one method minus that of another, with its interval; resampled as `ratio_of_miou` resamples.

    Args:
        above, below: by drive, counts of each seed. The drives and their blocks must be the same.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: if the two were not measured on the same blocks.
    """
    first, second = _together(above, below, draws, seed)
    return _interval(first - second)


def _interval(found: np.ndarray) -> Interval:
    """found: [1 + draws], the estimate and its resamples."""
    return Interval(float(found[0]), *(float(v) for v in np.percentile(found[1:], [2.5, 97.5])))


def _together(above: Folds, below: Folds, draws: int, seed: int) -> list[np.ndarray]:
    """Mean mIoU of two methods on the same resamples: [1 + draws] each."""
    shapes = [{drive: {one.shape for one in seeds} for drive, seeds in folds.items()} for folds in (above, below)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the methods were measured on different frames: {shapes[0]} and {shapes[1]}")
    return _resampled([above, below], draws, seed)


def _resampled(methods: Sequence[Folds], draws: int, seed: int) -> list[np.ndarray]:
    """Mean mIoU of each method: [1 + draws], first of all blocks as they are, then of each resample."""
    random = np.random.default_rng(seed)
    totals = [np.zeros(1 + draws) for _ in methods]
    for drive in methods[0]:
        blocks = len(methods[0][drive][0])
        weights = np.concatenate([np.ones((1, blocks)), random.multinomial(blocks, [1 / blocks] * blocks, draws)])
        for total, folds in zip(totals, methods, strict=True):
            scores = np.stack([miou_of(np.einsum("nb,brc->nrc", weights, one)) for one in folds[drive]])  # [seeds, n]
            chosen = random.multinomial(len(scores), [1 / len(scores)] * len(scores), draws) / len(scores)
            share = np.concatenate([np.full((1, len(scores)), 1 / len(scores)), chosen])
            total += (scores.T * share).sum(axis=1) / len(methods[0])
    return totals
