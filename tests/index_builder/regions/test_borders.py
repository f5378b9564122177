"""Borders of regions, compared with loops over pixels."""

import numpy as np

from index_builder.regions.borders import boundary_pixels, find_borders
from index_builder.regions.superpixels import connected_pieces

RANDOM = np.random.default_rng(0)
REGIONS = connected_pieces(RANDOM.integers(0, 3, (9, 11)))
STRENGTH = RANDOM.random((9, 11))


def neighbours(y: int, x: int) -> list[tuple[int, int]]:
    around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return [(a, b) for a, b in around if 0 <= a < REGIONS.shape[0] and 0 <= b < REGIONS.shape[1]]


def test_boundary_pixels_lie_beside_another_region() -> None:
    found = boundary_pixels(REGIONS)
    for y, x in np.ndindex(REGIONS.shape):
        assert found[y, x] == any(REGIONS[other] != REGIONS[y, x] for other in neighbours(y, x))


def test_a_border_is_as_strong_as_its_sides_are_on_average() -> None:
    expected: dict[tuple[int, int], list[float]] = {}
    for pixel in np.ndindex(REGIONS.shape):
        for other in neighbours(*pixel):
            if REGIONS[pixel] < REGIONS[other]:
                pair = (int(REGIONS[pixel]), int(REGIONS[other]))
                expected.setdefault(pair, []).append(max(STRENGTH[pixel], STRENGTH[other]))
    found = find_borders(REGIONS, STRENGTH)
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert sorted(pairs) == sorted(expected)
    for pair, sides, strength in zip(pairs, found.sides, found.strength, strict=True):
        assert sides == len(expected[pair])
        np.testing.assert_allclose(strength, np.mean(expected[pair]))


def test_one_region_has_no_border() -> None:
    whole = np.zeros((4, 5), dtype=np.int32)
    assert not boundary_pixels(whole).any()
    assert len(find_borders(whole, np.ones((4, 5))).first) == 0
