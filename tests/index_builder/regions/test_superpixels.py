"""Regions by colour: each field is one region, no pixel is unknown, and every region is connected."""

import pickle

import numpy as np
import pytest
from skimage.graph import rag_mean_color
from skimage.measure import label

from index_builder.regions import Regions
from index_builder.regions.superpixels import Felzenszwalb, SlicMerge, color_graph, connected_pieces

SOURCES = [Felzenszwalb(300, 0.8, 100), SlicMerge(60, 10, 10, 20)]


@pytest.mark.parametrize("cut", SOURCES, ids=lambda cut: cut.name)
def test_fields_of_one_colour_are_found(cut: Regions, quarters: tuple[np.ndarray, np.ndarray]) -> None:
    image, fields = quarters
    regions = cut(image, "quarters")
    assert regions.dtype == np.int32
    assert sorted(np.unique(regions)) == [0, 1, 2, 3]
    agreement = np.mean([np.bincount(fields[regions == r]).max() / (regions == r).sum() for r in range(4)])
    assert agreement > 0.95, "smoothing may move an outline by a pixel or two"


@pytest.mark.parametrize("cut", SOURCES, ids=lambda cut: cut.name)
def test_regions_tile_the_image_and_hang_together(cut: Regions) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    regions = cut(noise, "noise")
    assert regions.shape == (40, 50)
    assert regions.min() == 0
    for region in range(regions.max() + 1):
        assert label(regions == region, connectivity=1).max() == 1


@pytest.mark.parametrize("cut", SOURCES, ids=lambda cut: cut.name)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2)])
def test_the_smallest_images_have_regions_too(cut: Regions, shape: tuple[int, int]) -> None:
    regions = cut(np.full((*shape, 3), 80, dtype=np.uint8), "small")
    np.testing.assert_array_equal(regions, np.zeros(shape))


@pytest.mark.parametrize("cut", SOURCES, ids=lambda cut: cut.name)
def test_what_is_pickled_cuts_as_before(cut: Regions, quarters: tuple[np.ndarray, np.ndarray]) -> None:
    again = pickle.loads(pickle.dumps(cut))
    np.testing.assert_array_equal(again(quarters[0], "quarters"), cut(quarters[0], "quarters"))


@pytest.mark.parametrize("cut", SOURCES, ids=lambda cut: cut.name)
def test_what_is_no_image_is_refused(cut: Regions) -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 5\) and type uint8; it must be \[H, W, 3\] uint8"):
        cut(np.zeros((4, 5), dtype=np.uint8), "grey")


def test_the_colour_graph_is_that_of_scikit_image() -> None:
    random = np.random.default_rng(2)
    regions = connected_pieces(random.integers(0, 3, (12, 14)))
    lab = random.normal(size=(12, 14, 3))
    ours, theirs = color_graph(regions, lab), rag_mean_color(lab, regions, connectivity=1)
    assert {frozenset(edge) for edge in ours.edges} == {frozenset(edge) for edge in theirs.edges}
    for a, b, weight in ours.edges(data="weight"):
        assert weight == pytest.approx(theirs.edges[a, b]["weight"])
    for node in ours:
        assert ours.nodes[node]["pixel count"] == theirs.nodes[node]["pixel count"]
        np.testing.assert_allclose(ours.nodes[node]["mean color"], theirs.nodes[node]["mean color"])
        assert ours.nodes[node]["labels"] == [node]


def test_pieces_that_touch_at_a_corner_are_two() -> None:
    pieces = connected_pieces(np.array([[0, 1], [1, 0]]))
    assert sorted(pieces.ravel()) == [0, 1, 2, 3]
