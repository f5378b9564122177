"""What the page computes for marks, against independent sources: pixels, run lengths, pieces, colours."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from pycocotools import mask as coco
from scipy import ndimage

from service.editing.class_colors import Color, most_distinct_color
from tests.browser.marking import inside, under_line

MASK = """async ([name, args, size]) => {
  const pixels = await import('/static/lib/pixels.js');
  return pixels.maskOf(pixels[name](...args, size), size);
}"""
WITHOUT = """async ([line, width, ring, size]) => {
  const { pixelsOfLine, pixelsOfRings, without, maskOf } = await import('/static/lib/pixels.js');
  return maskOf(without(pixelsOfLine(line, width, size), pixelsOfRings([ring], size)).left, size);
}"""
PIECES = """async ([counts, size]) => {
  const { piecesOf } = await import('/static/lib/pieces.js');
  const { maskOf } = await import('/static/lib/pixels.js');
  return piecesOf(counts, size).map((one) => [maskOf(one.pixels, size), one.area]);
}"""
COLORS = """async (count) => {
  const { mostDistinctColor } = await import('/static/lib/oklab.js');
  const taken = [];
  for (let n = 0; n < count; n++) taken.push(mostDistinctColor(taken));
  return taken;
}"""
SIZE = (48, 64)


@pytest.fixture(scope="module")
def modules(chromium: Browser, address: str) -> Iterator[Page]:
    """A page whose scripts can be called."""
    page = chromium.new_page()
    page.goto(address)
    yield page
    page.close()


def decoded(mask: dict[str, Any]) -> np.ndarray:
    return np.asarray(coco.decode({"size": mask["size"], "counts": mask["counts"].encode()}), dtype=bool)


def size_of() -> dict[str, int]:
    return {"height": SIZE[0], "width": SIZE[1]}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [1, 4.5, 13])
def test_pixels_under_a_line_are_those_near_it(modules: Page, seed: int, width: float) -> None:
    random = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in random.uniform((-5, -5), (69, 53), (4, 2)).round(2)]
    found = decoded(modules.evaluate(MASK, ["pixelsOfLine", [points, width], size_of()]))
    assert (found == under_line(points, width, SIZE)).all()


def test_a_line_too_thin_for_any_centre_covers_the_pixels_of_its_points(modules: Page) -> None:
    found = decoded(modules.evaluate(MASK, ["pixelsOfLine", [[(10.1, 20.1)], 0.2], size_of()]))
    assert np.argwhere(found).tolist() == [[20, 10]]


@pytest.mark.parametrize("seed", range(4))
def test_pixels_inside_rings_follow_the_even_odd_rule(modules: Page, seed: int) -> None:
    random = np.random.default_rng(seed)
    rings = [[(float(x), float(y)) for x, y in random.uniform((-9, -9), (73, 57), (7, 2)).round(2)] for _ in range(2)]
    found = decoded(modules.evaluate(MASK, ["pixelsOfRings", [rings], size_of()]))
    assert (found == inside(rings[0], SIZE) ^ inside(rings[1], SIZE)).all()


def test_erased_pixels_are_gone_and_all_others_stay(modules: Page) -> None:
    line, ring = [(5, 5), (60, 40)], [(20, 10), (40, 12), (38, 40), (22, 44)]
    found = decoded(modules.evaluate(WITHOUT, [line, 9, ring, size_of()]))
    assert (found == (under_line(line, 9, SIZE) & ~inside(ring, SIZE))).all()


@pytest.mark.parametrize("seed", range(6))
def test_pieces_are_those_of_scipy(modules: Page, seed: int) -> None:
    mask = np.random.default_rng(seed).random(SIZE) < (0.1, 0.3, 0.45, 0.6, 0.9, 1.0)[seed]
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    pieces = modules.evaluate(PIECES, [counts, size_of()])
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    wanted = {(labels == n).tobytes() for n in range(1, count + 1)}
    assert {decoded(piece).tobytes() for piece, _ in pieces} == wanted
    areas = [area for _, area in pieces]
    assert areas == sorted(areas, reverse=True)
    assert areas == [decoded(piece).sum() for piece, _ in pieces]


def test_the_page_chooses_the_colours_that_the_service_would(modules: Page) -> None:
    taken: list[Color] = []
    for _ in range(20):
        taken.append(most_distinct_color(taken))
    assert modules.evaluate(COLORS, 20) == ["#{:02x}{:02x}{:02x}".format(*color) for color in taken]
