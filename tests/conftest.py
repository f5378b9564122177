"""A tiny but real release: a two-node ONNX network, and images of blocks in three colours."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from index_builder.build import BuildOptions, build_release
from index_builder.datasets import IGNORE, Photograph, Sample
from index_builder.embedder_source import load_embedder_source
from index_builder.quantising import quantise_release
from model_store.card import Calibration, ClassInfo, NetworkInfo, Preprocessing, RetrievalInfo, SortingInfo
from model_store.exemplar_table import Exemplars
from model_store.release import Release, write_release

# Tests send thousands of bad requests from one address. Those of the delay set it themselves.
os.environ.setdefault("SEGSORT_REFUSALS_PER_MINUTE", "0")

BLOCK_CLASSES = (
    ClassInfo(class_id=0, name="brick", color=(200, 40, 30)),
    ClassInfo(class_id=1, name="grass", color=(40, 180, 60)),
    ClassInfo(class_id=2, name="water", color=(30, 60, 210)),
)


class Blocks:
    """Images of 4x3 blocks, each in a shade of one of three colours, with noise; a corner is unlabelled."""

    name = "blocks"
    classes = BLOCK_CLASSES

    def __init__(self, split: str = "train", count: int = 6, height: int = 72, width: int = 96) -> None:
        self.split, self.count, self.height, self.width = split, count, height, width

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < self.count:
            raise IndexError(i)
        random = np.random.default_rng([{"train": 0, "val": 1}[self.split], i])
        blocks = random.integers(0, 3, (3, 4))
        blocks.flat[:3] = random.permutation(3)  # every class occurs
        rows, columns = np.arange(self.height) * 3 // self.height, np.arange(self.width) * 4 // self.width
        labels = blocks[rows][:, columns].astype(np.uint8)
        paint = np.array([info.color for info in self.classes])[blocks] + random.normal(0, 25, (3, 4, 3))
        colors = paint[rows][:, columns]
        image = np.clip(colors + random.normal(0, 12, colors.shape), 0, 255).astype(np.uint8)
        labels[:4, :4] = IGNORE
        return Sample(image, labels, f"blocks/{self.split}/{i:06d}")

    def photograph(self, i: int) -> Photograph:
        return Photograph(self[i].image, self[i].source)


def write_network(folder: Path, dimension: int = 32) -> None:
    """What `segsort train` leaves, of a network that turns the mean colour of 4x4 pixels into a unit vector."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(dimension, dimension)))[0][:, :3]  # orthonormal columns keep angles
    kernel = np.repeat(turn[:, :, None, None] / 16, 16, axis=2).reshape(dimension, 3, 4, 4).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["mean_color"], strides=[4, 4]),
            helper.make_node("LpNormalization", ["mean_color"], ["embedding"], axis=1, p=2),
        ],
        "mean-color",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", dimension, "h", "w"])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "network.onnx")
    network = NetworkInfo(name="mean-color", backbone="none", dimension=dimension, parameters=kernel.size, opset=18)
    preprocessing = Preprocessing(working_size=96, mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
    described = {
        "network": network.model_dump(mode="json"),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "sorting": SortingInfo(segments=12, min_area=0.001).model_dump(mode="json"),
        "retrieval": RetrievalInfo(k=5, kappa=10.0).model_dump(mode="json"),
        "training": {"recipe": "none, the weights are drawn"},
    }
    (folder / "network.json").write_text(json.dumps(described))


def write_layered_network(folder: Path) -> None:
    """What `segsort train` leaves, of a network with the embeddings of `write_network` and three convolutions.

    The first two give positive and negative parts of the mean colour, which the head puts together again.
    """
    write_network(folder)
    kernel = numpy_helper.to_array(onnx.load(folder / "network.onnx").graph.initializer[0])
    head = np.concatenate([kernel[:, :, 0, 0], -kernel[:, :, 0, 0]], axis=1)[:, :, None, None] * 16
    mean = np.eye(3, dtype=np.float32)[:, :, None, None].repeat(4, axis=2).repeat(4, axis=3) / 16
    weights = {
        "mean": np.concatenate([mean, -mean]),
        "same": np.eye(6, dtype=np.float32)[:, :, None, None],
        "head": head,
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "mean"], ["parts"], "first", strides=[4, 4]),
            helper.make_node("Relu", ["parts"], ["positive"], "first/relu"),
            helper.make_node("Conv", ["positive", "same"], ["again"], "second"),
            helper.make_node("Relu", ["again"], ["more"], "second/relu"),
            helper.make_node("Conv", ["more", "head"], ["unscaled"], "head"),
            helper.make_node("LpNormalization", ["unscaled"], ["embedding"], axis=1, p=2),
        ],
        "layered",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 32, "h", "w"])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "network.onnx")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training run: network.onnx and network.json."""
    folder = tmp_path_factory.mktemp("run")
    write_network(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_release(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release of three classes, whose exemplars are blocks; read only."""
    out = tmp_path_factory.mktemp("releases") / "tiny"
    options = BuildOptions(max_exemplars=60, webp_quality=60)
    build_release(Blocks(), load_embedder_source(tiny_run), out, options=options, calibrate_with=Blocks("val", count=3))
    return out


@pytest.fixture(scope="session")
def layered_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release like the tiny one, whose network has three convolutions; read only."""
    folder = tmp_path_factory.mktemp("layered")
    write_layered_network(folder)
    options = BuildOptions(max_exemplars=60, webp_quality=60)
    val = Blocks("val", count=3)
    return build_release(
        Blocks(), load_embedder_source(folder), folder / "tiny", options=options, calibrate_with=val
    ).path


@pytest.fixture(scope="session")
def quantised_release(layered_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the layered release with a network in bytes; read only."""
    out = tmp_path_factory.mktemp("quantised") / "tiny"
    return quantise_release(Release.open(layered_release), out, {"blocks/val": Blocks("val", count=3)}).path


@pytest.fixture(scope="session")
def empty_release(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release without classes, exemplars and calibration, with the network of the tiny release; read only.

    Segments count as known if they have about the colour of an exemplar.
    """
    full = Release.open(tiny_release)
    calibration = Calibration(
        confidence_x=[0, 1],
        confidence_y=[0, 1],
        known_threshold=0.9,
        how="there are no exemplars yet",
        calibrated=False,
    )
    changes = {"name": "blank", "classes": [], "calibration": calibration, "data": {}, "metrics": {}}
    card = full.card.model_copy(update=changes)
    out = tmp_path_factory.mktemp("releases") / "blank"
    return write_release(out, card, full.network_path, Exemplars.none(card.network.dimension), [], []).path
