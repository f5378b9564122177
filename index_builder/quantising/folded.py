"""An embedding network as an ONNX graph that is ready to be quantised: constants folded, sizes of maps fixed."""

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from model_store.embedder import EXACT_BYTES

EMBEDDING = "embedding"
QUANTISED = ("Conv", "Clip", "Relu", "Add", "Resize", "ReduceMean")  # operators with tensors of bytes
_TRIED = ((64, 96), (160, 128))  # height, width of the images that tell whether a map always grows by one factor


@dataclass(frozen=True)
class FoldedNetwork:
    """An embedding network in float32.

    Attributes:
        model: its graph. Every convolution has weights and a bias of its own.
        layers: names of the nodes from the image to the head that may compute in bytes, in order.
        head: name of the last convolution, which makes the embeddings before they are scaled to unit length.
        doubled: names of the Resize nodes that double a map bilinearly, and the number of channels of that map.
    """

    model: onnx.ModelProto
    layers: tuple[str, ...]
    head: str
    doubled: dict[str, int]

    @classmethod
    def read(cls, file: Path) -> "FoldedNetwork":
        """Read a network and fold its constants.

        Raises:
            ValueError: if the file is no embedding network, or has no convolution before its output.
        """
        model = _with_fixed_factors(_with_own_weights(_folded(file)))
        head = _head(model, file)
        nodes = list(model.graph.node)
        last = next(n for n, node in enumerate(nodes) if node.name == head)
        layers = tuple(
            node.name for node in nodes[: last + 1] if node.op_type in QUANTISED and _is_of_maps(node, model)
        )
        return cls(model, layers, head, _doubled(model))

    @property
    def convolutions(self) -> tuple[str, ...]:
        """Names of the convolutions, in order; the head is the last one."""
        kinds = {node.name: node.op_type for node in self.model.graph.node}
        return tuple(name for name in self.layers if kinds[name] == "Conv")

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the maps that `layers` read and write."""
        constants, found = {one.name for one in self.model.graph.initializer}, dict[str, None]()
        for node in self.model.graph.node:
            if node.name in self.layers:
                read = node.input if node.op_type == "Add" else node.input[:1]
                found.update(dict.fromkeys(name for name in [*read, *node.output] if name not in constants))
        return tuple(found)

    def with_outputs(self, tensors: tuple[str, ...]) -> onnxruntime.InferenceSession:
        """A session that returns maps beside the embedding, each computed as the graph has it."""
        return open_model(_with_outputs(self.model, tensors), optimised=False)


def open_model(model: onnx.ModelProto, optimised: bool = True) -> onnxruntime.InferenceSession:
    """Open a model on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry(*EXACT_BYTES)
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def remove_dead(model: onnx.ModelProto) -> None:
    """Remove nodes and constants that no output depends on."""
    graph = model.graph
    while True:
        used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
        dead = [node for node in graph.node if not used & set(node.output)]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _folded(file: Path) -> onnx.ModelProto:
    """The model after ONNX Runtime's basic optimisations, which keep the standard operators."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        try:
            onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ValueError(f"{file} cannot be opened as an ONNX network: {str(error).splitlines()[0]}") from error
        model = onnx.load(options.optimized_model_filepath)
    standard = [one for one in model.opset_import if one.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(standard)
    return model


def _with_own_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every convolution a name, and weights and a bias that no other node reads."""
    constants = {one.name: one for one in model.graph.initializer}
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
        if node.op_type != "Conv" or node.input[1] not in constants:
            continue
        weights = numpy_helper.to_array(constants[node.input[1]])
        bias = numpy_helper.to_array(constants[node.input[2]]) if len(node.input) > 2 else np.zeros(len(weights), "f")
        own = [f"{node.name}/weights", f"{node.name}/bias"]
        model.graph.initializer.extend(
            numpy_helper.from_array(values, name) for values, name in zip((weights, bias), own, strict=True)
        )
        node.input[:] = [node.input[0], *own]
    remove_dead(model)
    return model


def _with_fixed_factors(model: onnx.ModelProto) -> onnx.ModelProto:
    """Enlarge maps by constant factors where the exported network computes their sizes from other maps."""
    resizes = [node for node in model.graph.node if node.op_type == "Resize" and len(node.input) > 3]
    if not resizes:
        return model
    maps = tuple(dict.fromkeys(name for node in resizes for name in (node.input[0], node.output[0])))
    session = open_model(_with_outputs(model, maps), optimised=False)
    factors = []
    for height, width in _TRIED:
        image = np.zeros((1, 3, height, width), dtype=np.float32)
        shape = {
            name: np.array(x.shape) for name, x in zip(maps, session.run(list(maps), {"image": image}), strict=True)
        }
        factors.append([shape[node.output[0]] / shape[node.input[0]] for node in resizes])
    for node, first, second in zip(resizes, *factors, strict=True):
        if (first == second).all():
            name = f"{node.name}/scales"
            model.graph.initializer.append(numpy_helper.from_array(first.astype(np.float32), name))
            node.input[:] = [node.input[0], "", name]
    remove_dead(model)
    return model


def _doubled(model: onnx.ModelProto) -> dict[str, int]:
    """Names of the Resize nodes that double a map bilinearly, and the number of channels of that map."""
    factors = {one.name: numpy_helper.to_array(one).tolist() for one in model.graph.initializer if one.dims == [4]}
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    sizes = {one.name: one.type.tensor_type.shape.dim for one in known}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Resize" or len(node.input) != 3 or factors.get(node.input[2]) != [1, 1, 2, 2]:
            continue
        said = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        places = said.get("coordinate_transformation_mode", b"half_pixel")
        size = sizes.get(node.input[0], ())
        if said.get("mode") == b"linear" and places == b"half_pixel" and not said.get("antialias") and len(size) == 4:
            found[node.name] = int(size[1].dim_value)
    return {name: channels for name, channels in found.items() if channels}


def _with_outputs(model: onnx.ModelProto, tensors: tuple[str, ...]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {one.name for one in [*model.graph.output, *model.graph.input]}
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in tensors if name not in present
    )
    return copy


def _head(model: onnx.ModelProto, file: Path) -> str:
    """Name of the convolution nearest to the output."""
    producers = {output: node for node in model.graph.node for output in node.output}
    waiting, seen = [EMBEDDING], set[str]()
    while waiting:
        node = producers.get(waiting.pop(0))
        if node is None or node.name in seen:
            continue
        if node.op_type == "Conv":
            return str(node.name)
        seen.add(node.name)
        waiting.extend(node.input)
    raise ValueError(f"{file} has no convolution before its output {EMBEDDING!r}; only such networks are quantised")


def _is_of_maps(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether a node computes maps, not sizes: its first input comes, through any nodes, from the image."""
    producers = {output: one for one in model.graph.node for output in one.output}
    readers = defaultdict[str, bool](bool, {"image": True})
    waiting = [node.input[0]]
    while waiting:
        name = waiting.pop()
        if readers[name]:
            return True
        one = producers.get(name)
        if one is not None and one.op_type not in ("Shape", "Constant"):
            waiting.extend(one.input)
    return False
