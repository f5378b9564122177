from pathlib import Path

import numpy as np
import pytest
from transformers import Dinov2Backbone, Dinov2Config

from index_builder.heads import FeatureExtractor, has_features, open_features
from model_store.release import FEATURES, Release
from model_store.store import BUNDLED, ReleaseStore, open_store

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)


def test_general_has_maps_at_all_strides_the_filters_and_an_identity_head(tmp_path: Path) -> None:
    opened = open_features("general", open_store(tmp_path), tmp_path)
    assert opened.source.file == BUNDLED / "general" / FEATURES
    assert {group.stride for group in opened.source.groups} == {4, 8, 16, 32}
    assert "filters" in {group.name for group in opened.source.groups}
    assert opened.head is not None
    assert opened.head.kind == "identity"
    assert opened.statistics.mean.shape == (sum(group.channels for group in opened.source.groups),)
    assert opened.source.licence


def test_the_working_size_is_that_of_the_release_or_the_one_asked_for(tmp_path: Path, blank_release: Path) -> None:
    store = open_store(tmp_path)
    assert open_features(str(blank_release), store, tmp_path).source.preprocessing.working_size == 128
    opened = open_features(str(blank_release), store, tmp_path, working_size=64)
    assert opened.source.preprocessing.working_size == 64
    assert Release.open(blank_release).card.preprocessing.working_size == 128


def test_filters_are_exported_with_statistics_of_photographs(features_folder: Path, tmp_path: Path) -> None:
    opened = open_features("filters", open_store(tmp_path), features_folder, working_size=32)
    assert [group.name for group in opened.source.groups] == ["filters"]
    assert opened.head is None
    cache = tmp_path / "cache"
    cache.mkdir()
    maps = FeatureExtractor(opened.source, cache, threads=1).maps(IMAGE)
    assert maps.maps["filters"].shape == (189, 8, 8)
    assert maps.cells == (8, 8)  # 40x64 at 32: no side is shorter
    assert opened.statistics.correlation.shape == (189, 189)


def test_a_release_is_found_by_name_and_by_path(blank_release: Path, tmp_path: Path) -> None:
    store = ReleaseStore([blank_release.parent])
    by_name = open_features("blank", store, tmp_path)
    by_path = open_features(str(blank_release), store, tmp_path)
    assert by_name.source == by_path.source
    assert by_name.source.info.name == "filters"


def test_a_release_without_features_is_refused(tiny_release: Path, tmp_path: Path) -> None:
    said = r"release 'tiny' has no features.onnx, so no head can be fitted on it; use 'general'"
    with pytest.raises(ValueError, match=said):
        open_features(str(tiny_release), open_store(tmp_path), tmp_path)


def test_an_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere") as caught:
        open_features("nowhere", open_store(tmp_path), tmp_path)
    assert "general" in str(caught.value)


def test_whether_a_head_can_be_fitted_is_known_without_opening(
    tiny_release: Path, blank_release: Path, tmp_path: Path
) -> None:
    store = open_store(tmp_path)
    assert has_features("filters", store)
    assert has_features("general", store)
    assert has_features(str(blank_release), store)
    assert not has_features(str(tiny_release), store)
    assert not has_features("streets", store)


def test_a_folder_of_a_backbone_becomes_an_extractor(features_folder: Path, tmp_path: Path) -> None:
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=56, patch_size=14,
        out_features=["stage2"], reshape_hidden_states=True,
    )  # fmt: skip
    Dinov2Backbone(config).save_pretrained(tmp_path / "dino")
    assert has_features(str(tmp_path / "dino"), open_store(tmp_path))
    opened = open_features(str(tmp_path / "dino"), open_store(tmp_path), features_folder, working_size=64)
    cache = tmp_path / "cache"
    cache.mkdir()
    maps = FeatureExtractor(opened.source, cache, threads=1).maps(IMAGE)
    for group in opened.source.groups:
        assert maps.maps[group.name].shape[0] == group.channels
        assert np.isfinite(maps.maps[group.name]).all()


def test_the_positional_bias_of_a_backbone_is_subtracted_if_asked_for(features_folder: Path, tmp_path: Path) -> None:
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=56, patch_size=14,
        out_features=["stage2"], reshape_hidden_states=True,
    )  # fmt: skip
    folder = tmp_path / "backbone"
    Dinov2Backbone(config).save_pretrained(folder)
    maps = []
    for name, removed in (("plain", False), ("removed", True)):
        cache = tmp_path / name
        cache.mkdir()
        opened = open_features(str(folder), open_store(tmp_path), cache, 64, remove_positional_bias=removed)
        maps.append(next(iter(FeatureExtractor(opened.source, cache, threads=1).maps(IMAGE).maps.values())))
    assert maps[0].shape == maps[1].shape
    assert not np.allclose(maps[0], maps[1])


@pytest.mark.parametrize("name", ["filters", "general"])
def test_only_a_backbone_has_a_positional_bias(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"'{name}' is none; leave --remove-positional-bias out"):
        open_features(name, open_store(tmp_path), tmp_path, remove_positional_bias=True)


def test_a_misspelt_path_into_a_folder_that_exists_is_no_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="release 'models/dinvo2' is neither a folder nor a name"):
        open_features("models/dinvo2", open_store(tmp_path), tmp_path)
