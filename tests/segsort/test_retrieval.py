import itertools
import math

import numpy as np
import pytest

from segsort.retrieval import calibrate, flip_set, vote


def test_vote_equals_naive_loop() -> None:
    random = np.random.default_rng(0)
    similarities, classes = random.uniform(-1, 1, (6, 5)), random.integers(0, 4, (6, 5))
    result = vote(similarities, classes, 4, 10.0)
    for q in range(6):
        terms = [math.exp(10.0 * s) for s in similarities[q]]
        shares = [sum(t for t, c in zip(terms, classes[q], strict=True) if c == k) / sum(terms) for k in range(4)]
        assert result.weights[q] == pytest.approx([t / sum(terms) for t in terms])
        assert result.shares[q] == pytest.approx(shares)
        assert result.class_ids[q] == max(range(4), key=lambda k: (shares[k], -k))


def test_a_tie_goes_to_the_lowest_class() -> None:
    assert vote(np.full((1, 4), 0.5), np.array([[3, 1, 3, 1]]), 5, 10.0).class_ids[0] == 1


def test_vote_survives_any_kappa() -> None:
    result = vote(np.array([[1.0, 0.9, -1.0]]), np.array([[2, 0, 0]]), 3, 1e5)
    assert result.shares[0] == pytest.approx([0, 0, 1])


def test_vote_refuses_unknown_classes_and_empty_rows() -> None:
    with pytest.raises(ValueError, match=r"spans 0\.\.3; allowed are 0\.\.2"):
        vote(np.zeros((1, 2)), np.array([[0, 3]]), 3, 1.0)
    with pytest.raises(ValueError, match="k >= 1"):
        vote(np.zeros((1, 0)), np.zeros((1, 0), dtype=int), 3, 1.0)


def test_no_segments_give_no_votes() -> None:
    assert vote(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), 2, 1.0).class_ids.shape == (0,)


def brute_force_flip(similarities: np.ndarray, classes: np.ndarray, k: int, kappa: float) -> int:
    """Size of the smallest set whose removal changes the label, by trying every set."""
    label = vote(similarities[None, :k], classes[None, :k], 3, kappa).class_ids[0]
    everything = range(len(similarities))
    for size in range(1, len(similarities)):
        for removed in itertools.combinations(everything, size):
            kept = [i for i in everything if i not in removed][:k]
            if vote(similarities[None, kept], classes[None, kept], 3, kappa).class_ids[0] != label:
                return size
    return -1


@pytest.mark.parametrize("seed", range(40))
def test_flip_set_is_minimal_and_flips(seed: int) -> None:
    random = np.random.default_rng(seed)
    similarities = np.sort(random.uniform(0.4, 1, 11))[::-1].copy()
    classes = random.choice(3, 11, p=[0.6, 0.25, 0.15])
    k, kappa = 4, 10.0
    found = flip_set(similarities, classes, k, kappa)
    if found is None:  # the neighbours given are too few to refill the vote: more than 11 - k must go
        assert brute_force_flip(similarities, classes, k, kappa) in (-1, *range(11 - k, 11))
        return
    kept = [i for i in range(11) if i not in found][:k]
    before = vote(similarities[None, :k], classes[None, :k], 3, kappa).class_ids[0]
    assert vote(similarities[None, kept], classes[None, kept], 3, kappa).class_ids[0] != before
    assert len(found) == brute_force_flip(similarities, classes, k, kappa)


def test_flip_set_of_one_class_alone_is_unknown() -> None:
    assert flip_set(np.linspace(1, 0.5, 12), np.zeros(12, dtype=int), 4, 10.0) is None


def test_calibration_is_piecewise_linear_and_constant_outside() -> None:
    assert calibrate(np.array([0.0, 0.5, 0.75, 1.0]), [0.25, 0.75], [0.1, 0.9]) == pytest.approx([0.1, 0.5, 0.9, 0.9])


def test_calibration_refuses_knots_that_fall() -> None:
    with pytest.raises(ValueError, match="not decreasing"):
        calibrate(np.array([0.5]), [0.0, 1.0], [0.9, 0.1])
