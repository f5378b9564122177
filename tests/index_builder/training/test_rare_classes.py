"""Rare classes are shown more often, where they are, and small things are pasted with their labels."""

from typing import Any

import numpy as np
import torch

from index_builder.datasets import IGNORE, Sample
from index_builder.training.crops import Crops, WithClasses
from index_builder.training.rare_classes import ClassPlaces, paste_small_classes, place_of
from index_builder.training.recipe import Recipe
from tests.conftest import BLOCK_CLASSES

COLOURS = np.array([(200, 40, 40), (40, 200, 40), (40, 40, 200)], np.uint8)


class OneSmallThing:
    """Ten images of class 0, each in the colours of its labels. The last one shows 8x8 pixels of class 2."""

    name, classes = "folder", BLOCK_CLASSES

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> Sample:
        labels = np.zeros((96, 128), np.uint8)
        if i == 9:
            labels[80:88, 100:108] = 2
        return Sample(COLOURS[labels], labels, str(i))


def batches(count: int, **changed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, H, W, 3] and labels [N, H, W]."""
    values = {"datasets": ["folder"], "working_size": 128, "crop": (32, 64), "scale": (1, 1), **changed}
    stream = iter(Crops([WithClasses(OneSmallThing())], Recipe.model_validate(values)))
    drawn = [next(stream) for _ in range(count)]
    images, labels = (torch.cat([getattr(b, name) for b in drawn]).numpy() for name in ("images", "labels"))
    return images.transpose(0, 2, 3, 1), labels


def test_crops_on_rare_classes_show_them_and_the_others_are_as_before() -> None:
    seldom = (batches(50)[1] == 2).any(axis=(1, 2)).mean()
    often = (batches(50, rare_crops=0.5)[1] == 2).any(axis=(1, 2)).mean()
    assert seldom < 0.1
    assert often > 0.25
    assert often < 0.6, "half of the crops lie anywhere"


def test_pasted_things_come_with_their_labels() -> None:
    images, labels = batches(50, rare_crops=0.3, class_mix=1.0)
    np.testing.assert_array_equal(images, COLOURS[labels])
    assert (labels == 2).any(axis=(1, 2)).mean() > 0.5


def test_only_small_classes_are_pasted() -> None:
    donor_labels = torch.full((10, 10), -1, dtype=torch.int32)
    donor_labels[:5] = 0  # half of the crop
    donor_labels[7, :4] = 1
    donor_labels[9, 9] = IGNORE
    crop = (torch.zeros(3, 10, 10, dtype=torch.uint8), torch.full((10, 10), 5, dtype=torch.int32))
    donor = (torch.full((3, 10, 10), 9, dtype=torch.uint8), donor_labels)
    random, pasted = np.random.default_rng(0), 0
    for _ in range(30):
        image, labels = paste_small_classes(crop, donor, random)
        assert set(labels.unique().tolist()) <= {1, 5}
        assert torch.equal(image[0] == 9, labels == 1)
        pasted += bool((labels == 1).any())
    assert 10 < pasted < 28, "each class with probability 2/3"
    assert (crop[1] == 5).all()


def test_a_class_is_drawn_by_the_inverse_root_of_its_pixels_with_an_image_that_shows_it() -> None:
    places, random = ClassPlaces(), np.random.default_rng(0)
    assert places.draw(random) is None
    frequent = np.zeros((100, 100), np.uint8)
    rare = frequent.copy()
    rare[:10, :10] = 1
    rare[99, :5] = 2  # too few pixels to count
    rare[50] = IGNORE
    for image, labels in ((4, frequent), (7, rare), (7, rare)):
        places.add(image, labels, IGNORE)
    drawn = [places.draw(random) for _ in range(400)]
    assert {one for one in drawn if one is not None} == {(4, 0), (7, 0), (7, 1)}
    share = np.mean([one is not None and one[1] == 1 for one in drawn])
    pixels = np.array([2 * 100 * 100 - 100 - 100 - 5, 100])
    expected = pixels[1] ** -0.5 / (pixels.astype(float) ** -0.5).sum()
    assert abs(share - expected) < 0.05


def test_a_place_shows_its_class() -> None:
    labels, random = np.zeros((20, 30), np.uint8), np.random.default_rng(0)
    labels[3, 4] = labels[17, 25] = 6
    assert {place_of(labels, 6, random) for _ in range(40)} == {(3, 4), (17, 25)}
