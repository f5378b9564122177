"""Near duplicates: groups of exemplars that look the same to the network."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model_store.auditing.material import Material
from model_store.auditing.neighbours import NONE, Nearest

MOST_NEIGHBOURS = 32  # of each exemplar that are compared, so a group has at most one more


class Group(NamedTuple):
    """Exemplars that are near duplicates of the first one.

    places: positions in the material, the first one first, then by falling cosine; cosines: to the first one, 1 for
    itself; conflict: whether they have several classes.
    """

    places: Sequence[int]
    cosines: Sequence[float]
    conflict: bool


def duplicate_groups(material: Material, near: Nearest, threshold: float) -> list[Group]:
    """Group near duplicates. Each exemplar belongs to one group at most.

    Exemplars with the most duplicates of other classes begin, then those with the most duplicates. Each takes all its
    duplicates that no group has yet.

    Args:
        material: n exemplars.
        near: the nearest `MOST_NEIGHBOURS` of all exemplars.
        threshold: smallest cosine of near duplicates.

    Returns:
        Groups of several classes first, then large groups.
    """
    same = (near.places != NONE) & (near.cosines >= threshold)
    others = same & (material.class_ids[near.places] != material.class_ids[:, None])
    order = np.lexsort((np.arange(len(same)), -same.sum(axis=1), -others.sum(axis=1)))
    free, groups = same.any(axis=1), list[Group]()
    for place in order.tolist():
        if not free[place]:
            continue
        members = near.places[place][same[place]]
        members, cosines = members[free[members]], near.cosines[place][same[place]][free[members]]
        if not len(members):
            continue
        free[place], free[members] = False, False
        classes = {*material.class_ids[members].tolist(), int(material.class_ids[place])}
        groups.append(Group([place, *members.tolist()], [1.0, *cosines.tolist()], len(classes) > 1))
    return sorted(groups, key=lambda one: (not one.conflict, -len(one.places)))
