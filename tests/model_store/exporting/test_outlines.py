"""Outlines of masks: filling them gives the mask again."""

import numpy as np
import pytest

from model_store.exporting.outlines import bridged, outlines_of, run_lengths
from model_store.labelled.polygons import fill_rings
from tests.model_store.exporting.samples import blobs


def _area(ring: np.ndarray) -> float:
    """Signed area by the sum over its sides."""
    total = 0.0
    for (x0, y0), (x1, y1) in zip(ring.tolist(), [*ring.tolist()[1:], ring.tolist()[0]], strict=True):
        total += x0 * y1 - x1 * y0
    return total / 2


def _parts(mask: np.ndarray) -> int:
    """Number of parts whose pixels are joined by sides, by flooding."""
    left, count = {(int(y), int(x)) for y, x in np.argwhere(mask)}, 0
    while left:
        count, reached = count + 1, [left.pop()]
        while reached:
            y, x = reached.pop()
            for near in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if near in left:
                    left.remove(near)
                    reached.append(near)
    return count


def _masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    random = [rng.random((h, w)) < share for h, w, share in ((9, 13, 0.5), (20, 8, 0.7), (15, 15, 0.9), (12, 12, 0.1))]
    smooth = [blobs(seed, (37, 53)) == number for seed in range(3) for number in range(5)]
    ring = np.ones((7, 9), dtype=bool)
    ring[2:5, 2:7] = False
    ring[3, 4] = True  # an island in the hole
    beside = np.ones((7, 12), dtype=bool)  # a small hole between the edge and a large one
    beside[1:6, 6:10] = beside[3, 5] = beside[3, 2] = False
    return [*random, *smooth, ring, beside, np.ones((1, 1), dtype=bool), np.ones((3, 4), dtype=bool)]


@pytest.mark.parametrize("simplified", [True, False])
def test_filling_outlines_gives_the_mask(simplified: bool) -> None:
    for mask in _masks():
        outlines = outlines_of(mask, simplified=simplified)
        rings = [ring for outline in outlines for ring in outline.rings]
        assert (fill_rings(rings, mask.shape) == mask).all()


def test_filling_one_outline_gives_one_part() -> None:
    for mask in _masks():
        filled = [fill_rings(outline.rings, mask.shape) for outline in outlines_of(mask)]
        assert len(filled) == _parts(mask)
        assert all(_parts(part) == 1 for part in filled)
        assert (np.sum(filled, axis=0) == mask).all(), "parts cover the mask once"


def test_filling_bridged_outlines_by_the_even_odd_rule_gives_the_mask() -> None:
    for mask in _masks():
        rings = bridged(mask)
        assert len(rings) == _parts(mask)
        assert (np.any([fill_rings([ring], mask.shape) for ring in rings], axis=0) == mask).all()


def test_bridges_are_horizontal_and_inside() -> None:
    bridges = 0
    for mask in _masks():
        for ring in bridged(mask):
            for (x0, y0), (x1, y1) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
                assert x0 == x1 or y0 == y1 or abs(x0 - x1) == abs(y0 - y1), "sides are straight or diagonal"
                if y0 == y1 and y0 % 1:  # through the centres of pixels, which only bridges are
                    bridges += 1
                    assert mask[int(y0), int(min(x0, x1)) : int(max(x0, x1))].all()
        holes = sum(len(outline.holes) for outline in outlines_of(mask))
        assert bridges % 2 == 0
        bridges -= 2 * holes
    assert bridges == 0, "two for each hole"


def test_one_pixel_is_a_diamond_at_its_place() -> None:
    (outline,) = outlines_of(np.ones((1, 1), dtype=bool), left=5, top=7)
    assert sorted(outline.exterior.tolist()) == [[5.0, 7.5], [5.5, 7.0], [5.5, 8.0], [6.0, 7.5]]
    assert not outline.holes


def test_straight_lines_have_no_points_between() -> None:
    (outline,) = outlines_of(np.ones((30, 40), dtype=bool))
    assert len(outline.exterior) == 8, "four sides, four cut corners"


def test_holes_turn_the_other_way() -> None:
    mask = np.ones((6, 6), dtype=bool)
    mask[2:4, 2:4] = False
    (outline,) = outlines_of(mask)
    (hole,) = outline.holes
    assert _area(outline.exterior) * _area(hole) < 0
    assert abs(_area(outline.exterior)) > abs(_area(hole))


def test_pixels_that_touch_at_a_corner_are_two_parts() -> None:
    assert len(outlines_of(np.eye(2, dtype=bool))) == 2


def test_run_lengths_alternate_row_by_row() -> None:
    assert run_lengths(np.array([[0, 0, 1], [1, 1, 0]], dtype=bool)).tolist() == [2, 3, 1]
    assert run_lengths(np.array([[1, 0], [0, 1]], dtype=bool)).tolist() == [0, 1, 2, 1]
    for mask in _masks():
        lengths = run_lengths(mask).tolist()
        again = [n % 2 == 1 for n, length in enumerate(lengths) for _ in range(length)]
        assert again == mask.ravel().tolist()
