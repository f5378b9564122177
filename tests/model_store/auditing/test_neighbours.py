"""Neighbours of exemplars, compared with a search by hand over all pairs."""

from collections.abc import Callable

import numpy as np
import pytest

from model_store.auditing import Material, nearest_of_all, neighbours
from model_store.auditing.neighbours import NONE, nearest_elsewhere


def by_hand(material: Material, place: int, count: int, allowed: Callable[[int], bool]) -> list[int]:
    cosines = [float(material.prototypes[place] @ one) for one in material.prototypes]
    others = [n for n in range(len(cosines)) if allowed(n)]
    return sorted(others, key=lambda n: -cosines[n])[:count]


@pytest.mark.parametrize("images", [2, 12, 150])
@pytest.mark.parametrize("block", [16, 1024])
def test_the_nearest_elsewhere_are_those_of_other_images(
    images: int, block: int, draw: Callable[..., Material], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "QUERIES", block)
    material = draw(images=images)
    found = nearest_elsewhere(material.prototypes, material.images, material.prototypes, material.images, 9)
    for place in range(len(material.rows)):
        image = material.images[place]
        expected = by_hand(material, place, 9, lambda n, image=image: material.images[n] != image)
        assert found.places[place].tolist() == expected
        assert found.cosines[place] == pytest.approx(
            material.prototypes[expected] @ material.prototypes[place], abs=1e-6
        )


def test_the_nearest_of_all_leave_out_only_the_exemplar_itself(draw: Callable[..., Material]) -> None:
    material = draw()
    found = nearest_of_all(material, 5)
    for place in range(len(material.rows)):
        assert found.places[place].tolist() == by_hand(material, place, 5, lambda n, place=place: n != place)


def test_places_without_a_neighbour_are_marked(draw: Callable[..., Material]) -> None:
    material = draw(n=4, images=2, seed=3)
    found = nearest_elsewhere(material.prototypes, material.images, material.prototypes, material.images, 9)
    for place in range(4):
        there = int((material.images != material.images[place]).sum())
        assert (found.places[place, there:] == NONE).all()
        assert (found.places[place, :there] != NONE).all()


def test_copies_of_an_exemplar_do_not_hide_each_other(draw: Callable[..., Material]) -> None:
    material = draw(n=40)
    twice = material._replace(
        rows=np.arange(80),
        prototypes=np.ascontiguousarray(np.repeat(material.prototypes, 2, axis=0)),
        class_ids=np.repeat(material.class_ids, 2),
        images=np.arange(80),
        strengths=np.ones(80, dtype=np.float32),
    )
    found = nearest_of_all(twice, 1)
    assert found.places[:, 0].tolist() == [n ^ 1 for n in range(80)]
