from pathlib import Path

import numpy as np

from index_builder.heads import FeatureSource, measure_statistics
from model_store.embedder import prepare
from segsort.features import FeatureGroup
from tests.conftest import Blocks
from tests.index_builder.heads.small import GROUPS, run

IMAGES = [Blocks()[i].image for i in range(3)]


def test_statistics_are_those_of_the_cells_of_all_images(small_source: FeatureSource, features_folder: Path) -> None:
    """Of the finest map, which needs no interpolation."""
    found = measure_statistics(small_source, IMAGES, features_folder, cells=10_000)
    assert found.mean.shape == (sum(group.channels for group in GROUPS),)
    maps = [run(small_source.file, ["fine"], prepare(one, small_source.preprocessing)[0])[0][0] for one in IMAGES]
    rows = np.concatenate([one[:, :18, :24].reshape(6, -1).T for one in maps]).astype(np.float64)
    np.testing.assert_allclose(found.mean[:6], rows.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(found.scale[:6], rows.std(axis=0, ddof=1), rtol=1e-2)
    np.testing.assert_allclose(found.correlation[:6, :6], np.corrcoef(rows.T), atol=1e-2)


def test_each_image_gives_at_most_as_many_cells_as_asked_for(
    small_source: FeatureSource, features_folder: Path
) -> None:
    few, again = (measure_statistics(small_source, IMAGES, features_folder, cells=5) for _ in range(2))
    every = measure_statistics(small_source, IMAGES, features_folder, cells=10_000)
    np.testing.assert_array_equal(few.mean, again.mean)
    assert not np.allclose(few.mean, every.mean, atol=1e-4)
    assert np.linalg.matrix_rank(few.correlation, tol=1e-3) <= 14, "15 cells have 14 directions around their mean"


def test_groups_keep_their_places(small_source: FeatureSource, features_folder: Path) -> None:
    found = measure_statistics(small_source, IMAGES, features_folder)
    assert small_source.groups == GROUPS
    assert small_source.groups[1] == FeatureGroup("middle", 24, 8)
    assert (found.scale > 0).all()
