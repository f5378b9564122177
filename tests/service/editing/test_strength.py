from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from service.editing.strength import SHARE, STRONGEST, needed_strength, wins_already
from service.problems import Problem


@pytest.fixture(scope="module")
def state(tiny_release: Path) -> LiveExemplars:
    return LiveExemplars.of_release(Release.open(tiny_release))


def queries(state: LiveExemplars, count: int = 12) -> np.ndarray:
    """Unit vectors between and beside exemplars."""
    random = np.random.default_rng(0)
    rows = random.integers(0, state.count, (count, 2))
    mixed = state.prototypes(rows[:, 0]) + state.prototypes(rows[:, 1]) + random.normal(0, 0.02, (count, 32))
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def share_with(state: LiveExemplars, prototype: np.ndarray, class_id: int, k: int, strength: float) -> float:
    """Share of the class after the segment is added as an exemplar."""
    new = AddedExemplar("new", prototype, class_id, strength, "i", "s", 1, 1, (0, 0, 1, 1), 1, "0")
    edited = state.edited(1, added=[new])
    cosines, rows = edited.search(prototype[None], k)
    return float(edited.vote(cosines, rows).shares[0, class_id])


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_it_is_the_smallest_whole_strength_that_wins(state: LiveExemplars, k: int) -> None:
    for query in queries(state):
        for class_id in range(3):
            strength = needed_strength(state, query, class_id, {k})
            assert strength == round(strength)
            assert share_with(state, query, class_id, k, strength) >= SHARE
            assert strength == 1 or share_with(state, query, class_id, k, strength - 1) < SHARE


def test_it_wins_whichever_number_votes(state: LiveExemplars) -> None:
    for query in queries(state, 4):
        both = needed_strength(state, query, 1, {3, 20})
        assert both == max(needed_strength(state, query, 1, {k}) for k in (3, 20))


def test_rows_that_go_count_no_more(state: LiveExemplars) -> None:
    query = queries(state)[0]
    strong = AddedExemplar("old", query, 0, 500.0, "i", "s", 1, 1, (0, 0, 1, 1), 1, "0")
    edited = state.edited(1, added=[strong])
    assert wins_already(edited, query, 0, {5, 20})
    assert not wins_already(edited, query, 1, {5})
    assert needed_strength(edited, query, 1, {5}, {edited.row("old")}) == needed_strength(state, query, 1, {5})
    assert needed_strength(edited, query, 1, {5}) > 500


def test_it_is_bounded_and_says_where_nothing_helps(state: LiveExemplars) -> None:
    query = queries(state)[0]
    strong = AddedExemplar("0", query, 0, 1000.0, "i", "s", 1, 1, (0, 0, 1, 1), 1, "0")
    edited = state.edited(1, added=[replace(strong, exemplar_id=str(n)) for n in range(3)])
    assert needed_strength(edited, query, 1, {5}) == STRONGEST
    with pytest.raises(Problem, match="3 exemplars are identical to this segment"):
        needed_strength(edited, query, 1, {3})
