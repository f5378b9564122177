"""Maps enlarged as bytes in a quantised network.

ONNX Runtime converts a map of bytes to float32 to enlarge it, or interpolates one byte at a time. Bilinear enlargement
by two is also a depthwise convolution with the weights [1, 2, 1] / 4 along each side, over the map with every row and
column doubled and its edges repeated. ONNX Runtime has fast loops for both steps.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from index_builder.quantising.folded import remove_dead

LONGEST = 8192  # rows or columns of an enlarged map, at most; of an image, `segsort.network.STRIDE` times as many
_TABLE, _BEGIN, _TWO, _EDGE = (f"doubled/{name}" for name in ("table", "begin", "two", "edge"))


def enlarge_as_bytes(model: onnx.ModelProto, doubled: Mapping[str, int]) -> None:
    """Change the model so that no map of bytes is converted to float32 to be enlarged.

    Args:
        model: in the QDQ form.
        doubled: names of the Resize nodes that double a map bilinearly, and their numbers of channels.
    """
    graph, readers = model.graph, defaultdict[str, list[NodeProto]](list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    producers = {output: node for node in graph.node for output in node.output}
    replaced = dict[str, list[NodeProto]]()
    for node in [node for node in graph.node if node.op_type == "Resize"]:
        before, after = producers.get(node.input[0]), readers[node.output[0]]
        if before is None or before.op_type != "DequantizeLinear" or [n.op_type for n in after] != ["QuantizeLinear"]:
            continue
        bytes_after = after[0].output[0]
        graph.node.remove(after[0])
        node.input[0], node.output[0] = before.input[0], bytes_after
        for reader in readers[bytes_after]:  # the bytes keep their meaning
            reader.input[1:] = before.input[1:]
        if node.name in doubled:
            replaced[node.name] = _doubling(node, list(before.input[1:]), doubled[node.name])
            graph.initializer.extend(_weights(node.name, doubled[node.name]))
    if replaced:
        graph.initializer.extend(_shared_constants())
        nodes = [new for node in graph.node for new in replaced.get(node.name, [node])]
        del graph.node[:]
        graph.node.extend(nodes)
    del graph.value_info[:]  # types of maps, some of which are now others
    remove_dead(model)


def _doubling(resize: NodeProto, scale: list[str], channels: int) -> list[NodeProto]:
    """Nodes that compute what a Resize of bytes computes.

    Rows and columns are copied with the channels last, so that whole pixels are copied.

    Args:
        resize: the node to replace.
        scale: names of the scale and zero point of its bytes.
        channels: of its map.
    """
    name, x = resize.name, resize.input[0]
    nodes = [helper.make_node("Transpose", [x], [f"{name}/0"], f"{name}/last", perm=[0, 2, 3, 1])]
    for axis in (1, 2):
        length, twice, inner, index = (f"{name}/{what}{axis}" for what in ("length", "twice", "inner", "index"))
        nodes += [
            helper.make_node("Shape", [x], [length], length, start=axis + 1, end=axis + 2),
            helper.make_node("Mul", [length, _TWO], [twice], twice),
            helper.make_node("Slice", [_TABLE, _BEGIN, twice], [inner], inner),
            helper.make_node("Concat", [f"{_EDGE}/0", inner, f"{_EDGE}/1"], [index], index, axis=0),
            helper.make_node(
                "Gather", [f"{name}/{axis - 1}", index], [f"{name}/{axis}"], f"{name}/by{axis}", axis=axis
            ),
        ]
    numbers, weights = f"{name}/numbers", f"{name}/smoothing"
    bytes_of_weights = [f"{name}/{what}" for what in ("weights", "step", "zero")]
    return [
        *nodes,
        helper.make_node("Transpose", [f"{name}/2"], [f"{name}/3"], f"{name}/first", perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", [f"{name}/3", *scale], [numbers], numbers),
        helper.make_node("DequantizeLinear", bytes_of_weights, [weights], weights, axis=0),
        helper.make_node(
            "Conv", [numbers, weights], [f"{name}/smooth"], f"{name}/smooth", kernel_shape=[3, 3], group=channels
        ),
        helper.make_node("QuantizeLinear", [f"{name}/smooth", *scale], list(resize.output), f"{name}/bytes"),
    ]


def _weights(name: str, channels: int) -> list[onnx.TensorProto]:
    """Weights of the depthwise convolution of `_doubling`, as bytes and their step for each channel."""
    smooth = np.outer([1, 2, 1], [1, 2, 1]).astype(np.int8)
    return [
        numpy_helper.from_array(np.tile(smooth, (channels, 1, 1, 1)), f"{name}/weights"),
        numpy_helper.from_array(np.full(channels, 1 / 16, dtype=np.float32), f"{name}/step"),
        numpy_helper.from_array(np.zeros(channels, dtype=np.int8), f"{name}/zero"),
    ]


def _shared_constants() -> list[onnx.TensorProto]:
    """Constants of all `_doubling`: 0, 0, 1, 1, ...; where a slice begins; 2; and the first and last position."""
    return [
        numpy_helper.from_array(np.repeat(np.arange(LONGEST // 2, dtype=np.int32), 2), _TABLE),
        numpy_helper.from_array(np.array([0], dtype=np.int64), _BEGIN),
        numpy_helper.from_array(np.array([2], dtype=np.int64), _TWO),
        *(numpy_helper.from_array(np.array([at], dtype=np.int32), f"{_EDGE}/{n}") for n, at in enumerate((0, -1))),
    ]
