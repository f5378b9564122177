"""Embedders accept only networks that give unit vectors at stride 4. Results do not depend on the caller."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from model_store.card import Card, Preprocessing
from model_store.embedder import Embedder, working_shape
from model_store.half import in_half_precision
from model_store.release import Release
from tests.conftest import Blocks

PREPROCESSING = Preprocessing(working_size=96, mean=(127.5,) * 3, std=(127.5,) * 3)


def network(file: Path, names: Sequence[str] = ("image", "embedding"), stride: int = 4) -> Path:
    """A convolution without normalisation, from names[0] to names[1], at a stride."""
    kernel = np.random.default_rng(0).standard_normal((8, 3, stride, stride)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", [names[0], "kernel"], [names[1]], strides=[stride, stride])],
        "convolution",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, 3, "H", "W"])],
        [helper.make_tensor_value_info(names[1], TensorProto.FLOAT, [1, 8, "h", "w"])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return file


@pytest.mark.parametrize(
    ("names", "stride", "said"),
    [
        (("picture", "embedding"), 4, r"inputs \['picture'\].*must have the input 'image'"),
        (("image", "features"), 4, r"outputs \['features'\].*the output 'embedding'"),
        (("image", "embedding"), 8, r"into \(1, 8, 8, 12\); it must be \(1, D, 16, 24\); export it at stride 4"),
    ],
)
def test_another_network_is_refused_with_the_fix(
    names: tuple[str, str], stride: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"other\.onnx .*{said}"):
        Embedder((network(tmp_path / "other.onnx", names, stride), PREPROCESSING))


def test_a_network_of_other_dimensions_than_its_card_says_is_refused(tiny_release: Path, tmp_path: Path) -> None:
    release = Release.open(Path(shutil.copytree(tiny_release, tmp_path / "copy")))
    network(release.network_path)
    with pytest.raises(ValueError, match=r"network\.onnx gives 8 dimensions, the card of its release says 32"):
        Embedder(release)


def test_half_precision_gives_nearly_the_same_unit_vectors(tiny_release: Path) -> None:
    release = Release.open(tiny_release)
    whole, half = Embedder(release), Embedder(release, precision="float16")
    x = whole.prepare(Blocks("val")[0].image)
    first, second = whole.run(x), half.run(x)
    assert (whole.precision, half.precision) == ("float32", "float16")
    assert second.dtype == np.float32
    assert (first != second).any()
    assert float((first * second).sum(axis=1).min()) > 0.999
    types = {
        initializer.data_type
        for initializer in onnx.load_from_string(in_half_precision(release.network_path)).graph.initializer
    }
    assert TensorProto.FLOAT16 in types


def test_what_cannot_be_turned_into_half_precision_is_refused(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "network.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"network\.onnx cannot be converted to half precision.*32 bits"):
        in_half_precision(tmp_path / "network.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match=r"needs the package onnx.*install onnx"):
        Embedder(Release.open(tiny_release), precision="float16")


def test_threads_are_at_least_one(tiny_release: Path) -> None:
    with pytest.raises(ValueError, match="threads=0 must be at least 1"):
        Embedder(Release.open(tiny_release), threads=0)


def test_the_number_of_threads_changes_nothing(tiny_release: Path) -> None:
    image = Blocks("val")[0].image
    one, two = (Embedder(Release.open(tiny_release), threads=n).embed(image) for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_the_working_size_of_the_card_decides_what_the_network_sees(tiny_release: Path) -> None:
    release = Release.open(tiny_release)
    image = Blocks("val")[0].image  # 72x96
    for working_size, (rows, columns) in ((96, (18, 24)), (128, (24, 32)), (32, (8, 8))):
        told = release.card.preprocessing.model_copy(update={"working_size": working_size})
        embedded = Embedder((release.network_path, told)).embed(image)
        assert embedded.shape == (32, rows, columns)
        np.testing.assert_allclose(np.linalg.norm(embedded, axis=0), np.ones((rows, columns)), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((360, 480), (360, 480)), ((480, 360), (480, 360)), ((1, 1), (480, 480)), ((3000, 4001), (360, 480)),
     ((10, 4000), (32, 480)), ((4000, 10), (480, 32)), ((37, 53), (335, 480))],
)  # fmt: skip
def test_the_longest_side_becomes_the_working_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert working_shape(*size, 480) == expected


def test_the_embedding_is_the_networks_of_the_prepared_image_without_its_padding(tiny_release: Path) -> None:
    embedder, image = Embedder(Release.open(tiny_release)), Blocks("val", width=80)[0].image  # seen at 86x96
    x = embedder.prepare(image)
    assert x.shape == (1, 3, 96, 96)
    session = onnxruntime.InferenceSession(str(tiny_release / "network.onnx"), providers=["CPUExecutionProvider"])
    whole = session.run(["embedding"], {"image": x})[0][0]
    np.testing.assert_allclose(embedder.embed(image), whole[:, :22], atol=1e-6)
    assert embedder.dimension == Card.model_validate_json((tiny_release / "card.json").read_text()).network.dimension


def test_a_network_for_one_image_embeds_several_in_turn(tmp_path: Path) -> None:
    embedder = Embedder((network(tmp_path / "one.onnx"), PREPROCESSING))
    images = [Blocks("val")[n].image for n in range(3)]
    assert not embedder.takes_batches
    several = embedder.embed_all(images)
    np.testing.assert_array_equal(several, np.stack([embedder.embed(image) for image in images]))
