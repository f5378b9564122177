"""Evaluation of a softmax classifier, pixel by pixel."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save

from index_builder.evaluation.classifier import evaluate_classifier, is_classifier
from index_builder.scores import calibration_error, intersection_over_union
from model_store.card import Preprocessing
from model_store.embedder import prepare
from model_store.pixel_classifier import classify_pixels
from tests.conftest import BLOCK_CLASSES, Blocks

STEEPNESS = 4e-4


@pytest.fixture(scope="module")
def classifier(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network embeds mean colours, with a classifier that chooses the class of the nearest colour."""
    folder = tmp_path_factory.mktemp("twin")
    colors = np.array([info.color for info in BLOCK_CLASSES], dtype=np.float32) - 127.5
    kernel = np.repeat((2 * colors * 127.5 * STEEPNESS / 16)[:, :, None, None], 16, axis=2).reshape(3, 3, 4, 4)
    bias = -(colors**2).sum(axis=1) * STEEPNESS
    values = {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel", "bias"], ["logits"], strides=[4, 4]),
            helper.make_node("LpNormalization", ["logits"], ["embedding"], axis=1, p=2),
        ],
        "nearest-colour",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"]) for name in ("embedding", "logits")],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), folder / "network.onnx")
    description = json.loads((tiny_run / "network.json").read_text())
    description["network"]["dimension"] = 3
    description["classes"] = [info.model_dump(mode="json") for info in BLOCK_CLASSES]
    (folder / "network.json").write_text(json.dumps(description))
    return folder


def test_the_figures_are_those_of_a_naive_count(classifier: Path) -> None:
    data, confusion, judged = Blocks("val", count=3), np.zeros((3, 3)), []
    description = json.loads((classifier / "network.json").read_text())
    colors = torch.tensor([info.color for info in BLOCK_CLASSES], dtype=torch.float32) - 127.5
    for i in range(3):
        sample = data[i]
        x, _ = prepare(sample.image, Preprocessing.model_validate(description["preprocessing"]))
        mean = torch.nn.functional.avg_pool2d(torch.from_numpy(x), 4)[0] * 127.5
        logits = -((mean[None] - colors[:, :, None, None]) ** 2).sum(dim=1) * STEEPNESS
        predicted, probability = classify_pixels(logits[:, :18, :24], sample.labels.shape)
        for y, x_ in np.argwhere(sample.labels != 255):
            confusion[sample.labels[y, x_], predicted[y, x_]] += 1
            judged.append((probability[y, x_], predicted[y, x_] == sample.labels[y, x_]))
    report = evaluate_classifier(classifier, data)
    assert report.protocol == "softmax"
    np.testing.assert_array_equal(report.confusion, confusion)
    assert report.miou == pytest.approx(intersection_over_union(confusion).mean())
    confidence, correct = (np.array(column, dtype=np.float64) for column in zip(*judged, strict=True))
    error = calibration_error(confidence, correct, np.ones(len(correct)))
    assert report.pixel_ece == {"raw": pytest.approx(error, abs=2e-3), "calibrated": None}
    assert report.ece is None, "that is of segments, which a classifier does not have"
    assert report.known_share is None
    assert report.miou is not None
    assert report.miou > 0.8


def test_probabilities_are_of_the_interpolated_logits() -> None:
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]])
    classes, probability = classify_pixels(logits, (1, 4))
    assert classes.tolist() == [[0, 0, 1, 1]] or classes.tolist() == [[0, 0, 0, 1]]
    assert probability[0, 0] == pytest.approx(np.exp(2) / (1 + np.exp(2)))
    assert probability[0, 3] == pytest.approx(np.exp(1) / (1 + np.exp(1)))


def test_a_run_without_a_classifier_is_refused(tiny_run: Path, classifier: Path, tmp_path: Path) -> None:
    assert is_classifier(classifier)
    assert not is_classifier(tiny_run)
    assert not is_classifier(tmp_path)
    with pytest.raises(ValueError, match="has no classifier"):
        evaluate_classifier(tiny_run, Blocks())
