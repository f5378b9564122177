"""Outlines of masks."""

from itertools import pairwise

import numpy as np
import pytest

from service.images.polygons import polygons


def contains(rings: list[list[list[float]]], x: float, y: float) -> bool:
    """The even-odd rule, by crossings of a ray to the right."""
    crossings = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                crossings += 1
    return crossings % 2 == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_pixel_is_inside_the_outlines_if_and_only_if_the_mask_has_it(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 9)) < 0.5
    rings = polygons(mask)
    for y in range(7):
        for x in range(9):
            assert contains(rings, x + 0.501, y + 0.503) == mask[y, x]


def test_rings_are_closed_and_stay_within_the_image() -> None:
    rings = polygons(np.ones((4, 6), dtype=bool))
    assert len(rings) == 1
    points = np.array(rings[0])
    assert (points[0] == points[-1]).all()
    assert points.min(axis=0).tolist() == [0.0, 0.0]
    assert points.max(axis=0).tolist() == [6.0, 4.0]


def test_a_hole_has_a_ring_of_its_own() -> None:
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    assert len(polygons(mask)) == 2
    assert polygons(np.zeros((3, 3), dtype=bool)) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_outlines_of_a_part_are_those_of_the_whole(seed: int) -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[5:17, 9:31] = np.random.default_rng(seed).random((12, 22)) < 0.6
    rows, columns = np.nonzero(mask)
    top, left = int(rows.min()), int(columns.min())
    part = mask[top : rows.max() + 1, left : columns.max() + 1]
    assert polygons(part, (top, left)) == polygons(mask)
