from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from index_builder.heads import FeatureExtractor, FeatureSource, ImageMaps
from model_store.embedder import prepare
from tests.index_builder.heads.small import GROUPS, noise, run

CELLS = (21, 29)  # of an image of 24x32 cells with its padding
MAPS = ImageMaps({g.name: noise(g.channels, 96 // g.stride, 128 // g.stride, seed=g.stride) for g in GROUPS}, CELLS)
IMAGE = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)


def upsampled(maps: ImageMaps) -> torch.Tensor:
    """[F, h, w] of all groups, without padding."""
    fine = [
        F.interpolate(torch.from_numpy(maps.maps[g.name])[None], (24, 32), mode="bilinear", align_corners=False)[0]
        for g in GROUPS
    ]
    return torch.cat(fine)[:, : CELLS[0], : CELLS[1]]


def test_features_at_cells_are_those_of_upsampled_maps() -> None:
    y, x = (at.ravel() for at in np.indices(CELLS))
    expected = upsampled(MAPS).flatten(1).T
    torch.testing.assert_close(MAPS.rows(GROUPS, y, x), expected, atol=1e-5, rtol=0)


def test_features_of_some_groups_are_in_the_order_asked_for() -> None:
    y, x, chosen = np.array([0, 20, 7]), np.array([28, 0, 13]), (GROUPS[2], GROUPS[0])
    expected = torch.cat([upsampled(MAPS)[30:38], upsampled(MAPS)[:6]])[:, y, x].T
    torch.testing.assert_close(MAPS.rows(chosen, y, x), expected, atol=1e-5, rtol=0)


def test_an_affine_layer_over_maps_is_that_over_upsampled_maps() -> None:
    random = np.random.default_rng(1)
    weight = random.normal(size=(5, sum(g.channels for g in GROUPS))).astype(np.float32)
    bias = random.normal(size=5).astype(np.float32)
    expected = (
        torch.einsum("mf,fhw->mhw", torch.from_numpy(weight), upsampled(MAPS)) + torch.from_numpy(bias)[:, None, None]
    )
    torch.testing.assert_close(MAPS.affine(GROUPS, weight, bias), expected, atol=1e-4, rtol=0)


def test_maps_are_those_of_the_network_without_the_cells_of_padding(
    small_source: FeatureSource, features_folder: Path
) -> None:
    """70x100 pixels become 67x96, and 96x96 with padding: 17 rows of cells lie on the image."""
    found = FeatureExtractor(small_source, features_folder, threads=1).maps(IMAGE)
    assert found.cells == (17, 24)
    names = [group.name for group in GROUPS]
    expected = run(small_source.file, names, prepare(IMAGE, small_source.preprocessing)[0])
    for name, one in zip(names, expected, strict=True):
        assert found.maps[name].dtype == np.float32
        np.testing.assert_allclose(found.maps[name], one[0], rtol=1e-3, atol=1e-4)


def test_maps_of_an_image_are_computed_once(small_source: FeatureSource, features_folder: Path) -> None:
    """A mark in the kept file shows that later calls, also of another extractor, read it."""
    extractor = FeatureExtractor(small_source, features_folder, threads=1)
    first = extractor.maps(IMAGE)
    (file,) = features_folder.iterdir()
    again = extractor.maps(IMAGE)
    assert again.cells == first.cells
    for name, values in first.maps.items():
        np.testing.assert_array_equal(again.maps[name], values)
    with np.load(file) as stored:
        kept = {name: stored[name] for name in stored.files}
    kept["fine"][:] = 7
    np.savez(file, **kept)
    for one in (extractor, FeatureExtractor(small_source, features_folder, threads=1)):
        assert (one.maps(IMAGE).maps["fine"] == 7).all()
    other = extractor.maps(IMAGE[::-1].copy())
    assert not (other.maps["fine"] == 7).any()
    assert len(list(features_folder.iterdir())) == 2


def test_images_of_equal_bytes_and_other_shapes_have_maps_of_their_own(
    small_source: FeatureSource, features_folder: Path
) -> None:
    extractor = FeatureExtractor(small_source, features_folder, threads=1)
    wide, high = np.full((48, 96, 3), 90, dtype=np.uint8), np.full((96, 48, 3), 90, dtype=np.uint8)
    assert extractor.maps(wide).cells == (12, 24)
    assert extractor.maps(high).cells == (24, 12)
