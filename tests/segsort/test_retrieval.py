import itertools
import math
from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segsort.retrieval import NO_CLASS, calibrate, familiarity, flip_set, vote, winning_strength


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


def test_vote_refuses_unknown_classes_and_rows_of_other_lengths() -> None:
    with pytest.raises(ValueError, match=r"spans 0\.\.3; allowed are 0\.\.2"):
        vote(np.zeros((1, 2)), np.array([[0, 3]]), 3, 1.0)
    with pytest.raises(ValueError, match=r"has shape \(1, 2\), class_ids \(1, 3\)"):
        vote(np.zeros((1, 2)), np.zeros((1, 3), dtype=int), 3, 1.0)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_without_exemplars_no_segment_has_a_class(num_classes: int) -> None:
    result = vote(np.zeros((4, 0)), np.zeros((4, 0), dtype=int), num_classes, 10.0, np.zeros((4, 0)))
    assert result.class_ids.tolist() == [NO_CLASS] * 4
    assert result.weights.shape == (4, 0)
    assert result.shares.shape == (4, num_classes)
    assert not result.shares.any()


def test_no_segments_give_no_votes() -> None:
    assert vote(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), 2, 1.0).class_ids.shape == (0,)


VOTERS = st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(0, 2), st.integers(1, 5)), min_size=1, max_size=8)


@given(voters=VOTERS, kappa=st.sampled_from([0.5, 10.0, 60.0]))
@settings(deadline=None)
def test_an_exemplar_of_strength_s_counts_as_s_exemplars(voters: list[tuple[float, int, int]], kappa: float) -> None:
    columns = [np.array(column) for column in zip(*voters, strict=True)]
    similarities, classes, strengths = columns
    found = vote(similarities[None], classes[None], 3, kappa, strengths[None])
    copies = vote(np.repeat(similarities, strengths)[None], np.repeat(classes, strengths)[None], 3, kappa)
    assert found.shares[0] == pytest.approx(copies.shares[0])
    ends = np.cumsum(strengths)
    summed = [copies.weights[0, end - s : end].sum() for end, s in zip(ends, strengths, strict=True)]
    assert found.weights[0] == pytest.approx(summed)


def test_strengths_of_one_change_nothing() -> None:
    random = np.random.default_rng(0)
    similarities, classes = random.uniform(-1, 1, (6, 5)).astype(np.float32), random.integers(0, 4, (6, 5))
    plain, counted = (vote(similarities, classes, 4, 10.0, s) for s in (None, np.ones((6, 5), dtype=np.float32)))
    for one, other in zip(plain, counted, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("strengths", [np.array([[1.0, 0.0]]), np.array([[1.0, np.inf]]), np.ones((1, 3))])
def test_strengths_that_are_none_are_refused(strengths: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"one finite number above 0 for each of the similarities \(1, 2\)"):
        vote(np.zeros((1, 2)), np.array([[0, 1]]), 2, 1.0, strengths)
    with pytest.raises(ValueError, match="strengths have shape"):
        flip_set(np.zeros(2), np.array([0, 1]), 1, 1.0, strengths[0])


def label_without(
    removed: Collection[int], similarities: np.ndarray, classes: np.ndarray, strengths: np.ndarray, k: int, kappa: float
) -> int:
    """By the first k that are left."""
    kept = [i for i in range(len(similarities)) if i not in removed][:k]
    columns = (similarities[None, kept], classes[None, kept], 3, kappa, strengths[None, kept])
    return int(vote(*columns).class_ids[0])


def brute_force_flip(
    similarities: np.ndarray, classes: np.ndarray, k: int, kappa: float, strengths: np.ndarray | None = None
) -> int:
    """Size of the smallest set whose removal changes the label, by trying every set."""
    voters = similarities, classes, np.ones(len(classes)) if strengths is None else strengths
    label = label_without((), *voters, k, kappa)
    for size in range(1, len(similarities)):
        for removed in itertools.combinations(range(len(similarities)), size):
            if label_without(removed, *voters, k, kappa) != label:
                return size
    return -1


@given(
    voters=st.lists(
        st.tuples(st.integers(40, 100), st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from([1, 1, 2, 5, 40])),
        min_size=2,
        max_size=9,
    ),
    k=st.integers(1, 4),
)
@settings(max_examples=300, deadline=None)
def test_no_smaller_set_flips_where_exemplars_have_strengths(voters: list[tuple[int, int, int]], k: int) -> None:
    voters = sorted(voters, reverse=True)
    hundredths, classes, strengths = (np.array(column) for column in zip(*voters, strict=True))
    similarities = hundredths / 100 - np.sqrt(np.arange(2, len(voters) + 2)) / 1000  # no ties, which rounding decides
    kappa = 10.0
    found = flip_set(similarities, classes, k, kappa, strengths)
    smallest = brute_force_flip(similarities, classes, k, kappa, strengths)
    if found is None:
        assert smallest == -1 or smallest > len(voters) - k, "too few would be left to vote"
        return
    assert len(found) == len(set(found)) == smallest
    label = label_without((), similarities, classes, strengths, k, kappa)
    assert label_without(found, similarities, classes, strengths, k, kappa) != label
    heaviness = kappa * similarities[found] + np.log(strengths[found])
    assert (np.diff(heaviness) <= 1e-6).all()


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


def test_calibration_is_piecewise_linear_and_constant_above_the_last_knot() -> None:
    assert calibrate(np.array([0.25, 0.5, 0.75, 1.0]), [0.25, 0.75], [0.1, 0.9]) == pytest.approx([0.1, 0.5, 0.9, 0.9])


def test_below_the_first_knot_a_smaller_share_gives_a_smaller_confidence() -> None:
    shares = np.array([0.0, 0.05, 0.1, 0.2, 0.25])
    assert calibrate(shares, [0.25, 0.75], [0.1, 0.9]) == pytest.approx([0.0, 0.02, 0.04, 0.08, 0.1])
    assert calibrate(shares, [0.0, 1.0], [0.0, 1.0]) == pytest.approx(shares)


def test_calibration_refuses_knots_that_fall() -> None:
    with pytest.raises(ValueError, match="not decreasing"):
        calibrate(np.array([0.5]), [0.0, 1.0], [0.9, 0.1])


@given(
    segments=st.lists(st.tuples(st.floats(-1, 1, width=32), st.integers(1, 50)), min_size=1, max_size=8),
)
@settings(deadline=None)
def test_familiarity_is_half_the_segment_and_half_the_mean_pixel(segments: list[tuple[float, int]]) -> None:
    pixels = [cosine for cosine, area in segments for _ in range(area)]
    mean = sum(pixels) / len(pixels)
    cosines, areas = (np.array(column) for column in zip(*segments, strict=True))
    own, image = familiarity(cosines.astype(np.float32), areas)
    assert image == pytest.approx(mean, abs=1e-9)
    assert own == pytest.approx([(cosine + mean) / 2 for cosine, _ in segments], abs=1e-9)


def share_with(strength: float, voters: list[tuple[float, bool, int]], cosine: float, kappa: float) -> float:
    """The share of the new exemplar's class, by `vote` with the new exemplar among the voters."""
    cosines = np.array([[cosine, *(one for one, _, _ in voters)]])
    classes = np.array([[1, *(int(same) for _, same, _ in voters)]])
    strengths = np.array([[strength, *(float(s) for _, _, s in voters)]])
    return float(vote(cosines, classes, 2, kappa, strengths).shares[0, 1])


@given(
    voters=st.lists(
        st.tuples(st.floats(0.5, 1), st.booleans(), st.sampled_from([1, 1, 2, 7])),
        max_size=6,
    ),
    cosine=st.floats(0.7, 1),
    share=st.sampled_from([0.5, 0.6, 0.9]),
)
@settings(max_examples=200, deadline=None)
def test_the_winning_strength_is_the_first_whole_number_that_reaches_the_share(
    voters: list[tuple[float, bool, int]], cosine: float, share: float
) -> None:
    """A search tries 1, 2, 3, ... with the vote itself."""
    kappa = 6.0
    tried = 1
    while share_with(tried, voters, cosine, kappa) < share + 1e-9:
        tried += 1
    cosines, same, strengths = (np.array([one[i] for one in voters]) for i in range(3))
    found = winning_strength(cosines, same.astype(bool), cosine, share, kappa, strengths.astype(float))
    assert found == tried or share_with(tried, voters, cosine, kappa) < share + 1e-5, "a tie, which rounding decides"


def test_the_winning_strength_of_some_votes_by_hand() -> None:
    """With equal cosines each exemplar weighs 1: 3 others against it need 4.5 for 60 %, so 5."""
    against = np.zeros(3, dtype=bool)
    assert winning_strength(np.full(3, 0.8), against, 0.8, 0.6, 10.0) == 5
    assert winning_strength(np.full(3, 0.8), ~against, 0.8, 0.6, 10.0) == 1
    assert winning_strength(np.full(3, 0.8), np.array([True, False, False]), 0.8, 0.6, 10.0) == 3  # 2 of 4 are short
    assert winning_strength(np.zeros(0), np.zeros(0, dtype=bool), 0.8, 0.6, 10.0) == 1
    assert winning_strength(np.full(3, 0.8), against, 0.8, 0.6, 10.0, np.array([4.0, 1, 1])) == 10  # 9 and rounding


def test_a_winning_strength_beyond_floats_is_infinite() -> None:
    assert winning_strength(np.array([1.0]), np.array([False]), -1.0, 0.6, 1e5) == math.inf
    assert winning_strength(np.array([1.0]), np.array([True]), -1.0, 0.6, 1e5) == 1


@pytest.mark.parametrize(("voters", "flags", "share"), [(2, 3, 0.6), (2, 2, 0.0), (2, 2, 1.0)])
def test_a_winning_strength_of_nothing_sensible_is_refused(voters: int, flags: int, share: float) -> None:
    with pytest.raises(ValueError, match=rf"shape \({voters},\), same_class \({flags},\), share={share}"):
        winning_strength(np.zeros(voters), np.zeros(flags, dtype=bool), 1.0, share, 10.0)
