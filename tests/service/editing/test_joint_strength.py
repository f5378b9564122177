"""Strengths of several new exemplars, checked by adding them and voting."""

import tracemalloc
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from service.editing import joint_strength as module
from service.editing.joint_strength import OfImages, joint_strengths
from service.editing.strength import SHARE, needed_strength, wins_vote


@pytest.fixture(scope="module")
def state(tiny_release: Path) -> LiveExemplars:
    return LiveExemplars.of_release(Release.open(tiny_release))


def near(state: LiveExemplars, count: int, spread: float = 0.1, seed: int = 0) -> np.ndarray:
    """Unit vectors beside exemplars."""
    random = np.random.default_rng(seed)
    found = state.prototypes(random.integers(0, state.count, count)) + random.normal(0, spread, (count, 32))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def added(state: LiveExemplars, prototypes: np.ndarray, classes: np.ndarray, strengths: np.ndarray) -> LiveExemplars:
    new = [
        AddedExemplar(f"new {n}", prototypes[n], int(classes[n]), strengths[n], "i", "s", 1, 1, (0, 0, 1, 1), 1, "0")
        for n in range(len(prototypes))
    ]
    return state.edited(1, added=new)


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("count", [1, 2, 8, 30])
def test_every_piece_wins_its_own_vote(state: LiveExemplars, count: int, k: int) -> None:
    for seed in range(4):
        prototypes = near(state, count, seed=seed)
        classes = np.random.default_rng(seed).integers(0, 3, count)
        strengths = joint_strengths(state, prototypes, classes, {k})
        assert (strengths == np.round(strengths)).all()
        assert wins_vote(added(state, prototypes, classes, strengths), prototypes, classes, k).all()


def test_a_single_piece_is_as_strong_as_a_correction(state: LiveExemplars) -> None:
    for prototype in near(state, 10):
        found = joint_strengths(state, prototype[None], np.array([1]), {5, 20})
        assert found.tolist() == [needed_strength(state, prototype, 1, {5, 20})]
        edited = added(state, prototype[None], np.array([1]), found)
        cosines, rows = edited.search(prototype[None], 5)
        assert edited.vote(cosines, rows).shares[0, 1] >= SHARE


def test_pieces_that_are_close_win_against_each_other(state: LiveExemplars) -> None:
    """Two classes alternate along a line of prototypes: each piece is next to pieces of the other class."""
    ends = state.prototypes(np.array([0, int(np.flatnonzero(state.class_ids(np.arange(state.count)) == 1)[0])]))
    mixed = np.linspace(1, 0, 4)[:, None] * ends[0] + np.linspace(0, 1, 4)[:, None] * ends[1]
    prototypes = (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)
    classes = np.array([0, 1] * 2)
    alone = np.array([needed_strength(state, one, int(c), {5}) for one, c in zip(prototypes, classes, strict=True)])
    strengths = joint_strengths(state, prototypes, classes, {5})
    assert wins_vote(added(state, prototypes, classes, strengths), prototypes, classes, 5).all()
    assert (strengths >= alone).all()


def test_of_equal_pieces_of_two_classes_one_wins_and_the_others_stay_weak(state: LiveExemplars) -> None:
    prototypes = np.repeat(near(state, 1), 2, axis=0)
    classes = np.array([0, 2])
    strengths = joint_strengths(state, prototypes, classes, {5})
    alone = [needed_strength(state, prototypes[0], int(c), {5}) for c in classes]
    won = wins_vote(added(state, prototypes, classes, strengths), prototypes, classes, 5)
    assert won.sum() == 1
    assert strengths.max() <= 3 * max(alone)


def test_pieces_far_from_others_do_not_change_each_other(state: LiveExemplars) -> None:
    random = np.random.default_rng(0).normal(size=(3, 32))
    prototypes = np.linalg.qr(random.T)[0].T.astype(np.float32)
    classes = np.array([0, 1, 2])
    together = joint_strengths(state, prototypes, classes, {2})
    apart = [joint_strengths(state, prototypes[[n]], classes[[n]], {2})[0] for n in range(3)]
    assert together.tolist() == apart


def test_exemplars_that_go_do_not_count(state: LiveExemplars) -> None:
    prototypes, classes = near(state, 1), np.array([1])
    strong = added(state, prototypes, np.array([0]), np.array([500.0]))
    row = strong.row("new 0")
    assert joint_strengths(strong, prototypes, classes, {5})[0] > 500
    assert joint_strengths(strong, prototypes, classes, {5}, {row, None}) == joint_strengths(
        state, prototypes, classes, {5}
    )


def test_without_present_exemplars_pieces_only_need_to_win_against_each_other(empty_release: Path) -> None:
    blank = LiveExemplars.of_release(Release.open(empty_release))
    prototypes = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 3)))[0].T.astype(np.float32)
    assert joint_strengths(blank, prototypes, np.array([0, 1, 1]), {5}).tolist() == [1, 1, 1]


@pytest.mark.parametrize("scope", ["all", "image"])
def test_many_pieces_need_little_memory(state: LiveExemplars, scope: Literal["all", "image"]) -> None:
    """Ten arrays of the cosines of all pairs would need 720 MB."""
    count = 3000
    prototypes, classes = near(state, count), np.random.default_rng(0).integers(0, 3, count)
    of_images = OfImages([f"image {n % 7}" for n in range(count)], scope)
    tracemalloc.start()
    try:
        strengths = joint_strengths(state, prototypes, classes, {5}, range(3), of_images)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(strengths) == count
    assert peak < 120e6


def test_pieces_that_cannot_all_win_take_bounded_time(state: LiveExemplars, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal pieces of two classes make each other stronger without end."""
    count, asked = 400, 0
    needed = module._Votes.needed

    def counted(votes: module._Votes, strengths: np.ndarray, only: int | None = None) -> np.ndarray:
        nonlocal asked
        asked += only is not None
        return needed(votes, strengths, only)

    monkeypatch.setattr(module._Votes, "needed", counted)
    prototypes = np.repeat(near(state, count // 2), 2, axis=0)
    strengths = joint_strengths(state, prototypes, np.arange(count) % 2, {5})
    assert (strengths >= 1).all()
    assert asked < 4 * (16 * 400 + count)


@pytest.mark.parametrize("k", [1, 3, 9, 12])
def test_the_largest_are_those_of_a_stable_order(k: int) -> None:
    cosines = np.random.default_rng(0).integers(0, 4, (50, 9)).astype(float)
    cosines[::7, 2:] = -np.inf
    values, columns = module._largest(cosines, k)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    assert columns.tolist() == order.tolist()
    assert values.tolist() == np.take_along_axis(cosines, order, axis=1).tolist()
