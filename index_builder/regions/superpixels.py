"""Regions by colour, computed with scikit-image: graph-based segmentation, or merged superpixels."""

from typing import Any

import cc3d
import numpy as np
from skimage.color import rgb2lab
from skimage.graph import RAG, merge_hierarchical
from skimage.segmentation import felzenszwalb, slic

from index_builder.regions.borders import find_borders
from index_builder.regions.sources import check_image
from segsort.segments import merge_small

# The default values here and of `ContourRegions` were chosen on every eighth (contours: fifth) photograph of the train
# split of BSDS500; the benchmark measures on its val split. Of the settings tried that split a photograph into about 60
# regions of 250 pixels or more, the one with the highest achievable segmentation accuracy was chosen.


class Felzenszwalb:
    """Graph-based segmentation of Felzenszwalb & Huttenlocher (IJCV 2004).

    Args:
        scale: k of the paper; higher values give larger regions.
        sigma: standard deviation of the Gaussian that smooths the image first, pixels.
        min_size: minimum size of a region, pixels.
    """

    name = "felzenszwalb"

    def __init__(self, scale: float = 700, sigma: float = 0.0, min_size: int = 250) -> None:
        self.scale, self.sigma, self.min_size = scale, sigma, min_size

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        check_image(image)
        found = felzenszwalb(image, self.scale, self.sigma, self.min_size).astype(np.int32)
        # Its graph joins diagonal neighbours; parts that touch only at a corner are split.
        return connected_pieces(merge_small(found, self.min_size))


class SlicMerge:
    """SLIC superpixels (Achanta et al., TPAMI 2012), merged while the mean colours of two neighbours are similar.

    Args:
        superpixels: approximate number of superpixels before merging.
        compactness: higher values give squarer superpixels.
        distance: neighbouring regions are merged if the distance of their mean colours in CIE Lab is below this.
        min_size: a smaller region is merged with the neighbour with the longest common border; pixels.
    """

    name = "slic-merge"

    def __init__(
        self, superpixels: int = 250, compactness: float = 20, distance: float = 8, min_size: int = 250
    ) -> None:
        self.superpixels, self.compactness = superpixels, compactness
        self.distance, self.min_size = distance, min_size

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        check_image(image)
        fine = connected_pieces(slic(image, self.superpixels, self.compactness, start_label=0))
        graph = color_graph(fine, rgb2lab(image))
        merged = merge_hierarchical(  # type: ignore[no-untyped-call]
            fine, graph, self.distance, rag_copy=False, in_place_merge=True, merge_func=_merge, weight_func=_distance
        )
        return connected_pieces(merge_small(merged.astype(np.int32), self.min_size))


def color_graph(regions: np.ndarray, lab: np.ndarray) -> Any:
    """Region adjacency graph with colour distances as edge weights.

    It equals scikit-image's `rag_mean_color` with connectivity 1, but needs no Python loop over pixels.

    Args:
        regions: [H, W] int, 0..R-1.
        lab: [H, W, 3] float, CIE Lab.
    """
    flat = regions.ravel()
    count = np.bincount(flat)
    total = np.stack([np.bincount(flat, weights=lab[..., channel].ravel()) for channel in range(3)], axis=1)
    mean = total / count[:, None]
    borders = find_borders(regions, np.zeros(regions.shape))
    weights = np.linalg.norm(mean[borders.first] - mean[borders.second], axis=1)
    graph: Any = RAG()  # type: ignore[no-untyped-call]
    for region, pixels in enumerate(count):
        graph.add_node(region, **{"labels": [region], "pixel count": pixels, "total color": total[region]})
        graph.nodes[region]["mean color"] = mean[region]
    graph.add_weighted_edges_from(zip(borders.first.tolist(), borders.second.tolist(), weights.tolist(), strict=True))
    return graph


def _merge(graph: Any, source: int, target: int) -> None:
    """Add the colours of one node to another; scikit-image calls it before it merges the two."""
    nodes = graph.nodes
    for key in ("total color", "pixel count"):
        nodes[target][key] = nodes[target][key] + nodes[source][key]
    nodes[target]["mean color"] = nodes[target]["total color"] / nodes[target]["pixel count"]


def _distance(graph: Any, source: int, target: int, neighbour: int) -> dict[str, float]:
    """Weight of the edge between a node that has just been merged and a neighbour."""
    difference = graph.nodes[target]["mean color"] - graph.nodes[neighbour]["mean color"]
    return {"weight": float(np.linalg.norm(difference))}


def connected_pieces(regions: np.ndarray) -> np.ndarray:
    """Number each 4-connected piece of each region: [H, W] int, non-negative -> [H, W] int32, 0..R-1."""
    pieces = cc3d.connected_components(regions.astype(np.int32) + 1, connectivity=4)
    return np.asarray(pieces).astype(np.int32) - np.int32(1)
