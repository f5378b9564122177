"""The greedy choice of images, against naive loops and against the best of all choices."""

from itertools import combinations

import numpy as np
import pytest

from segsort.sphere import unit_rows
from service.exploring.choice import Candidates, choose_images


def drawn(seed: int, images: int = 7) -> Candidates:
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, images)
    own = np.repeat(np.arange(images), sizes)
    prototypes = unit_rows(random.normal(size=(len(own), 5)).astype(np.float32))
    covered = random.uniform(-1, 0.4, len(own))
    return Candidates(prototypes, random.uniform(0, 1, len(own)), own, covered)


def total(candidates: Candidates, chosen: list[int]) -> float:
    """What a set of images adds, by naive loops."""
    gained = 0.0
    for n, one in enumerate(candidates.prototypes.astype(np.float64)):
        best = float(candidates.covered[n])
        for m, other in enumerate(candidates.prototypes.astype(np.float64)):
            if candidates.images[m] in chosen:
                best = max(best, float(one @ other))
        gained += float(candidates.weights[n]) * (best - float(candidates.covered[n]))
    return gained


@pytest.mark.parametrize("seed", range(6))
def test_each_choice_has_the_largest_gain_of_all_that_are_left(seed: int) -> None:
    candidates, images = drawn(seed), 7
    chosen: list[int] = []
    for found in choose_images(candidates, images, 4):
        before = total(candidates, chosen)
        gains = {image: total(candidates, [*chosen, image]) - before for image in range(images) if image not in chosen}
        assert found.image == max(gains, key=lambda image: gains[image])
        assert found.score == pytest.approx(gains[found.image], abs=1e-5)
        chosen.append(found.image)
    assert len(chosen) == 4


@pytest.mark.parametrize("seed", range(6))
def test_the_greedy_choice_reaches_63_percent_of_the_best(seed: int) -> None:
    candidates = drawn(seed)
    greedy = total(candidates, [one.image for one in choose_images(candidates, 7, 3)])
    best = max(total(candidates, list(some)) for some in combinations(range(7), 3))
    assert greedy >= (1 - 1 / np.e) * best - 1e-9


def test_a_twin_gains_nothing_after_the_first_and_is_left_out() -> None:
    one = unit_rows(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32))
    twins = Candidates(np.concatenate([one, one]), np.ones(4), np.array([0, 0, 1, 1]), np.full(4, -1.0))
    assert [found.image for found in choose_images(twins, 2, 2)] == [0]


def test_novelty_is_the_mean_distance_before_the_choice() -> None:
    candidates = drawn(1)
    first = choose_images(candidates, 7, 1)[0]
    mine = candidates.images == first.image
    expected = np.average(1 - candidates.covered[mine], weights=candidates.weights[mine])
    assert first.novelty == pytest.approx(float(expected))
