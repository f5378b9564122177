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

from segsort.features import STRIDE, Extractor, FeatureGroup
from segsort.head import Head, Trees
from segsort.sphere import normalize

OPSET, ML_OPSET, IR_VERSION = 18, 3, 8
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
    output = "hidden" if head.trees is not None else "embedding"
    with TemporaryDirectory() as folder:
        file = Path(folder) / "head.onnx"
        _export(HeadOnMaps(head).eval(), maps, names, [output], file)
        graph = onnx.load(file).graph
    if head.trees is not None:
        _append_trees(graph, head)
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
    """A head over maps, without its trees: [B, C_i, H_i, W_i] of each group -> [B, D or M, H/4, W/4]."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.factors = [group.stride // STRIDE for group in head.groups]
        starts = np.cumsum([0, *(group.channels for group in head.groups)])
        self.parts = nn.ParameterList(
            nn.Parameter(torch.from_numpy(head.weight[:, a:b].copy())[:, :, None, None], requires_grad=False)
            for a, b in pairwise(starts)
        )
        self.bias = nn.Parameter(torch.from_numpy(head.bias.copy())[:, None, None], requires_grad=False)
        second = None if head.second is None else torch.from_numpy(head.second.copy())[:, :, None, None]
        self.second = None if second is None else nn.Parameter(second, requires_grad=False)
        self.ends, self.units = head.trees is None, len(head.weight) - head.tail

    def forward(self, *maps: Tensor) -> Tensor:
        total: Tensor | None = None
        for values, weight, factor in sorted(zip(maps, self.parts, self.factors, strict=True), key=lambda one: one[2]):
            part = F.conv2d(values, weight)
            if factor > 1:
                part = F.interpolate(part, scale_factor=float(factor), mode="bilinear", align_corners=False)
            total = part if total is None else total + part
        if total is None:
            raise ValueError("a head reads at least one map")
        total = total + self.bias
        if self.second is not None:
            hidden = torch.cat([F.relu(total[:, : self.units]), total[:, self.units :]], dim=1)
            total = F.conv2d(hidden, self.second)
        return normalize(total, dim=1) if self.ends else total


def _append_trees(graph: onnx.GraphProto, head: Head) -> None:
    """Turn the output "hidden" [B, M, h, w] into "embedding" [B, D, h, w], as `joined_embedding` does for rows."""
    trees = head.trees
    if trees is None:
        raise ValueError(f"a head of kind {head.kind!r} has no trees")
    inputs = len(head.weight) - head.tail
    constants: dict[str, np.ndarray] = {
        "row": np.array([-1, len(head.weight)], dtype=np.int64),
        "begin": np.array([0], dtype=np.int64),
        "middle": np.array([inputs], dtype=np.int64),
        "end": np.array([len(head.weight)], dtype=np.int64),
        "dimension": np.array([head.dimension], dtype=np.int64),
        "least": np.array([1e-6], dtype=np.float32),
        "channel": np.array([1], dtype=np.int64),
        "three": np.array([3], dtype=np.int64),
        "trees_share": np.array([(1 - head.blend) ** 0.5 if head.tail else 1.0], dtype=np.float32),
        "tail_share": np.array([head.blend**0.5], dtype=np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    nodes = [
        helper.make_node("Transpose", ["hidden"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "row"], ["rows"]),
        helper.make_node("Slice", ["rows", "begin", "middle", "channel"], ["samples"]),
        _tree_node(trees),
        helper.make_node("Add", ["posteriors", "least"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["roots"]),
        *_unit_rows("roots", "root_vectors", "trees_share"),
        helper.make_node("Slice", ["rows", "middle", "end", "channel"], ["coordinates"]),
        *(_unit_rows("coordinates", "tail_vectors", "tail_share") if head.tail else ()),
        helper.make_node("Concat", ["root_vectors", *(["tail_vectors"] if head.tail else [])], ["vectors"], axis=1),
        helper.make_node("Shape", ["last"], ["shape"]),
        helper.make_node("Slice", ["shape", "begin", "three"], ["places"]),
        helper.make_node("Concat", ["places", "dimension"], ["full"], axis=0),
        helper.make_node("Reshape", ["vectors", "full"], ["image_last"]),
        helper.make_node("Transpose", ["image_last"], ["embedding"], perm=[0, 3, 1, 2]),
    ]
    graph.node.extend(nodes)
    del graph.output[:]
    shape: list[str | int | None] = ["batch", head.dimension, "h", "w"]
    graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape))


def _unit_rows(rows: str, out: str, share: str) -> list[onnx.NodeProto]:
    """Scale rows to unit length, and then by a factor."""
    return [
        helper.make_node("ReduceL2", [rows, "channel"], [f"{rows}_length"], keepdims=1),
        helper.make_node("Max", [f"{rows}_length", "least"], [f"{rows}_safe"]),
        helper.make_node("Div", [rows, f"{rows}_safe"], [f"{rows}_unit"]),
        helper.make_node("Mul", [f"{rows}_unit", share], [out]),
    ]


def _tree_node(trees: Trees) -> onnx.NodeProto:
    """The forest as one TreeEnsembleRegressor that averages the posteriors of its trees."""
    count = len(trees.starts) - 1
    tree = np.repeat(np.arange(count), np.diff(trees.starts))
    node = np.arange(len(trees.feature)) - trees.starts[tree]
    leaf = trees.feature < 0
    leaves = np.flatnonzero(leaf)
    C = trees.values.shape[1]
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["samples"],
        ["posteriors"],
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


def group_infos(groups: Sequence[FeatureGroup]) -> list[dict[str, str | int]]:
    """Groups for a card."""
    return [group._asdict() for group in groups]
