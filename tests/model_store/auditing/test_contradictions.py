"""Contradicted exemplars, compared with a naive leave-one-out over all pairs."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from model_store.auditing import DEPTH, Material, contradictions


def naive(material: Material) -> dict[int, tuple[int, float, float]]:
    """By position of a contradicted exemplar: the class that wins without it, the margin and the score."""
    found = {}
    for n in range(len(material.rows)):
        others = [m for m in range(len(material.rows)) if material.images[m] != material.images[n]]
        cosine = {m: float(material.prototypes[n].astype(np.float64) @ material.prototypes[m]) for m in others}
        voters = sorted(others, key=lambda m: -cosine[m])[: material.k]
        weights = {m: material.strengths[m] * math.exp(material.kappa * cosine[m]) for m in voters}
        shares = [0.0] * material.num_classes
        for m in voters:
            shares[material.class_ids[m]] += weights[m] / sum(weights.values())
        own = int(material.class_ids[n])
        winner = max(range(len(shares)), key=lambda c: (shares[c], -c))
        mine = [m for m in others if material.class_ids[m] == own]
        if winner == own or len(mine) < 3:
            continue
        ratios = []
        for class_id in set(material.class_ids.tolist()) - {own}:
            theirs = [m for m in others if material.class_ids[m] == class_id]
            count = min(DEPTH, len(mine), len(theirs))
            if count:
                ratios.append(_distance(cosine, theirs, count) / _distance(cosine, mine, count))
        found[n] = (winner, shares[winner] - shares[own], max(0.0, 1 - min(ratios)))
    return found


def _distance(cosine: dict[int, float], members: list[int], count: int) -> float:
    """Mean distance to the nearest `count` of some exemplars."""
    nearest = sorted((cosine[m] for m in members), reverse=True)[:count]
    return sum(math.sqrt(max(0.0, 2 - 2 * one)) for one in nearest) / count


@pytest.mark.parametrize("seed", range(3))
def test_contradicted_exemplars_are_those_of_a_naive_leave_one_out(seed: int, draw: Callable[..., Material]) -> None:
    material = draw(seed=seed, spread=0.45)
    expected = naive(material)
    found = contradictions(material)
    assert len(expected) > 9
    assert sorted(found.places.tolist()) == sorted(expected)
    for place, winner, margin, score in zip(
        found.places.tolist(), found.class_ids.tolist(), found.margins, found.scores, strict=True
    ):
        assert winner == expected[place][0]
        assert (margin, score) == pytest.approx(expected[place][1:], abs=1e-4)
    assert found.scores.tolist() == sorted(found.scores, reverse=True)


def test_frames_of_one_image_do_not_vouch_for_each_other(draw: Callable[..., Material]) -> None:
    material = draw(spread=0.05)
    wrong = np.flatnonzero((material.images == 4) & (material.class_ids == 0))
    assert len(wrong) > 1
    labels = material.class_ids.copy()
    labels[wrong] = 1
    copies = material.prototypes.copy()
    copies[wrong] = copies[wrong[0]]  # as in frames of a film
    found = contradictions(material._replace(class_ids=labels, prototypes=copies))
    assert set(wrong.tolist()) <= set(found.places.tolist())


def test_a_class_that_one_image_alone_has_is_not_judged(draw: Callable[..., Material]) -> None:
    material = draw()
    labels = material.class_ids.copy()
    labels[material.images == 4] = 3
    found = contradictions(material._replace(class_ids=labels, num_classes=4))
    assert not (labels[found.places] == 3).any()


def test_exemplars_of_one_image_judge_each_other_if_there_are_fewer_than_three_images(
    draw: Callable[..., Material],
) -> None:
    material = draw(images=1, spread=0.05)
    assert not material.across_images
    labels = material.class_ids.copy()
    labels[5] = (labels[5] + 1) % 3
    assert contradictions(material._replace(class_ids=labels)).places.tolist() == [5]


def test_planted_wrong_labels_come_first(draw: Callable[..., Material]) -> None:
    material = draw(n=600, images=40, spread=0.2)
    random = np.random.default_rng(5)
    planted = random.choice(np.flatnonzero(material.class_ids == 2), 9, replace=False)
    labels = material.class_ids.copy()
    labels[planted] = 0
    found = contradictions(material._replace(class_ids=labels)).places
    of_the_class = found[labels[found] == 0]
    assert len(set(of_the_class[:9].tolist()) & set(planted.tolist())) >= 8


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_exemplars_contradict_nobody(n: int, draw: Callable[..., Material]) -> None:
    assert len(contradictions(draw(n=n)).places) == 0
