from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from index_builder.heads import FeatureSource, append_head, export_extractor, join_extractors, store_in_half
from index_builder.heads.assemble import head_model
from model_store.embedder import Embedder
from segsort.features import Filters
from segsort.head import Head
from tests.index_builder.heads.small import GROUPS, KINDS, Small, full_rows, noise, run, small_head

NAMES = [group.name for group in GROUPS]
SIZES = [(1, 32, 32), (1, 96, 160), (3, 64, 96), (2, 128, 32)]


@pytest.mark.parametrize("size", SIZES)
def test_an_exported_extractor_gives_the_maps_of_the_module_at_any_size(
    small_source: FeatureSource, size: tuple[int, int, int]
) -> None:
    B, H, W = size
    image = noise(B, 3, H, W)
    expected = Small()(torch.from_numpy(image))
    for group, found, one in zip(GROUPS, run(small_source.file, NAMES, image), expected, strict=True):
        assert found.shape == (B, group.channels, H // group.stride, W // group.stride)
        np.testing.assert_allclose(found, one.numpy(), atol=1e-5)


def test_filters_are_exported_for_any_size(tmp_path: Path) -> None:
    file, filters = tmp_path / "filters.onnx", Filters()
    export_extractor(filters, file)
    for B, H, W in SIZES[1:3]:
        image = noise(B, 3, H, W)
        found, expected = run(file, ["filters"], image)[0], filters(torch.from_numpy(image))[0]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_of_a_release_embeds_as_the_head_does_features_of_every_cell(
    kind: str, small_source: FeatureSource, small_heads: dict[str, Head], tmp_path: Path
) -> None:
    """Maps are upsampled before the head, where the network upsamples what the head's first layer makes of them."""
    head, file = small_heads[kind], tmp_path / "network.onnx"
    append_head(small_source.file, head, file)
    for B, H, W in SIZES:
        image = noise(B, 3, H, W)
        found = run(file, ["embedding"], image)[0]
        assert found.shape == (B, head.dimension, H // 4, W // 4)
        maps = [torch.from_numpy(one) for one in run(small_source.file, NAMES, image)]
        expected = head.embed(full_rows(maps)).numpy()
        vectors = found.transpose(0, 2, 3, 1).reshape(expected.shape)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert (vectors * expected).sum(axis=1).min() > 0.9999


def test_a_forest_without_coordinates_is_exported_too(small_source: FeatureSource, tmp_path: Path) -> None:
    whole = small_head("forest", GROUPS[:1])
    assert whole.trees is not None
    inputs = len(whole.weight) - whole.tail
    head = Head("forest", whole.groups, whole.weight[:inputs], whole.bias[:inputs], trees=whole.trees)
    append_head(small_source.file, head, tmp_path / "network.onnx")
    image = noise(1, 3, 64, 96)
    found = run(tmp_path / "network.onnx", ["embedding"], image)[0][0]
    maps = [torch.from_numpy(one) for one in run(small_source.file, NAMES[:1], image)]
    np.testing.assert_allclose(found.reshape(len(found), -1).T, head.embed(full_rows(maps)).numpy(), atol=1e-4)


def unused(model: onnx.ModelProto) -> set[str]:
    """Stored tensors and results of a network that nothing reads."""
    read = {name for node in model.graph.node for name in node.input} | {one.name for one in model.graph.output}
    made = {one.name for one in model.graph.initializer} | {name for n in model.graph.node for name in n.output if name}
    return made - read


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_the_head_does_not_read_is_in_its_network(
    kind: str, small_source: FeatureSource, small_heads: dict[str, Head], tmp_path: Path
) -> None:
    append_head(small_source.file, small_heads[kind], tmp_path / "all.onnx")
    append_head(small_source.file, small_head(kind, GROUPS[:1]), tmp_path / "fine.onnx")
    every, fine = (onnx.load(tmp_path / f"{name}.onnx") for name in ("all", "fine"))
    assert unused(every) == set()
    assert unused(fine) == set()
    assert [one.name for one in fine.graph.input] == ["image"]
    assert [one.name for one in fine.graph.output] == ["embedding"]
    kernels = [one for one in fine.graph.initializer if one.dims[1:] == [3, 4, 4]]
    middle = [one for one in fine.graph.initializer if one.dims[:2] == [24, 6]]
    assert (len(kernels), len(middle)) == (1, 0)
    assert (tmp_path / "fine.onnx").stat().st_size < (tmp_path / "all.onnx").stat().st_size


def test_a_head_alone_takes_maps_of_any_size(small_heads: dict[str, Head]) -> None:
    session = onnxruntime.InferenceSession(
        head_model(small_heads["linear"]).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for B, H, W in SIZES:
        maps = {g.name: noise(B, g.channels, H // g.stride, W // g.stride) for g in GROUPS}
        assert session.run(["embedding"], maps)[0].shape == (B, small_heads["linear"].dimension, H // 4, W // 4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_is_one_that_a_release_can_serve(
    kind: str, small_source: FeatureSource, small_heads: dict[str, Head], tmp_path: Path
) -> None:
    append_head(small_source.file, small_heads[kind], tmp_path / "network.onnx")
    embedder = Embedder((tmp_path / "network.onnx", small_source.preprocessing), threads=1)
    assert embedder.dimension == small_heads[kind].dimension
    assert embedder.takes_batches
    image = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    assert embedder.embed(image).shape == (embedder.dimension, 14, 24)


def test_weights_stored_in_half_precision_keep_embeddings_within_half_a_degree(
    small_source: FeatureSource, small_heads: dict[str, Head], tmp_path: Path
) -> None:
    whole, half = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    append_head(small_source.file, small_heads["linear"], whole)
    half.write_bytes(whole.read_bytes())
    store_in_half(half)
    image = noise(1, 3, 96, 128)
    before, after = (run(file, ["embedding"], image)[0] for file in (whole, half))
    assert after.dtype == np.float32
    assert (before * after).sum(axis=1).min() > np.cos(np.radians(0.5))
    assert not np.array_equal(before, after)
    sizes = {
        kind: sum(numpy_helper.to_array(one).size for one in onnx.load(half).graph.initializer if one.data_type == kind)
        for kind in (TensorProto.FLOAT, TensorProto.FLOAT16)
    }
    assert sizes[TensorProto.FLOAT16] > sizes[TensorProto.FLOAT], "most weights are stored in 16 bits"
    assert half.stat().st_size < whole.stat().st_size


def test_joined_networks_give_the_maps_of_each_under_their_new_names(
    small_source: FeatureSource, small_heads: dict[str, Head], tmp_path: Path
) -> None:
    network, out = tmp_path / "network.onnx", tmp_path / "joined.onnx"
    append_head(small_source.file, small_heads["identity"], network)
    join_extractors([(small_source.file, {"fine": "one", "coarse": "two"}), (network, {"embedding": "three"})], out)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["image"]
    assert [one.name for one in session.get_outputs()] == ["one", "two", "three"]
    image = noise(2, 3, 64, 96)
    expected = [*run(small_source.file, ["fine", "coarse"], image), *run(network, ["embedding"], image)]
    for found, one in zip(run(out, ["one", "two", "three"], image), expected, strict=True):
        np.testing.assert_allclose(found, one, atol=1e-6)


def test_a_head_is_appended_to_joined_networks(
    small_source: FeatureSource, small_heads: dict[str, Head], tmp_path: Path
) -> None:
    """Prefixes of names must not meet: a head over the maps of a network that has a head itself."""
    network, joined, out = (tmp_path / f"{name}.onnx" for name in ("network", "joined", "out"))
    append_head(small_source.file, small_heads["linear"], network)
    join_extractors([(small_source.file, {name: name for name in NAMES}), (network, {"embedding": "other"})], joined)
    append_head(joined, small_heads["mlp"], out)
    append_head(small_source.file, small_heads["mlp"], tmp_path / "alone.onnx")
    image = noise(1, 3, 64, 64)
    found, expected = (run(file, ["embedding"], image)[0] for file in (out, tmp_path / "alone.onnx"))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert out.stat().st_size < joined.stat().st_size + (tmp_path / "alone.onnx").stat().st_size
