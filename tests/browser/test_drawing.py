"""What the page computes, against independent sources: run lengths, outlines, contrast."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from pycocotools import mask as coco

from segsort.masks import encode_rle

RUNS = "async (counts) => (await import('/static/lib/run_lengths.js')).decodeRunLengths(counts)"
GRID = """async ([counts, width, height]) => {
  const { LabelGrid } = await import('/static/lib/label_grid.js');
  const grid = LabelGrid.of(counts.map((one) => ({ mask: { counts: one } })), width, height);
  return { labels: [...grid.labels], columns: grid.columns, step: grid.step };
}"""
INSIDE = """async ([labels, columns, rows]) => {
  const { contours } = await import('/static/lib/contours.js');
  const paths = contours(Uint16Array.from(labels), columns, rows, (x, y) => [x, y]);
  const context = document.createElement('canvas').getContext('2d');
  const found = [];
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++)
    found.push([...paths].filter(([, path]) => context.isPointInPath(path, x + 0.5, y + 0.5)).map(([label]) => label));
  return found;
}"""
CONTRASTS = """() => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const probe = document.body.appendChild(document.createElement('span'));
  const light = (name) => {
    probe.style.color = `var(${name})`;
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pairs = [['--ink', '--ground'], ['--ink', '--panel'], ['--ink-2', '--ground'], ['--ink-2', '--panel'],
    ['--ink-2', '--sunken'], ['--ink', '--accent-soft'], ['--accent', '--panel'], ['--accent', '--accent-soft'],
    ['--accent-ink', '--accent'], ['--danger', '--panel'], ['--danger', '--danger-soft'], ['--warn', '--warn-soft']];
  return pairs.map(([ink, ground]) => {
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    return [`${ink} on ${ground}`, (a + 0.05) / (b + 0.05)];
  });
}"""


@pytest.fixture(scope="module")
def modules(chromium: Browser, address: str) -> Iterator[Page]:
    """A page whose scripts can be called."""
    page = chromium.new_page()
    page.goto(address)
    yield page
    page.close()


def random_labels(height: int, width: int, count: int, seed: int) -> np.ndarray:
    """[H, W] int32: patches with single pixels scattered in them."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, count, (-(-height // 4), -(-width // 4)))
    labels = np.kron(coarse, np.ones((4, 4), dtype=np.int64))[:height, :width]
    scattered = random.random((height, width)) < 0.1
    labels[scattered] = random.integers(0, count, int(scattered.sum()))
    return labels.astype(np.int32)


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_are_those_of_pycocotools(modules: Page, seed: int) -> None:
    mask = np.random.default_rng(seed).random((37, 53)) < (0.5, 0.01, 0.99, 0.0, 1.0)[seed]
    counts = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    runs = modules.evaluate(RUNS, counts)
    values = np.repeat(np.arange(len(runs)) % 2, runs).reshape(mask.shape, order="F")
    assert (values == mask).all()


def test_long_runs_of_large_images_are_decoded(modules: Page) -> None:
    mask = np.zeros((3000, 4000), dtype=np.uint8)
    mask[100:2900, 3000:3990] = 1
    counts = coco.encode(np.asfortranarray(mask))["counts"].decode()
    assert sum(modules.evaluate(RUNS, counts)[1::2]) == mask.sum()


@pytest.mark.parametrize(("height", "width"), [(24, 31), (1, 1), (1, 9), (1700, 40)])
def test_the_grid_holds_the_segment_of_each_pixel_that_it_samples(modules: Page, height: int, width: int) -> None:
    labels = random_labels(height, width, 7, seed=3)
    grid = modules.evaluate(GRID, [encode_rle(labels, 7), width, height])
    assert grid["step"] == (2 if height == 1700 else 1)
    sampled = labels[:: grid["step"], :: grid["step"]]
    assert (np.reshape(grid["labels"], (-1, grid["columns"])) == sampled).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_middle_of_each_pixel_lies_in_the_outline_of_its_segment_alone(modules: Page, seed: int) -> None:
    labels = random_labels(20, 26, (2, 5, 40, 1)[seed], seed)
    found = modules.evaluate(INSIDE, [labels.ravel().tolist(), 26, 20])
    assert found == [[int(label)] for label in labels.ravel()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_4_5_or_more(visit: Callable[..., Page], address: str, scheme: str) -> None:
    contrasts = dict(visit(address, color_scheme=scheme).evaluate(CONTRASTS))
    assert {pair: ratio for pair, ratio in contrasts.items() if ratio < 4.5} == {}
