"""Scores by pixels, their calibration, and intervals over blocks of frames."""

import numpy as np
import pytest

from index_builder.datasets import IGNORE
from index_builder.pixel_scores import (
    BINS,
    Curve,
    HeldPixels,
    PixelTally,
    calibration_error_of,
    fitted_temperature,
    mean_miou,
    ratio_of_miou,
)
from index_builder.scores import calibration_error, intersection_over_union

C = 4
SAME = Curve([0.0, 1.0], [0.0, 1.0])


def frames(count: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Masks with ignored pixels, predictions that are often right, and confidences."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        labels = random.integers(0, C, (12, 16)).astype(np.uint8)
        labels[random.random(labels.shape) < 0.2] = IGNORE
        guess = np.where(random.random(labels.shape) < 0.6, labels % C, random.integers(0, C, labels.shape))
        found.append((labels, guess, random.random(labels.shape)))
    return found


def counts(*rows: list[list[int]]) -> np.ndarray:
    return np.array(rows)


def test_scores_equal_those_of_all_pixels_together_one_by_one() -> None:
    tally, shown = PixelTally("some", C, SAME, block=3), frames(7)
    confusion, pixels = np.zeros((C, C), dtype=np.int64), []
    for labels, guess, confidence in shown:
        tally.add(labels, guess, confidence, confidence**2)
        for true, predicted, raw in zip(labels.ravel(), guess.ravel(), confidence.ravel(), strict=True):
            if true != IGNORE:
                confusion[true, predicted] += 1
                pixels.append((raw, raw**2, true == predicted))
    found, (raw, calibrated, right) = tally.scores(), np.array(pixels).T
    assert found.miou() == pytest.approx(np.nanmean(intersection_over_union(confusion)))
    assert found.pixel_accuracy == pytest.approx(confusion.trace() / confusion.sum())
    assert found.frames == 7
    assert len(found.counts) == 3
    weights = np.ones(len(raw))
    assert calibration_error_of(found.raw) == pytest.approx(calibration_error(raw, right, weights, BINS), abs=1e-4)
    assert calibration_error_of(found.calibrated) == pytest.approx(
        calibration_error(calibrated, right, weights, BINS), abs=1e-4
    )


def test_a_class_that_never_occurs_does_not_count() -> None:
    tally = PixelTally("some", C, SAME)
    labels, ones = np.array([[0, 0, 1, 1]], dtype=np.uint8), np.ones((1, 4))
    tally.add(labels, labels.astype(np.int64), ones, ones)
    assert tally.scores().per_class() == [1.0, 1.0, None, None]
    assert tally.scores().miou() == 1.0


def test_the_curve_of_held_out_pixels_makes_confidence_true() -> None:
    held, random = HeldPixels(), np.random.default_rng(1)
    confidence = random.random((400, 400))
    labels = np.zeros(confidence.shape, dtype=np.uint8)
    guess = (random.random(confidence.shape) > confidence**2).astype(np.int64)  # right with probability confidence**2
    held.add(labels, guess, confidence)
    x = np.linspace(0.1, 0.95, 20)
    assert np.abs(held.curve()(x) - x**2).max() < 0.06


def test_a_temperature_undoes_a_scale_of_the_logits() -> None:
    random = np.random.default_rng(2)
    true = random.normal(size=(20_000, C)) * 2
    probability = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (probability.cumsum(axis=1) < random.random((len(true), 1))).sum(axis=1)
    assert fitted_temperature(true * 3, labels) == pytest.approx(3, rel=0.05)


def test_a_method_over_itself_is_exactly_one_in_every_resample() -> None:
    random = np.random.default_rng(3)
    drive = random.integers(50, 100, (6, 3, C))
    drive[:, 2] = 30
    found = ratio_of_miou({"a": [drive]}, {"a": [drive]}, draws=200)
    assert found == (1.0, 1.0, 1.0)


def test_a_mean_over_drives_gives_each_drive_the_same_weight() -> None:
    good, bad = counts(*[[[10, 10], [10, 10], [10, 10]]] * 8), counts([[10, 10], [10, 10], [0, 0]])
    found = mean_miou({"long": [good], "short": [bad]}, draws=50)
    assert found.value == pytest.approx(0.5)
    assert found.low == found.high == pytest.approx(0.5)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered, random = 0, np.random.default_rng(4)
    for trial in range(60):
        hits = random.integers(20, 80, 30)
        blocks = np.stack([np.full((30, 1), 100), np.full((30, 1), 100), hits[:, None]], axis=1)
        found = mean_miou({"a": [blocks]}, draws=300, seed=trial)
        truth = 49.5 / (200 - 49.5)
        covered += found.low <= truth <= found.high
    assert 49 <= covered <= 60  # 95 % of 60 are 57


def test_seeds_that_differ_widen_the_interval() -> None:
    one = counts(*[[[100, 100], [100, 100], [60, 60]]] * 5)
    other = counts(*[[[100, 100], [100, 100], [90, 90]]] * 5)
    same, differ = mean_miou({"a": [one, one]}, draws=200), mean_miou({"a": [one, other]}, draws=200)
    assert same.low == same.high
    assert differ.high - differ.low > 0.3


def test_methods_measured_on_different_frames_are_not_compared() -> None:
    one, two = np.ones((3, 3, C)), np.ones((4, 3, C))
    with pytest.raises(ValueError, match="different frames"):
        ratio_of_miou({"a": [one]}, {"a": [two]})
