"""Strokes of one request, painted over each other."""

import tracemalloc

import numpy as np
import pytest

from service.editing.class_names import ClassRefs
from service.editing.marked_answers import _drawn
from service.editing.strokes import Stroke


def boxes(random: np.random.Generator, count: int, size: tuple[int, int], least: float) -> list[tuple[int, ...]]:
    """Boxes (x, y, x after, y after) that cover at least a share of both sides."""
    found = []
    for _ in range(count):
        starts = [int(random.integers(0, side * (1 - least) + 1)) for side in size]
        ends = [int(random.integers(start + side * least, side)) + 1 for start, side in zip(starts, size, strict=True)]
        found.append((starts[1], starts[0], ends[1], ends[0]))
    return found


def stroke(box: tuple[int, ...], name: str) -> Stroke:
    x, y, right, bottom = box
    return Stroke.model_validate({"class_name": name, "polygon": [[[x, y], [right, y], [right, bottom], [x, bottom]]]})


@pytest.mark.parametrize("least", [0.1, 0.8], ids=["small", "larger than the image together"])
def test_later_strokes_cover_earlier_ones(least: float) -> None:
    random, size, names = np.random.default_rng(0), (37, 53), ["a", "b", "c"]
    drawn = boxes(random, 9, size, least)
    positions, classes = _drawn([stroke(box, names[n % 3]) for n, box in enumerate(drawn)], size, ClassRefs([]))
    naive: dict[int, int] = {}
    for n, (x, y, right, bottom) in enumerate(drawn):
        for column in range(x, right):
            for row in range(y, bottom):
                naive[column * size[0] + row] = n % 3
    assert positions.tolist() == sorted(naive)
    assert classes.tolist() == [naive[position] for position in sorted(naive)]


def test_many_large_areas_take_the_memory_of_few() -> None:
    size = (1000, 1000)
    strokes = [stroke((n, 0, 1000, 1000), "a") for n in range(100)]
    tracemalloc.start()
    try:
        _drawn(strokes, size, ClassRefs([]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000, f"{peak / 1e6:.0f} MB; all areas together have 100 MB"
