"""Thin classes: classes with so few exemplars, or exemplars of so few images, that their votes are weak."""

from typing import NamedTuple

import numpy as np

from model_store.auditing.material import Material

FEW_IMAGES = 3  # a class with fewer images is thin


class ThinClass(NamedTuple):
    """A class with few exemplars. votes: sum of their strengths; images: number of images they are from."""

    class_id: int
    exemplars: int
    votes: float
    images: int


def thin_classes(material: Material, offered: list[int]) -> list[ThinClass]:
    """The classes that cannot fill the k places of a vote, or whose exemplars are of fewer than three images.

    Args:
        material: the exemplars.
        offered: ids of the classes that are in use.

    Returns:
        Those with the fewest votes first.
    """
    found = []
    for class_id in offered:
        members = material.class_ids == class_id
        votes, images = float(material.strengths[members].sum()), len(np.unique(material.images[members]))
        if votes < material.k or images < FEW_IMAGES:
            found.append(ThinClass(class_id, int(members.sum()), votes, images))
    return sorted(found, key=lambda one: (one.votes, one.images, one.class_id))
