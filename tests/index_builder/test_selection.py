"""Selection of the segments that become exemplars."""

from dataclasses import replace

import numpy as np
import pytest

from index_builder.selection import Candidates, are_distinct, choose_images, select, share_out
from segsort.sphere import unit_rows


def candidates(count: int = 600, images: int = 20, seed: int = 0) -> Candidates:
    random = np.random.default_rng(seed)
    class_ids = random.choice(4, count, p=[0.6, 0.3, 0.09, 0.01])
    return Candidates(
        prototypes=random.standard_normal((count, 8)).astype(np.float32),
        class_ids=class_ids,
        image_ids=random.integers(0, images, count),
        bboxes=np.zeros((count, 4), dtype=np.int32),
        areas=random.permutation(count).astype(np.int64) + 1,
        masks=[""] * count,
    )


@pytest.mark.parametrize("total", [1, 7, 100, 600, 5000])
@pytest.mark.parametrize("balance", [0.0, 0.1, 1.0])
def test_never_more_than_asked_for_and_each_once(total: int, balance: float) -> None:
    rows = select(candidates(), 4, total, balance=balance)
    assert len(rows) <= total
    assert (np.diff(rows) > 0).all()
    if total >= 600:
        assert len(rows) == 600


def test_balance_goes_from_the_classes_frequencies_to_equal_shares() -> None:
    found = np.bincount(candidates().class_ids, minlength=4)
    kept = [np.bincount(candidates().class_ids[select(candidates(), 4, 100, balance=b)], minlength=4) for b in (0, 1)]
    np.testing.assert_allclose(kept[0], 100 * found / 600, atol=2)
    rest = (100 - found[3]) / 3 if found[3] < 25 else 25
    np.testing.assert_allclose(kept[1][:3], rest, atol=2)


def test_what_a_class_does_not_use_is_shared_by_the_others() -> None:
    assert share_out(np.array([1000, 1000, 4]), 100, 1.0).tolist() == [48, 48, 4]
    assert share_out(np.array([10, 0, 30]), 1000, 0.5).tolist() == [10, 0, 30]
    assert share_out(np.array([90, 10]), 50, 0.0).tolist() == [45, 5]


def test_images_take_turns_and_give_their_largest_first() -> None:
    given = candidates()
    rows = select(given, 4, 100, balance=0.0)
    for c in range(3):
        own = rows[given.class_ids[rows] == c]
        each = np.bincount(given.image_ids[own], minlength=20)
        available = np.bincount(given.image_ids[given.class_ids == c], minlength=20)
        assert all(n >= min(each.max() - 1, there) for n, there in zip(each, available, strict=True))
        for image in range(20):
            mine = (given.class_ids == c) & (given.image_ids == image)
            taken = given.areas[own[given.image_ids[own] == image]]
            assert set(taken) == set(np.sort(given.areas[mine])[::-1][: len(taken)])


def test_images_that_show_what_was_seen_least_come_first() -> None:
    image_ids = np.array([0, 0, 1, 1, 2, 3, 3])
    class_ids = np.array([0, 1, 0, 1, 2, 0, 3])
    chosen = choose_images(image_ids, class_ids, 4, 3)
    assert chosen.tolist() == [0, 3, 2]
    rows = select(
        Candidates(np.zeros((7, 2)), class_ids, image_ids, np.zeros((7, 4)), np.ones(7), [""] * 7), 4, 100, max_images=2
    )
    assert set(image_ids[rows]) == {0, 3}


def test_the_same_candidates_give_the_same_exemplars() -> None:
    np.testing.assert_array_equal(select(candidates(), 4, 77, 9), select(candidates(), 4, 77, 9))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((0, None, 0.1), "max_exemplars=0"),
        ((5, 0, 0.1), "max_images=0"),
        ((5, None, 1.5), r"balance=1\.5 must be in 0\.\.1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: tuple[int, int | None, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        select(candidates(), 4, *limits)


@pytest.mark.parametrize("seed", range(4))
def test_chosen_images_are_those_of_a_greedy_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    image_ids, class_ids = random.integers(3, 12, 40), random.integers(0, 5, 40)
    shows = {int(i): set(class_ids[image_ids == i].tolist()) for i in np.unique(image_ids)}
    seen, expected = [0] * 5, []
    while len(expected) < 6:
        best = max(
            (i for i in sorted(shows) if i not in expected), key=lambda i: sum(1 / (1 + seen[c]) for c in shows[i])
        )
        expected.append(best)
        for c in shows[best]:
            seen[c] += 1
    assert choose_images(image_ids, class_ids, 5, 6).tolist() == expected


@pytest.mark.parametrize("balance", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("total", [7, 60, 500])
def test_shares_use_the_whole_total_within_what_is_available(total: int, balance: float) -> None:
    available = np.array([100, 0, 3, 40, 17])
    shares = share_out(available, total, balance)
    assert (shares <= available).all()
    assert (shares >= 0).all()
    assert total - 4 <= shares.sum() <= total or (shares == available).all(), "rounding loses less than one each class"


def test_equal_shares_and_kept_frequencies_by_hand() -> None:
    assert share_out(np.array([100, 50, 10]), 60, 1.0).tolist() == [25, 25, 10]
    assert share_out(np.array([100, 50, 10]), 32, 0.0).tolist() == [20, 10, 2]


@pytest.mark.parametrize("seed", range(3))
def test_the_exemplars_of_a_class_are_those_of_a_loop_over_turns(seed: int) -> None:
    random = np.random.default_rng(seed)
    N = 30
    image_ids, areas = random.integers(0, 5, N), random.permutation(1000)[:N] + 1
    of_one_class = Candidates(
        np.zeros((N, 2), np.float32), np.zeros(N, np.int64), image_ids, np.zeros((N, 4)), areas, [""] * N
    )
    remaining = {i: sorted(np.flatnonzero(image_ids == i).tolist(), key=lambda row: -areas[row]) for i in range(5)}
    expected: list[int] = []
    while len(expected) < 13:
        turn = sorted((rows.pop(0) for rows in remaining.values() if rows), key=lambda row: -areas[row])
        expected += turn[: 13 - len(expected)]
    assert select(of_one_class, 1, 13).tolist() == sorted(expected)


def naive_distinct(rows: np.ndarray, cosine: float) -> list[int]:
    kept: list[int] = []
    for i, row in enumerate(rows):
        if all(float(row @ rows[other]) < cosine for other in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("cosine", [0.2, 0.7, 0.95, 1.0])
def test_of_near_duplicates_the_first_is_kept(cosine: float) -> None:
    random = np.random.default_rng(0)
    rows = unit_rows(random.standard_normal((1300, 4)))  # more than two blocks
    kept = naive_distinct(rows, cosine)
    assert np.flatnonzero(are_distinct(rows, cosine)).tolist() == kept
    assert cosine == 1.0 or len(kept) < 1300


def test_near_duplicates_of_one_class_make_room_for_others() -> None:
    """Copies of a segment are left out, the largest of the first turn stays, and other classes keep their copies."""
    one, other = np.eye(8, dtype=np.float32)[:2]
    given = Candidates(
        prototypes=np.stack([one, one, one, other, one]),
        class_ids=np.array([0, 0, 0, 0, 1]),
        image_ids=np.array([0, 1, 1, 1, 1]),
        bboxes=np.zeros((5, 4), dtype=np.int32),
        areas=np.array([5, 9, 3, 1, 2]),
        masks=[""] * 5,
    )
    assert select(given, 2, 10, distinct=0.99).tolist() == [1, 3, 4]
    assert select(given, 2, 10).tolist() == [0, 1, 2, 3, 4]
    assert len(select(given, 2, 3, balance=0.0)) == 3


def test_without_near_duplicates_nothing_is_left_out() -> None:
    drawn = candidates()
    given = replace(drawn, prototypes=unit_rows(drawn.prototypes))
    np.testing.assert_array_equal(select(given, 4, 100), select(given, 4, 100, distinct=0.9999))


@pytest.mark.parametrize("distinct", [0.0, -0.5, 1.5])
def test_a_cosine_out_of_range_is_refused(distinct: float) -> None:
    with pytest.raises(ValueError, match=f"distinct={distinct} must be above 0"):
        select(candidates(), 4, 100, distinct=distinct)
