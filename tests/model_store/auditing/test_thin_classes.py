"""Thin classes."""

from collections.abc import Callable

import numpy as np

from model_store.auditing import Material, ThinClass, thin_classes


def test_a_class_is_thin_if_its_votes_do_not_fill_a_vote_or_its_images_are_few(draw: Callable[..., Material]) -> None:
    material = draw(n=60, k=20)
    labels = np.zeros(60, dtype=np.int64)
    labels[:5], labels[5:30] = 1, 2
    images = np.arange(60)
    images[5:30] %= 2
    strengths = np.ones(60, dtype=np.float32)
    material = material._replace(class_ids=labels, images=images, strengths=strengths, num_classes=5)
    assert thin_classes(material, [0, 1, 2, 4]) == [
        ThinClass(4, 0, 0.0, 0),
        ThinClass(1, 5, 5.0, 5),
        ThinClass(2, 25, 25.0, 2),
    ]


def test_strong_exemplars_fill_a_vote(draw: Callable[..., Material]) -> None:
    material = draw(n=30, k=20)
    strengths = np.full(30, 10, dtype=np.float32)
    changed = material._replace(class_ids=np.arange(30) % 3, images=np.arange(30), strengths=strengths)
    assert thin_classes(changed, [0, 1, 2]) == []
