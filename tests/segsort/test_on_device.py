"""The plain torch code that runs on a device, here on CPU tensors: its segments are those of the compiled loops."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from segsort import segments
from segsort.labelled_segments import split_by_label
from segsort.loops import choosing
from segsort.pixel_sorting import SortedPixels, SortingOptions, sort_pixels
from segsort.segments import Segments, segment_image
from segsort.sphere import normalize
from tests.segsort.test_pixel_sorting import blobs, naive_sort

By = Callable[..., Any]


@pytest.fixture
def on_tensors(monkeypatch: pytest.MonkeyPatch) -> By:
    """Calls a function so that nothing is left to the compiled loops, as if its tensors lay on another device."""

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(choosing, "takes", lambda tensor: False)
            return function(*arguments)

    return call


class ComesDown(TorchFunctionMode):
    """Counts the numbers that leave the device, and names the calls that make the host wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.waits: list[str] = []

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name == "cpu":
            self.numbers.append(args[0].numel())
        elif name in ("item", "tolist", "nonzero", "unique", "__int__", "__bool__", "__float__", "__index__"):
            self.waits.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("weight", [0.0, 0.7])
@pytest.mark.parametrize("coarse", [0, 3])
@pytest.mark.parametrize("size", [(14, 18), (13, 17)])
def test_hard_sorting_on_tensors_equals_naive_loop(
    on_tensors: By, weight: float, coarse: int, size: tuple[int, int]
) -> None:
    embeddings = blobs(2, *size)
    valid = torch.ones(2, *size, dtype=torch.bool)
    valid[1, 9:] = False
    valid[0, ::2, 4:9] = False  # pixels of the coarse grid whose neighbours take part
    options = SortingOptions(segments=7, iterations=6, location_weight=weight, coarse_iterations=coarse)
    result = on_tensors(sort_pixels, embeddings, options, valid)
    for image in range(2):
        assert result.labels[image].tolist() == naive_sort(embeddings[image], options, valid[image])


@pytest.mark.parametrize("options", [SortingOptions(40, 10), SortingOptions(64, 3, coarse_iterations=8)])
def test_means_and_labels_are_those_of_the_compiled_loops(on_tensors: By, options: SortingOptions) -> None:
    embeddings = blobs(2, 60, 80, 16)
    compiled, found = sort_pixels(embeddings, options), on_tensors(sort_pixels, embeddings, options)
    assert (compiled.labels == found.labels).float().mean() > 0.999
    torch.testing.assert_close(compiled.theta, found.theta, atol=1e-3, rtol=0)


def test_a_pixel_stays_where_it_is_on_a_tie(on_tensors: By) -> None:
    alike = normalize(torch.ones(1, 4, 12, 12), dim=1)
    options = SortingOptions(9, location_weight=0.0)
    found = on_tensors(sort_pixels, alike, options)
    assert torch.equal(found.labels, sort_pixels(alike, options).labels)
    assert len(found.labels.unique()) == 9


def test_nothing_valid_gives_no_segment_and_no_nan_on_tensors(on_tensors: By) -> None:
    result: SortedPixels = on_tensors(sort_pixels, blobs(), SortingOptions(5), torch.zeros(2, 14, 18, dtype=torch.bool))
    assert (result.labels == -1).all()
    assert torch.equal(result.theta, torch.zeros_like(result.theta))


def same_partition(one: np.ndarray, other: np.ndarray) -> float:
    """Share of the pixels that lie in the segment which most of their own segment's pixels lie in, in both."""
    table = np.zeros((one.max() + 1, other.max() + 1), dtype=np.int64)
    np.add.at(table, (one.ravel(), other.ravel()), 1)
    return float(min(table.max(axis=0).sum(), table.max(axis=1).sum()) / one.size)


@pytest.mark.parametrize("size", [(60, 80), (243, 331), (15, 20), (7, 5), (1, 200), (200, 1)])
@pytest.mark.parametrize("at_once", [1 << 20, 700])
def test_an_image_is_segmented_alike(
    on_tensors: By, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], at_once: int
) -> None:
    monkeypatch.setattr(segments, "_AT_ONCE", at_once)
    embeddings, options = blobs(1, 15, 20)[0], SortingOptions(9, location_weight=0.3)
    compiled: Segments = segment_image(embeddings, size, options, 0.001)
    found: Segments = on_tensors(segment_image, embeddings, size, options, 0.001)
    assert found.labels.dtype == compiled.labels.dtype
    assert found.labels.shape == size
    assert same_partition(compiled.labels, found.labels) > 0.999
    assert len(found.areas) == len(compiled.areas)
    np.testing.assert_allclose(found.prototypes, compiled.prototypes, atol=1e-3)


def test_segments_too_thin_for_the_centre_of_a_cell_have_the_same_prototypes(on_tensors: By) -> None:
    """Stripes of one pixel, where cells are four pixels wide: most segments cover no cell's centre."""
    embeddings, options = blobs(1, 10, 10)[0], SortingOptions(4)
    sorted_image = segment_image(embeddings, (40, 40), options, 0.0)
    stripes = np.tile(np.arange(40) % 5, (40, 1))
    stripes[:3] = 255
    compiled = split_by_label(sorted_image, embeddings, stripes, 255, 0.0)
    found = on_tensors(split_by_label, sorted_image, embeddings, stripes, 255, 0.0)
    np.testing.assert_array_equal(found.labels, compiled.labels)
    np.testing.assert_allclose(found.prototypes, compiled.prototypes, atol=1e-6)


def test_labels_and_prototypes_come_down_once_and_nothing_else(on_tensors: By) -> None:
    embeddings, size = blobs(1, 30, 40, 16)[0], (120, 160)
    with ComesDown() as seen:
        found: Segments = on_tensors(segment_image, embeddings, size, SortingOptions(30, coarse_iterations=4), 0.001)
    labels, prototypes = 120 * 160, found.prototypes.size
    assert seen.numbers == [labels, prototypes]
    assert not seen.waits


def test_the_same_image_comes_out_the_same_to_the_last_bit(on_tensors: By) -> None:
    embeddings, options = blobs(1, 30, 40, 16), SortingOptions(30)
    first, second = (on_tensors(sort_pixels, embeddings, options) for _ in range(2))
    assert torch.equal(first.labels, second.labels)
    assert torch.equal(first.theta, second.theta)


def test_labels_past_sixteen_bits_are_kept(on_tensors: By) -> None:
    cells: Tensor = torch.tensor([[40_000, 3]])
    theta = torch.zeros(40_001, 2)
    theta[40_000, 0] = theta[3, 1] = 1
    labels = on_tensors(segments.outline, torch.eye(2), theta, cells, (2, 4))
    assert labels.tolist() == [[40_000, 40_000, 3, 3]] * 2
