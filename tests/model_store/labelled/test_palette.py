"""Colours of classes: different, separable, and always the same."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from model_store.labelled.palette import class_palette, classes_of


def test_as_many_colours_as_classes_are_different():
    colours = class_palette(255)

    assert len(colours) == len(set(colours)) == 255
    assert all(0 <= part <= 255 for colour in colours for part in colour)
    assert not {(0, 0, 0), (255, 255, 255)} & set(colours)


def test_a_longer_palette_begins_with_the_shorter_one():
    assert class_palette(40)[:7] == class_palette(7)
    assert class_palette(0) == []


def test_the_first_colours_are_far_apart_and_far_from_black_and_white():
    lab = rgb2lab(np.array([*class_palette(12), (0, 0, 0), (255, 255, 255)]) / 255)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1000 * np.eye(len(lab))

    assert distances.min() > 25  # a difference of 2 is just visible


def test_colours_in_use_are_avoided():
    first = class_palette(1)[0]

    assert first not in class_palette(20, [first])


def test_classes_keep_their_colours_and_others_take_new_ones():
    classes = classes_of(["car", "road", "tree"], {"car": (10, 20, 30), "tree": (10, 20, 30), "lamp": (1, 1, 1)})

    assert [(info.class_id, info.name) for info in classes] == [(0, "car"), (1, "road"), (2, "tree")]
    assert classes[0].color == (10, 20, 30)
    assert len({info.color for info in classes}) == 3
    assert [info.color for info in classes[1:]] == class_palette(2, [(10, 20, 30)])


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], "0 classes"),
        (["a", "b", "a"], "the names 'a' and 'a' are one name"),
        (["Car", "car"], "the names 'Car' and 'car' are one name"),
        (["a", " "], "the name ' ' of a class is not allowed"),
        ([str(i) for i in range(256)], "256 classes"),
    ],
)
def test_too_few_too_many_or_equal_classes_are_refused(names, problem):
    with pytest.raises(ValueError, match=problem):
        classes_of(names)
