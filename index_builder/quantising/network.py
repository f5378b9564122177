"""Static quantisation of an embedding network: bytes between its layers, and whole numbers inside them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorData, TensorsData

from index_builder.quantising.enlarging import enlarge_as_bytes
from index_builder.quantising.folded import EMBEDDING, QUANTISED, FoldedNetwork, open_model
from index_builder.quantising.ranges import Range

ENOUGH = 0.0015  # mean of 1 - cosine to the embeddings in float32, at which no more layers are left in float32
MOST = 6  # of the first convolutions that may be left in float32


class Agreement(NamedTuple):
    """Cosines between embeddings in bytes and in float32: their mean, and the value that 99 of 100 exceed."""

    mean: float
    p01: float


def quantise(network: FoldedNetwork, ranges: Mapping[str, Range], in_float: Iterable[str]) -> onnx.ModelProto:
    """Quantise a network: activations to unsigned bytes, weights to signed bytes for each output channel.

    The result is in the QDQ form, which says where numbers are rounded. ONNX Runtime computes it in bytes.

    Args:
        network: in float32.
        ranges: of its maps.
        in_float: names of layers to leave in float32.
    """
    left = set(in_float)
    layers = [name for name in network.layers if name not in left]
    copy = onnx.ModelProto()
    copy.CopyFrom(network.model)
    known = {name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()}
    quantiser = QDQQuantizer(
        copy, True, False, QuantType.QInt8, QuantType.QUInt8, TensorsData(CalibrationMethod.MinMax, known),
        layers, sorted(left), list(QUANTISED), {},
    )  # fmt: skip
    quantiser.quantize_model()
    model: onnx.ModelProto = quantiser.model.model
    enlarge_as_bytes(model, network.doubled)
    return model


def compare(model: onnx.ModelProto, inputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Agreement:
    """Compare the embeddings of a model with those of the network in float32.

    Args:
        model: the model.
        inputs: prepared images, each [1, 3, h, w].
        expected: embeddings in float32 of each, [1, D, h/4, w/4].
    """
    session = open_model(model)
    found = [(session.run([EMBEDDING], {"image": x})[0] * e).sum(axis=1) for x, e in zip(inputs, expected, strict=True)]
    cosines = np.concatenate([one.ravel() for one in found])
    return Agreement(float(cosines.mean()), float(np.quantile(cosines, 0.01)))


def choose_in_float(network: FoldedNetwork, ranges: Mapping[str, Range], inputs: Sequence[np.ndarray]) -> list[str]:
    """Choose the layers to leave in float32: some of the first convolutions, and the head if that does not suffice.

    Every layer inherits the rounding of the first ones. One more of them is left in float32 until the mean cosine is
    `1 - ENOUGH`. If it never is, the head is left in float32 too. If no choice reaches it, the best one is taken.

    Args:
        network: in float32.
        ranges: of its maps.
        inputs: prepared images that the embeddings are compared on.

    Returns:
        Their names, the head last.
    """
    session = open_model(network.model)
    expected = [session.run([EMBEDDING], {"image": x})[0] for x in inputs]
    tried = dict[float, list[str]]()
    for head in ([], [network.head]):
        for count in range(min(MOST, len(network.convolutions) - 1) + 1):
            chosen = [*network.convolutions[:count], *head]
            mean = compare(quantise(network, ranges, chosen), inputs, expected).mean
            if mean >= 1 - ENOUGH:
                return chosen
            tried.setdefault(mean, chosen)
    return tried[max(tried)]
