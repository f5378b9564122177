"""Scores, compared with loops over pixels and with values computed by hand."""

import numpy as np
import pytest

from index_builder.datasets import IGNORE
from index_builder.scores import (
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
from model_store.card import ClassInfo


def infos(*names: str) -> tuple[ClassInfo, ...]:
    return tuple(ClassInfo(class_id=i, name=name, color=(i, 0, 0)) for i, name in enumerate(names))


def test_label_counts_equal_a_loop_over_pixels() -> None:
    random = np.random.default_rng(0)
    segments, labels = random.integers(0, 5, (9, 11)), random.choice([0, 1, 2, IGNORE], (9, 11))
    expected = np.zeros((5, 3), dtype=int)
    for y in range(9):
        for x in range(11):
            if labels[y, x] != IGNORE:
                expected[segments[y, x], labels[y, x]] += 1
    np.testing.assert_array_equal(label_counts(segments, labels, 5, 3), expected)


def test_iou_and_recall_by_hand() -> None:
    confusion = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    np.testing.assert_allclose(intersection_over_union(confusion), [6 / 9, 3 / 6, np.nan])
    np.testing.assert_allclose(recall(confusion), [6 / 8, 3 / 4, np.nan])


def test_what_is_predicted_as_a_class_of_another_data_set_is_missed() -> None:
    confusion = np.array([[6, 0, 2], [0, 4, 0]])  # the third class is none of the data set's
    np.testing.assert_allclose(intersection_over_union(confusion), [6 / 8, 1])


def test_the_majority_decides_and_the_first_of_equals() -> None:
    counts = np.array([[3, 1], [2, 2], [0, 5]])
    assert majority_agrees(counts, np.array([0, 1, 1])).tolist() == [True, False, True]


def naive_boundary_f(truth: np.ndarray, predicted: np.ndarray, tolerance: float) -> float:
    def boundary(labels: np.ndarray, c: int) -> list[tuple[int, int]]:
        found = []
        for y, x in np.argwhere((labels == c) & (truth != IGNORE)):
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                v, u = y + dy, x + dx
                inside = 0 <= v < truth.shape[0] and 0 <= u < truth.shape[1] and truth[v, u] != IGNORE
                if inside and labels[v, u] != c:
                    found.append((int(y), int(x)))
                    break
        return found

    def near(points: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
        if not others:
            return 0.0
        return float(np.mean([min(np.hypot(y - v, x - u) for v, u in others) <= tolerance for y, x in points]))

    scores = []
    for c in np.unique(truth[truth != IGNORE]):
        true, found = boundary(truth, c), boundary(predicted, c)
        if true:
            precision, share = near(found, true) if found else 0.0, near(true, found)
            scores.append(2 * precision * share / (precision + share) if precision + share else 0.0)
    return float(np.mean(scores))


def test_boundary_f_equals_a_loop_over_pixels() -> None:
    random = np.random.default_rng(3)
    truth = np.kron(random.integers(0, 3, (4, 5)), np.ones((5, 4), dtype=int))
    predicted = np.roll(truth, 1, axis=1)
    truth[:3, :3] = IGNORE
    got = boundary_f(truth, predicted, (0.5, 1, 2))
    np.testing.assert_allclose(got, [naive_boundary_f(truth, predicted, t) for t in (0.5, 1, 2)])
    assert got[0] < got[1]


def test_boundary_f_of_a_perfect_answer_and_of_one_class_alone() -> None:
    truth = np.zeros((6, 6), dtype=int)
    assert np.isnan(boundary_f(truth, truth, (1,))).all()
    truth[:, 3:] = 1
    assert boundary_f(truth, truth, (0,)).tolist() == [1.0]
    assert boundary_f(truth, np.zeros_like(truth), (5,)).tolist() == [0.0]


def test_classes_are_matched_by_name_and_a_missing_one_is_said() -> None:
    table = class_lookup(infos("water", "grass"), infos("grass", "brick", "water"), "release tiny")
    assert table[[0, 1, IGNORE]].tolist() == [2, 0, IGNORE]
    with pytest.raises(ValueError, match="release tiny has no class sand"):
        class_lookup(infos("sand"), infos("grass"), "release tiny")


def test_calibration_error_equals_a_loop_over_bins() -> None:
    random = np.random.default_rng(0)
    confidence, weights = random.random(500), random.integers(0, 9, 500)
    confidence[:3] = 0, 1, 1  # the ends of the range
    correct = random.random(500) < confidence**2
    expected = 0.0
    for low in range(10):
        inside = [i for i in range(500) if low <= confidence[i] * 10 < low + 1 or (low == 9 and confidence[i] == 1)]
        weight = sum(weights[i] for i in inside)
        mean = sum(weights[i] * confidence[i] for i in inside) / weight
        accuracy = sum(weights[i] * correct[i] for i in inside) / weight
        expected += weight * abs(mean - accuracy) / weights.sum()
    assert calibration_error(confidence, correct, weights, bins=10) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    sure, right = np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, True, False])
    assert calibration_error(sure, right, np.ones(4)) == pytest.approx(0.15)
    assert calibration_error(sure, right, np.array([1, 1, 1, 0])) == pytest.approx(0.1)
    assert calibration_error(np.array([1.0, 0.0]), np.array([True, False]), np.ones(2)) == 0
    last = calibration_error(np.array([0.95, 1.0]), np.array([True, False]), np.ones(2))
    assert last == pytest.approx(0.475), "1 lies in the last bin too"
    assert np.isnan(calibration_error(sure, right, np.zeros(4)))


@pytest.mark.parametrize("seed", range(3))
def test_area_under_the_roc_equals_a_loop_over_weighted_pairs(seed: int) -> None:
    random = np.random.default_rng(seed)
    positives, negatives = np.round(random.normal(0.3, 1, 14), 1), np.round(random.normal(0, 1, 11), 1)
    above, below = random.integers(0, 4, 14), random.integers(1, 4, 11)
    won = total = 0.0
    for p, a in zip(positives, above, strict=True):
        for n, b in zip(negatives, below, strict=True):
            total += a * b
            won += a * b * (1 if p > n else 0.5 if p == n else 0)
    assert area_under_roc(positives, negatives, above, below) == pytest.approx(won / total)


def test_area_under_the_roc_of_perfect_useless_and_missing_scores() -> None:
    low, high = np.array([0.1, 0.2]), np.array([0.8, 0.9])
    assert area_under_roc(high, low) == 1
    assert area_under_roc(low, high) == 0
    assert area_under_roc(low, low) == 0.5
    assert np.isnan(area_under_roc(low, np.zeros(0)))
    assert np.isnan(area_under_roc(low, high, np.zeros(2)))


def test_the_bins_of_a_reliability_diagram_add_up() -> None:
    random = np.random.default_rng(4)
    confidence, correct, weights = random.random(200), random.random(200) < 0.5, random.integers(1, 9, 200)
    found = reliability(confidence, correct, weights, bins=10)
    assert found.weight.sum() == pytest.approx(1)
    assert (found.weight * found.confidence).sum() == pytest.approx(np.average(confidence, weights=weights))
    assert (found.weight * found.correct).sum() == pytest.approx(np.average(correct, weights=weights))
    assert (np.floor(found.confidence * 10) == np.arange(10)).all(), "each mean is inside its bin"


def test_full_confidence_is_in_the_last_bin_and_empty_bins_are_not_defined() -> None:
    found = reliability(np.array([1.0, 0.0]), np.array([True, False]), np.array([1, 3]), bins=4)
    assert found.weight.tolist() == [0.75, 0, 0, 0.25]
    assert np.isnan(found.confidence[1:3]).all()
    assert (found.correct[0], found.correct[3]) == (0, 1)


def test_segments_without_a_confidence_are_left_out_of_the_diagram() -> None:
    confidence, correct, weights = np.array([0.1, np.nan, 0.9]), np.array([0.0, 1.0, 1.0]), np.array([1.0, 7.0, 3.0])
    measured = [0, 2]
    for one, other in zip(
        reliability(confidence, correct, weights),
        reliability(confidence[measured], correct[measured], weights[measured]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert np.isnan(calibration_error(np.full(3, np.nan), correct, weights))
