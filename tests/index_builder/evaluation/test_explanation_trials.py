"""Tests of explanations: voting without removed exemplars, disturbances and sets, compared with plain loops."""

from itertools import combinations

import numpy as np
import pytest

from index_builder.evaluation.explanation_trials import (
    DISTURBANCES,
    Neighbours,
    _flip_set_size,
    _jaccard,
    labels_without,
)


def neighbours(seed: int, S: int, R: int, classes: int) -> Neighbours:
    random = np.random.default_rng(seed)
    cosines = -np.sort(-random.uniform(0.2, 1, (S, R)).astype(np.float32), axis=1)
    strengths = random.choice([0.5, 1.0, 3.0], (S, R)).astype(np.float32)
    return Neighbours(cosines, np.tile(np.arange(R), (S, 1)), random.integers(0, classes, (S, R)), strengths)


def naive_label(found: Neighbours, s: int, removed: set[int], k: int, kappa: float, classes: int) -> int:
    """The class with the largest sum of strength * exp(kappa * cosine) over the first k remaining neighbours."""
    kept = [r for r in range(found.cosines.shape[1]) if r not in removed][:k]
    if not kept:
        return -1
    sums = [0.0] * classes
    for r in kept:
        sums[found.classes[s, r]] += float(found.strengths[s, r]) * float(np.exp(kappa * float(found.cosines[s, r])))
    return int(np.argmax(sums))


@pytest.mark.parametrize("seed", range(4))
def test_labels_without_removed_exemplars_are_those_of_a_loop(seed: int) -> None:
    found = neighbours(seed, 6, 12, 3)
    removed = np.random.default_rng(seed + 10).random((6, 12)) < 0.5
    removed[0], removed[1] = True, False
    labels = labels_without(found, removed, 4, 7.0, 3)
    expected = [naive_label(found, s, set(np.flatnonzero(removed[s]).tolist()), 4, 7.0, 3) for s in range(6)]
    assert labels.tolist() == expected
    assert labels[0] == -1


@pytest.mark.parametrize("seed", range(6))
def test_no_smaller_set_of_exemplars_changes_the_label_than_the_flip_set(seed: int) -> None:
    R, k, kappa = 12, 3, 6.0
    found = neighbours(seed, 4, R, 3)
    for s in range(4):
        winner = naive_label(found, s, set(), k, kappa, 3)
        wins = np.flatnonzero(found.classes[s] == winner).tolist()
        most = min(len(wins), R - k)
        sets = (one for size in range(1, most + 1) for one in combinations(wins, size))
        smallest = next((one for one in sets if naive_label(found, s, set(one), k, kappa, 3) != winner), None)
        size = _flip_set_size(found.cosines[s], found.classes[s], found.strengths[s], winner, k, kappa)
        assert size == (len(smallest) if smallest is not None else np.inf)


def test_the_jaccard_index_by_hand() -> None:
    assert _jaccard(np.array([1, 2, 3]), np.array([3, 4])) == pytest.approx(1 / 4)
    assert _jaccard(np.array([1, 2]), np.array([2, 1])) == 1
    assert _jaccard(np.array([1]), np.array([2])) == 0


def test_disturbances_do_what_their_names_say() -> None:
    image = np.random.default_rng(0).integers(60, 190, (32, 48, 3), dtype=np.uint8)
    changed = {name: one.change(image, np.random.default_rng(1)) for name, one in DISTURBANCES.items()}
    assert {(other.shape, other.dtype) for other in changed.values()} == {(image.shape, image.dtype)}
    np.testing.assert_array_equal(changed["shift"][:, 1:], image[:, :-1])
    np.testing.assert_array_equal(changed["shift"][:, 0], image[:, 0])
    noise = changed["noise"].astype(int) - image
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=0.3), pytest.approx(5, abs=0.3))
    assert 0 < np.abs(changed["jpeg"].astype(int) - image).mean() < 40
    assert [name for name, one in DISTURBANCES.items() if one.shift] == ["shift"]
