"""Calibration of the confidence and of the known threshold on held-out segments."""

import numpy as np
import pytest

from index_builder.calibration import (
    KNOTS,
    LEAST_SHARE,
    HeldOut,
    _merge_steps,
    calibrate_on,
    rising_curve,
    weighted_quantile,
)
from model_store.card import RetrievalInfo
from model_store.index import ExemplarIndex
from segsort.retrieval import calibrate, familiarity, vote


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def exemplars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prototypes of three classes around three centres, their classes, and the image of each."""
    random = np.random.default_rng(0)
    class_ids = np.repeat([0, 1, 2], 30)
    return unit(np.eye(6)[class_ids] + 0.3 * random.standard_normal((90, 6))), class_ids, np.tile(np.arange(10), 9)


def held_out(image_id: int = -1, seed: int = 1, count: int = 40) -> HeldOut:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, count)
    areas = random.integers(10, 100, count)
    prototypes = unit(np.eye(6)[truth] + 0.5 * random.standard_normal((count, 6)))
    return HeldOut(prototypes, areas, np.eye(3, dtype=np.int64)[truth] * (areas // 2)[:, None], image_id)


def test_known_are_95_percent_of_the_area_that_is_labelled_rightly(
    exemplars: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    prototypes, class_ids, image_ids = exemplars
    index, images = ExemplarIndex.build(prototypes), [held_out(seed=s) for s in range(5)]
    found = calibrate_on(images, index, class_ids, image_ids, RetrievalInfo(k=7), "by hand")
    known = right = 0.0
    for image in images:
        cosines, rows = index.search(image.prototypes, 7)
        correct = vote(cosines, class_ids[rows], 3, 10.0).class_ids == image.counts.argmax(axis=1)
        familiar = familiarity(cosines[:, 0], image.areas)[0]
        pixels = image.counts.sum(axis=1)
        right += pixels[correct].sum()
        known += pixels[correct & (familiar >= found.known_threshold)].sum()
    assert known / right == pytest.approx(0.95, abs=0.01)
    assert found.how == "by hand; pixels of 200 segments of 5 images"


def test_confidence_is_how_often_a_share_is_right() -> None:
    random = np.random.default_rng(0)
    share = random.uniform(0.3, 1, 20_000)
    right = random.random(20_000) < share**2
    x, y = rising_curve(share, right.astype(float), random.uniform(1, 5, 20_000))
    assert len(x) <= 12
    confidence = calibrate(share, x, y)
    for low in np.arange(0.3, 1, 0.1):
        inside = (share >= low) & (share < low + 0.1)
        assert confidence[inside].mean() == pytest.approx((share[inside] ** 2).mean(), abs=0.05)


def test_confidence_counts_the_pixels_of_a_segment_that_have_its_label(
    exemplars: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """A segment that is right by its majority may still cover pixels of other classes."""
    prototypes, class_ids, image_ids = exemplars
    image = held_out(count=2000)
    mixed = image.counts.argmax(axis=1)
    counts = 3 * np.eye(3, dtype=np.int64)[mixed] + np.eye(3, dtype=np.int64)[(mixed + 1) % 3]  # 3 of 4 pixels
    index = ExemplarIndex.build(prototypes)
    found = calibrate_on([image._replace(counts=counts)], index, class_ids, image_ids, RetrievalInfo(k=7), "")
    result = vote(index.search(image.prototypes, 7)[0], class_ids[index.search(image.prototypes, 7)[1]], 3, 10.0)
    confidence = calibrate(result.shares.max(axis=1), found.confidence_x, found.confidence_y)
    right = counts[np.arange(len(counts)), result.class_ids] / 4
    assert 0.7 < confidence.max() < 0.76
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.01)


def test_an_image_does_not_vote_on_itself(exemplars: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Otherwise calibration would overestimate the accuracy on new images."""
    prototypes, class_ids, image_ids = exemplars
    own = image_ids == 3
    image = HeldOut(prototypes[own], np.ones(own.sum()), np.eye(3, dtype=np.int64)[class_ids[own]], 3)
    index = ExemplarIndex.build(prototypes)
    alone = calibrate_on([image], index, class_ids, image_ids, RetrievalInfo(k=5), "")
    without = ExemplarIndex.build(prototypes[~own])
    expected = calibrate_on(
        [image._replace(image_id=-1)], without, class_ids[~own], image_ids[~own], RetrievalInfo(k=5), ""
    )
    assert alone == expected
    assert alone.known_threshold < 0.999, "its own exemplars have cosine 1"


def test_without_anything_to_judge_by_everything_is_known(
    exemplars: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    prototypes, class_ids, image_ids = exemplars
    found = calibrate_on([], ExemplarIndex.build(prototypes), class_ids, image_ids, RetrievalInfo(), "nothing")
    assert found.known_threshold == -1
    assert "not calibrated" in found.how
    assert calibrate(np.array([0.4]), found.confidence_x, found.confidence_y)[0] == 0.4


def test_weighted_quantile_equals_the_quantile_of_repeated_values() -> None:
    random = np.random.default_rng(0)
    values, weights = random.random(50), random.integers(1, 9, 50)
    repeated = np.sort(np.repeat(values, weights))
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        expected = repeated[max(int(np.ceil(share * len(repeated))) - 1, 0)]
        assert weighted_quantile(values, weights, share) == expected


def pooled(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> list[tuple[float, float, float]]:
    """Isotonic regression by pooling adjacent violators: steps of (weight, mean x, mean y)."""
    steps: list[list[float]] = []
    for place in np.unique(x):
        at = x == place
        steps.append([weights[at].sum(), weights[at].sum() * place, (weights[at] * y[at]).sum()])
        while len(steps) > 1 and steps[-2][2] / steps[-2][0] >= steps[-1][2] / steps[-1][0]:
            last = steps.pop()
            steps[-1] = [a + b for a, b in zip(steps[-1], last, strict=True)]
    return [(w, wx / w, wy / w) for w, wx, wy in steps]


@pytest.mark.parametrize("seed", range(5))
def test_few_heavy_points_give_the_steps_of_pooling_adjacent_violators(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = np.round(random.random(9), 3)
    y, weights = (random.random(9) < x).astype(float), random.integers(5, 9, 9)
    steps = pooled(x, y, weights)
    assert len(steps) <= KNOTS
    knots_x, knots_y = rising_curve(x, y, weights)
    np.testing.assert_allclose(knots_x, [at for _, at, _ in steps], atol=2e-6)
    np.testing.assert_allclose(knots_y, [value for _, _, value in steps], atol=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_curve_rises_has_few_knots_and_keeps_the_weighted_mean(seed: int) -> None:
    random = np.random.default_rng(seed)
    x = random.random(3000)
    y, weights = (random.random(3000) < x**2).astype(float), random.integers(1, 50, 3000)
    knots_x, knots_y = rising_curve(x, y, weights)
    assert 2 <= len(knots_x) <= KNOTS
    assert (np.diff(knots_x) > 0).all()
    assert (np.diff(knots_y) >= 0).all()
    at = np.array([0.2, 0.5, 0.8])
    np.testing.assert_allclose(np.interp(at, knots_x, knots_y), at**2, atol=0.08)


def test_light_steps_are_merged_before_all_others() -> None:
    steps = np.array([[100.0, 0.5, 100.0], [10.0, 0.25, 90.0], [0.0, 0.2, 100.0]])
    assert (steps[0] < LEAST_SHARE * steps[0].sum()).tolist() == [False, True, False]
    merged = _merge_steps(steps)
    np.testing.assert_allclose(merged, [[100.5, 100.0], [10.25, 90.0], [0.2, 100.0]])
