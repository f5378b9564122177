"""Networks as ONNX files: extractors joined side by side, and a head appended to an extractor."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.compose import add_prefix, merge_models
from torch import Tensor, nn
from torch.nn import functional as F

from segsort.features import STRIDE, Extractor
from segsort.head import Head, Trees
from segsort.sphere import normalize

OPSET, ML_OPSET, IR_VERSION = 18, 3, 8
LEAST = 1e-6  # added to a posterior, see `joined_embedding`
_SAMPLES, _OTHERS = "head_samples", "head_others"  # outputs of a head with trees, before the trees are appended
_LARGE = 1024  # values; a tensor that is larger is stored in 16 bits if that is asked for


def export_extractor(extractor: Extractor, file: Path) -> None:
    """Write an extractor as ONNX: "image" [B, 3, H, W] to one output a group, for any B, and H, W multiples of 32."""
    names = [group.name for group in extractor.groups]
    _export(extractor.eval(), (torch.zeros(1, 3, 96, 128),), ["image"], names, file)


def join_extractors(files: Sequence[tuple[Path, dict[str, str]]], out: Path) -> None:
    """Write several networks that read the same image as one network.

    Args:
        files: ONNX files with the input "image", and the new names of the outputs that are kept, by their old names.
        out: ONNX file to write.
    """
    nodes, tensors, outputs = [], [], []
    for number, (file, names) in enumerate(files):
        model = add_prefix(onnx.load(file), f"{number}/")
        _rename(model.graph, {f"{number}/image": "image"} | {f"{number}/{old}": new for old, new in names.items()})
        nodes += list(model.graph.node)
        tensors += list(model.graph.initializer)
        outputs += [one for one in model.graph.output if one.name in names.values()]
        image = model.graph.input[0]
    graph = helper.make_graph(nodes, "features", [image], outputs, tensors)
    _save(_model(graph), out)


def head_model(head: Head) -> onnx.ModelProto:
    """A head as a network of its own: one input for each of its groups, and the output "embedding" [B, D, H/4, W/4]."""
    names = [group.name for group in head.groups]
    maps = tuple(torch.zeros(1, group.channels, 96 // group.stride, 128 // group.stride) for group in head.groups)
    outputs = ["embedding"] if head.trees is None else [_SAMPLES, _OTHERS]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "head.onnx"
        _export(HeadOnMaps(head).eval(), maps, names, outputs, file)
        graph = onnx.load(file).graph
    if head.trees is not None:
        _append_trees(graph, head, head.trees)
    return _model(graph)


def append_head(features: Path, head: Head, out: Path) -> None:
    """Write the network of a release: an extractor, the head, and nothing that the head does not read.

    Args:
        features: ONNX file with one output for each group of the head, and perhaps others.
        head: the head.
        out: ONNX file with the input "image" and the output "embedding" [B, D, H/4, W/4], unit vectors.
    """
    tail = add_prefix(head_model(head), "head/")
    _rename(tail.graph, {"head/embedding": "embedding"})
    joined = merge_models(
        _model(onnx.load(features).graph),
        tail,
        io_map=[(group.name, f"head/{group.name}") for group in head.groups],
        outputs=["embedding"],
    )
    _save(joined, out)


class HeadOnMaps(nn.Module):
    """A head over maps [B, C_i, H_i, W_i] of its groups, without its trees.

    Its result is the embedding [B, D, H/4, W/4]. Of a head with trees it is what they read [B, P, H/4, W/4], and the
    rest: the posteriors of the softmax, if there is one, and the coordinates as vectors of length blend ** 0.5.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head
        self.factors = [group.stride // STRIDE for group in head.groups]
        self.direct = _read_directly(head)
        skipped = sum(head.groups[n].channels for n in self.direct)
        starts = np.cumsum([0, *(group.channels for group in head.groups)])
        self.parts = nn.ParameterList(
            nn.Parameter(torch.from_numpy(head.weight[skipped:, a:b].copy())[:, :, None, None], requires_grad=False)
            for a, b in pairwise(starts)
        )
        self.bias = nn.Parameter(torch.from_numpy(head.bias[skipped:].copy())[:, None, None], requires_grad=False)
        second = None if head.second is None else torch.from_numpy(head.second.copy())[:, :, None, None]
        self.second = None if second is None else nn.Parameter(second, requires_grad=False)

    def forward(self, *maps: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        head, hidden = self.head, self._affine(maps)
        before, coordinates = _cut(hidden, head.tail)
        if head.trees is None and not head.logits:
            if self.second is not None:
                hidden = F.conv2d(torch.cat([F.relu(before), coordinates], dim=1), self.second)
            return normalize(hidden, dim=1)
        inputs, logits = _cut(before, head.logits)
        coordinates = head.blend**0.5 * normalize(coordinates, dim=1)
        posteriors = [logits.softmax(dim=1)] if head.logits else []
        if head.trees is not None:
            whole = [_enlarged(maps[n], self.factors[n]) for n in self.direct]
            return torch.cat([*whole, inputs], dim=1), torch.cat([*posteriors, coordinates], dim=1)
        roots = normalize((posteriors[0] + LEAST).sqrt(), dim=1)
        return torch.cat([(1 - head.blend) ** 0.5 * roots, coordinates], dim=1)

    def _affine(self, maps: tuple[Tensor, ...]) -> Tensor:
        """The affine layer, without the rows that pass maps on unchanged."""
        total: Tensor | None = None
        for values, weight, factor in sorted(zip(maps, self.parts, self.factors, strict=True), key=lambda one: one[2]):
            part = _enlarged(F.conv2d(values, weight), factor)
            total = part if total is None else total + part
        if total is None:
            raise ValueError("a head reads at least one map")
        return total + self.bias


def _read_directly(head: Head) -> list[int]:
    """Positions of the groups whose features the first rows of the affine layer pass on unchanged, group by group."""
    row, direct, starts = 0, [], np.cumsum([0, *(group.channels for group in head.groups)])
    if head.trees is not None:
        for n, group in enumerate(head.groups):
            rows = head.weight[row : row + group.channels]
            unchanged = np.zeros_like(rows)
            columns = np.arange(starts[n], starts[n] + group.channels)
            if len(rows) == group.channels:
                unchanged[np.arange(len(rows)), columns] = 1
                if (rows == unchanged).all() and not head.bias[row : row + group.channels].any():
                    direct.append(n)
                    row += group.channels
    return direct if row < len(head.weight) else []  # a convolution needs a row


def _enlarged(values: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return values
    return F.interpolate(values, scale_factor=float(factor), mode="bilinear", align_corners=False)


def _cut(values: Tensor, last: int) -> tuple[Tensor, Tensor]:
    """Split off the last channels."""
    return values[:, : values.shape[1] - last], values[:, values.shape[1] - last :]


def _append_trees(graph: onnx.GraphProto, head: Head, trees: Trees) -> None:
    """Turn the two outputs of `HeadOnMaps` into "embedding" [B, D, h, w], as `joined_embedding` does for rows."""
    C = trees.values.shape[1]
    P = len(head.weight) - head.logits - head.tail
    constants: dict[str, np.ndarray] = {
        "row": np.array([-1, P], dtype=np.int64),
        "classes": np.array([C], dtype=np.int64),
        "begin": np.array([0], dtype=np.int64),
        "three": np.array([3], dtype=np.int64),
        "channel": np.array([1], dtype=np.int64),
        "middle": np.array([head.logits], dtype=np.int64),
        "end": np.array([head.logits + head.tail], dtype=np.int64),
        "half": np.array([0.5], dtype=np.float32),
        "least": np.array([LEAST], dtype=np.float32),
        "share": np.array([(1 - head.blend) ** 0.5 if head.tail else 1.0], dtype=np.float32),
    }
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    nodes = [
        helper.make_node("Transpose", [_SAMPLES], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "row"], ["rows"]),
        _tree_node(trees, "rows", "found"),
        helper.make_node("Shape", ["last"], ["shape"]),
        helper.make_node("Slice", ["shape", "begin", "three"], ["places"]),
        helper.make_node("Concat", ["places", "classes"], ["full"], axis=0),
        helper.make_node("Reshape", ["found", "full"], ["image_last"]),
        helper.make_node("Transpose", ["image_last"], ["of_trees"], perm=[0, 3, 1, 2]),
        helper.make_node("Slice", [_OTHERS, "begin", "middle", "channel"], ["of_softmax"]),
        helper.make_node("Add", ["of_trees", "of_softmax"], ["both"]),
        helper.make_node("Mul", ["both", "half"], ["mean"]),
        helper.make_node("Add", ["mean" if head.logits else "of_trees", "least"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["roots"]),
        helper.make_node("ReduceL2", ["roots", "channel"], ["length"], keepdims=1),
        helper.make_node("Div", ["roots", "length"], ["unit"]),
        helper.make_node("Mul", ["unit", "share"], ["scaled"]),
        helper.make_node("Slice", [_OTHERS, "middle", "end", "channel"], ["coordinates"]),
        helper.make_node("Concat", ["scaled", "coordinates"], ["embedding"], axis=1),
    ]
    if not head.logits:
        stored = [tensor for tensor in stored if tensor.name != "half"]
        nodes = [node for node in nodes if not {"of_softmax", "both"} & {*node.output, *node.input}]
    trees_part = helper.make_graph(nodes, "trees", [], [], stored)
    made = [*constants, *(name for node in nodes for name in node.output if name != "embedding")]
    _rename(trees_part, {name: f"trees/{name}" for name in made})  # a map may have any of these names
    graph.node.extend(trees_part.node)
    graph.initializer.extend(trees_part.initializer)
    del graph.output[:]
    shape: list[str | int | None] = ["batch", head.dimension, "h", "w"]
    graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape))


def _tree_node(trees: Trees, samples: str, out: str) -> onnx.NodeProto:
    """The forest as one TreeEnsembleRegressor that averages the posteriors of its trees."""
    count = len(trees.starts) - 1
    tree = np.repeat(np.arange(count), np.diff(trees.starts))
    node = np.arange(len(trees.feature)) - trees.starts[tree]
    leaf = trees.feature < 0
    leaves = np.flatnonzero(leaf)
    C = trees.values.shape[1]
    return helper.make_node(
        "TreeEnsembleRegressor",
        [samples],
        [out],
        domain="ai.onnx.ml",
        n_targets=C,
        aggregate_function="AVERAGE",
        post_transform="NONE",
        nodes_treeids=tree.tolist(),
        nodes_nodeids=node.tolist(),
        nodes_featureids=np.maximum(trees.feature, 0).tolist(),
        nodes_values=trees.threshold.astype(np.float32).tolist(),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_truenodeids=trees.left.tolist(),
        nodes_falsenodeids=trees.right.tolist(),
        target_treeids=np.repeat(tree[leaves], C).tolist(),
        target_nodeids=np.repeat(node[leaves], C).tolist(),
        target_ids=np.tile(np.arange(C), len(leaves)).tolist(),
        target_weights=trees.values[leaves].ravel().astype(np.float32).tolist(),
    )


def store_in_half(file: Path) -> None:
    """Store large weights of a network in 16 bits. ONNX Runtime computes in 32 bits as before."""
    model = onnx.load(file)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > _LARGE:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
            casts.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _save(model, file)


def _export(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str], file: Path) -> None:
    axes = {name: {0: "batch", 2: f"{name}_h", 3: f"{name}_w"} for name in [*names, *outputs]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes are constant in a trace, and what is not folded
        torch.onnx.export(
            module, inputs, file, input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=OPSET,
            dynamo=False,
        )  # fmt: skip


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="segsort")


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Rename values of a graph, wherever they occur."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        for value in values:
            value.name = names.get(value.name, value.name)


def _save(model: onnx.ModelProto, file: Path) -> None:
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, file)
