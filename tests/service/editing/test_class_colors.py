"""Colours of new classes can be told apart."""

import itertools
import math

import numpy as np
import pytest

from service.editing.class_colors import UNKNOWN, Color, most_distinct_color, oklab

KNOWN = [  # of the article on OKLab: XYZ of primaries, computed from sRGB by its author
    ((255, 255, 255), (1.0, 0.0, 0.0)),
    ((255, 0, 0), (0.628, 0.225, 0.126)),
    ((0, 255, 0), (0.866, -0.234, 0.179)),
    ((0, 0, 255), (0.452, -0.032, -0.312)),
]


def chosen(count: int) -> list[Color]:
    taken: list[Color] = []
    for _ in range(count):
        taken.append(most_distinct_color(taken))
    return taken


@pytest.mark.parametrize(("color", "lab"), KNOWN)
def test_primaries_have_their_published_place_in_oklab(color: Color, lab: tuple[float, float, float]) -> None:
    assert oklab(np.array([color]))[0] == pytest.approx(lab, abs=0.001)


@pytest.mark.parametrize(("count", "least"), [(4, 0.2), (8, 0.14), (12, 0.1), (24, 0.06)])
def test_any_two_colours_and_the_grey_of_unknown_segments_are_far_apart(count: int, least: float) -> None:
    labs = oklab(np.array([*chosen(count), UNKNOWN]))
    assert min(math.dist(one, other) for one, other in itertools.combinations(labs, 2)) > least


def test_neighbours_differ_in_hue_and_not_in_lightness_alone() -> None:
    labs = oklab(np.array(chosen(6)))
    hues = [math.atan2(b, a) for _, a, b in labs]
    turns = [abs((one - other + math.pi) % (2 * math.pi) - math.pi) for one, other in itertools.pairwise(hues)]
    assert min(turns) > math.radians(30)


def test_a_new_colour_is_far_from_those_that_people_chose() -> None:
    taken = [(0, 255, 0), (10, 240, 20)]  # two neon greens
    labs = oklab(np.array([*taken, most_distinct_color(taken)]))
    assert min(math.dist(labs[2], one) for one in labs[:2]) > 0.3


def test_no_two_of_as_many_classes_as_there_may_be_have_the_same_colour() -> None:
    assert len(set(chosen(255))) == 255
