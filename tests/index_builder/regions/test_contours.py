"""Regions between contours, and the use of a contour network in several processes."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from skimage.measure import label

from index_builder.regions import open_regions
from index_builder.regions.contours import LARGEST, ContourRegions, cut


def drawn(strengths: tuple[float, float]) -> np.ndarray:
    """A map with one contour across and one down, each of its own strength: [40, 60] float32."""
    strength = np.zeros((40, 60), dtype=np.float32)
    strength[20], strength[:, 30] = strengths
    return strength


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose contours are the differences of a pixel's channels to those on its left, clipped to 1."""
    file = tmp_path_factory.mktemp("network") / "contours.onnx"
    kernel = np.zeros((1, 3, 1, 2), dtype=np.float32)
    kernel[..., 0], kernel[..., 1] = -1, 1
    shape = [1, 3, "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("Pad", ["image", "pads"], ["padded"], mode="edge"),
            helper.make_node("Conv", ["padded", "kernel"], ["step"]),
            helper.make_node("Abs", ["step"], ["size"]),
            helper.make_node("Clip", ["size", "zero", "one"], ["contours"]),
        ],
        "steps",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("contours", TensorProto.FLOAT, [1, 1, *shape[2:]])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([0, 0, 0, 1, 0, 0, 0, 0]), "pads"),
            numpy_helper.from_array(np.float32(0), "zero"),
            numpy_helper.from_array(np.float32(1), "one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, file)
    return file


def stripes(height: int, width: int, count: int = 3) -> np.ndarray:
    """Vertical stripes of very different greys."""
    greys = np.arange(width) * count // width * (240 // count)
    return np.broadcast_to(greys[None, :, None], (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("strengths", "threshold", "count"),
    [((0.9, 0.9), 0.5, 4), ((0.9, 0.3), 0.5, 2), ((0.3, 0.3), 0.5, 1), ((0.3, 0.3), 0.2, 4), ((0.0, 0.0), 0.5, 1)],
)
def test_contours_above_the_threshold_part_regions(
    strengths: tuple[float, float], threshold: float, count: int
) -> None:
    regions = cut(drawn(strengths), threshold, min_size=1)
    assert regions.dtype == np.int32
    assert sorted(np.unique(regions)) == list(range(count))


def test_the_border_lies_on_the_contour() -> None:
    regions = cut(drawn((0.9, 0.9)), 0.5, min_size=1)
    quarters = [regions[rows, columns] for rows in np.s_[:20, 21:] for columns in np.s_[:30, 31:]]
    assert all(len(np.unique(quarter)) == 1 for quarter in quarters)


def test_regions_of_noise_tile_the_map_and_hang_together() -> None:
    regions = cut(np.random.default_rng(0).random((50, 40), dtype=np.float32), 0.6, min_size=6)
    assert regions.min() == 0
    assert regions.max() > 3
    assert np.bincount(regions.ravel()).min() >= 6
    for region in range(regions.max() + 1):
        assert label(regions == region, connectivity=1).max() == 1


@pytest.mark.parametrize("size", [(40, 60), (33, 97), (20, 12), (1, 1)])
def test_an_image_of_any_size_is_cut(steps: Path, size: tuple[int, int]) -> None:
    regions = ContourRegions(steps, min_size=1)(stripes(*size), "stripes")
    assert regions.shape == size
    expected = 3 if size[1] >= 3 else 1
    assert len(np.unique(regions)) == expected


def test_the_padding_adds_no_contour(steps: Path) -> None:
    strength = ContourRegions(steps).strength(stripes(33, 33, count=1))
    assert strength.shape == (33, 33)
    assert strength.max() == 0


def test_a_large_image_is_cut_at_the_size_the_network_knows(steps: Path) -> None:
    image = stripes(300, 2 * LARGEST)
    regions = ContourRegions(steps)(image, "large")
    assert regions.shape == image.shape[:2]
    agreement = [np.bincount(image[..., 0][regions == r]).max() / (regions == r).sum() for r in np.unique(regions)]
    assert len(agreement) == 3
    assert min(agreement) > 0.98


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")  # a session must survive what it warns of
def test_a_source_that_is_open_travels_to_other_processes(steps: Path) -> None:
    source = open_regions("contours", contours=steps)
    image = stripes(40, 60)
    here = source(image, "stripes")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(source))(image, "stripes"), here)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        np.testing.assert_array_equal(pool.submit(source, image, "stripes").result(), here)


def test_what_is_no_contour_network_is_said(tmp_path: Path, tiny_run: Path) -> None:
    (tmp_path / "contours.onnx").write_bytes(b"no network")
    image = stripes(32, 32)
    with pytest.raises(ValueError, match=r"contours\.onnx is not a readable ONNX network"):
        ContourRegions(tmp_path / "contours.onnx")(image, "a")
    with pytest.raises(ValueError, match=r"has inputs \['image'\] and outputs \['embedding'\]"):
        ContourRegions(tiny_run / "network.onnx")(image, "a")
    with pytest.raises(ValueError, match=r"must be \[H, W, 3\] uint8"):
        ContourRegions(tmp_path / "contours.onnx")(image.astype(float), "a")
