"""Groups of near duplicates."""

from collections.abc import Callable

import numpy as np

from model_store.auditing import MOST_NEIGHBOURS, Group, Material, duplicate_groups, nearest_of_all

THRESHOLD = 0.995


def groups_of(material: Material) -> list[Group]:
    return duplicate_groups(material, nearest_of_all(material, MOST_NEIGHBOURS), THRESHOLD)


def with_copies(material: Material, pairs: dict[int, int]) -> Material:
    """The material, with some prototypes replaced by those of others."""
    prototypes = material.prototypes.copy()
    for copy, original in pairs.items():
        prototypes[copy] = prototypes[original]
    return material._replace(prototypes=prototypes)


def test_copies_are_grouped_and_no_other_is(draw: Callable[..., Material]) -> None:
    material = draw()
    assert groups_of(material) == []
    labels = material.class_ids.copy()
    labels[[3, 8, 20]] = 1
    found = groups_of(with_copies(material._replace(class_ids=labels), {8: 3, 20: 3}))
    assert [sorted(one.places) for one in found] == [[3, 8, 20]]
    assert not found[0].conflict


def test_copies_of_several_classes_are_a_conflict_and_come_first(draw: Callable[..., Material]) -> None:
    material = draw()
    labels = material.class_ids.copy()
    labels[[3, 8, 20]] = 1
    labels[[30, 31]] = [0, 2]
    found = groups_of(with_copies(material._replace(class_ids=labels), {8: 3, 20: 3, 31: 30}))
    assert [(sorted(one.places), one.conflict) for one in found] == [([30, 31], True), ([3, 8, 20], False)]


def test_every_pair_of_near_duplicates_of_two_classes_is_in_one_group(draw: Callable[..., Material]) -> None:
    material = draw(n=60)
    labels = material.class_ids.copy()
    labels[[3, 8, 20, 21]] = [0, 1, 0, 0]
    found = groups_of(with_copies(material._replace(class_ids=labels), {8: 3, 20: 3, 21: 3}))
    assert [sorted(one.places) for one in found] == [[3, 8, 20, 21]]


def test_no_exemplar_is_in_two_groups_and_each_is_near_the_first(draw: Callable[..., Material]) -> None:
    material = draw(n=300, spread=0.02)
    near = nearest_of_all(material, MOST_NEIGHBOURS)
    found = duplicate_groups(material, near, THRESHOLD)
    members = [place for one in found for place in one.places]
    assert len(found) > 5
    assert len(members) == len(set(members))
    for one in found:
        cosines = material.prototypes[list(one.places)] @ material.prototypes[one.places[0]]
        assert (cosines >= THRESHOLD - 1e-6).all()
        np.testing.assert_allclose(cosines, one.cosines, atol=1e-6)
