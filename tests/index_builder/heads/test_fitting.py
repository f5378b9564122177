from pathlib import Path

import numpy as np
import pytest
import torch

from index_builder.heads import FitSettings, HeadFitting, HeadOnCells, ImageMaps, OpenedFeatures, Progress
from segsort.head import Head
from tests.index_builder.conftest import Textures
from tests.index_builder.heads.small import GROUPS, KINDS, noise


def fitting_of(
    data: Textures, features: OpenedFeatures, folder: Path, settings: FitSettings | None = None
) -> HeadFitting:
    settings = settings or FitSettings(fit="linear", threads=1)
    return HeadFitting(data, features.source, features.statistics, folder, settings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_on_cells_embeds_as_the_head_does_features_of_each_cell(kind: str, small_heads: dict[str, Head]) -> None:
    maps = ImageMaps({g.name: noise(g.channels, 96 // g.stride, 128 // g.stride) for g in GROUPS}, (22, 29))
    found = HeadOnCells(small_heads[kind], threads=1).embed(maps)
    assert found.shape == (small_heads[kind].dimension, 22, 29)
    y, x = (at.ravel() for at in np.indices((22, 29)))
    expected = small_heads[kind].embed(maps.rows(GROUPS, y, x))
    assert float((found.flatten(1).T * expected).sum(1).min()) > 0.9999


def test_folds_are_those_of_whole_images_and_samples_lie_on_labels(
    filter_features: OpenedFeatures, features_folder: Path
) -> None:
    data = Textures(count=4, only=[[0, 1], [], [0, 1, 2], [1, 2]])
    fitted = fitting_of(data, filter_features, features_folder).fit()
    assert fitted.folds is not None
    assert fitted.folds[1] == -1, "it has no label"
    assert len(set(fitted.folds[[0, 2, 3]].tolist())) > 1
    assert set(fitted.samples.images.tolist()) == {0, 2, 3}
    assert fitted.embeddings.shape == (len(fitted.samples.rows), fitted.head.dimension)
    assert set(fitted.samples.class_ids[fitted.samples.images == 3].tolist()) == {1, 2}
    assert fitted.seconds.keys() == {"features", "head"}


def test_a_head_fitted_again_to_some_images_is_of_the_chosen_kind_and_another_one(
    filter_features: OpenedFeatures, features_folder: Path
) -> None:
    data = Textures(count=3, strokes=True)
    fitting = fitting_of(data, filter_features, features_folder)
    fitted = fitting.fit()
    again = fitting.refit(fitted, np.arange(3))
    fewer = fitting.refit(fitted, np.array([0, 2]))
    assert (again.kind, fewer.kind) == ("linear", "linear")
    np.testing.assert_allclose(again.weight, fitted.head.weight, atol=1e-5)
    assert not np.allclose(fewer.weight, fitted.head.weight, atol=1e-3)


def test_the_threads_of_the_caller_are_as_before(filter_features: OpenedFeatures, features_folder: Path) -> None:
    before = torch.get_num_threads()
    settings = FitSettings(fit="none", threads=before + 1)
    fitting_of(Textures(count=2), filter_features, features_folder, settings).fit()
    assert torch.get_num_threads() == before


def test_features_are_computed_before_the_fit_and_reported(
    filter_features: OpenedFeatures, features_folder: Path
) -> None:
    reported: list[Progress] = []
    HeadFitting(
        Textures(count=2), filter_features.source, filter_features.statistics, features_folder,
        FitSettings(threads=1), reported.append,
    )  # fmt: skip
    assert reported == [Progress("features", 1, 2), Progress("features", 2, 2)]
    assert len(list(features_folder.iterdir())) == 2


def test_statistics_of_the_extractor_and_not_of_the_images_make_the_basis(
    filter_features: OpenedFeatures, features_folder: Path
) -> None:
    """Two releases of other images have one identity head."""
    settings = FitSettings(fit="none", threads=1)
    heads = [
        fitting_of(data, filter_features, features_folder, settings).fit().head
        for data in (Textures(count=2), Textures("val", 2))
    ]
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)
