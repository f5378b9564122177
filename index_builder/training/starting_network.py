"""The network that training starts from: that of a run, or that of a release, whose ONNX has folded batch norms."""

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from index_builder.embedder_source import is_release
from index_builder.training.export import load_checkpoint
from index_builder.training.recipe import Recipe
from model_store.card import Card
from model_store.release import CARD, NETWORK
from segsort.network import ClassifyingNetwork, EmbeddingNetwork, build_network


def starting_network(start: Path, recipe: Recipe) -> EmbeddingNetwork:
    """Load the network of a run or a release: a run's best checkpoint, or its last if it never validated.

    The network of a release has its batch norms folded into the convolutions. They are restored as identities;
    `unfold_batch_norms` then gives them the statistics that training needs.

    Raises:
        ValueError: if `start` is neither a run nor a release, or its network differs from the recipe's in backbone or
            dimension.
    """
    if is_release(start):
        card = Card.model_validate_json((start / CARD).read_bytes())
        network = build_network(card.network.backbone, card.network.dimension)
        _check(start, (card.network.backbone, card.network.dimension), recipe)
        _read_onnx(start / NETWORK, network)
        return network
    files = [start / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    found = [file for file in files if file.is_file()]
    if not found or not (start / "recipe.json").exists():
        raise ValueError(
            f"start={str(start)!r} of the recipe has neither the {CARD} of a release nor recipe.json and "
            "checkpoints/best.ckpt or last.ckpt of a run; give the folder of a release or a run, or leave it out"
        )
    source = Recipe.model_validate(json.loads((start / "recipe.json").read_text()))
    _check(start, (source.backbone, source.dimension), recipe)
    loaded = load_checkpoint(found[0], source)
    return loaded.network if isinstance(loaded, ClassifyingNetwork) else loaded


def _check(start: Path, kind: tuple[str, int], recipe: Recipe) -> None:
    if kind != (recipe.backbone, recipe.dimension):
        raise ValueError(
            f"the network of {start} has backbone {kind[0]!r} and dimension {kind[1]}, the recipe has "
            f"{recipe.backbone!r} and {recipe.dimension}; use the backbone and dimension of the start in the recipe"
        )


def _read_onnx(file: Path, network: EmbeddingNetwork) -> None:
    """Copy the weights of each convolution into the network, in execution order."""
    graph = onnx.load(str(file)).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in values:  # a weight that is stored in 16 bits
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
    stored = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    order = _execution_order(network.eval())
    if len(order) != len(stored):
        raise ValueError(
            f"{file} has {len(stored)} convolutions, the network of the recipe {len(order)}; start from another release"
        )
    with torch.no_grad():
        for (convolution, norm), weights in zip(order, stored, strict=True):
            convolution.weight.copy_(torch.from_numpy(weights[0].copy()))
            bias = torch.from_numpy(weights[1].copy()) if len(weights) > 1 else torch.zeros(len(weights[0]))
            if norm is None:
                if convolution.bias is not None:
                    convolution.bias.copy_(bias)
                continue
            norm.running_mean.zero_()  # type: ignore[union-attr]
            norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]
            norm.weight.fill_(1)
            norm.bias.copy_(bias)


def _execution_order(network: EmbeddingNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Convolutions in the order in which they run, each with the batch norm that follows it, if there is one."""
    order: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            order.append((module, None))
        elif isinstance(module, nn.BatchNorm2d):
            order[-1] = (order[-1][0], module)

    hooks = [m.register_forward_hook(record) for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    return order


@torch.no_grad()
def unfold_batch_norms(network: nn.Module, images: Tensor) -> None:
    """Set the statistics of batch norms to those of their inputs, without changing the function of the network.

    In training, a batch norm normalises by the statistics of the batch. A restored norm that is still the identity
    would therefore change the network's function in the first step.

    Args:
        network: changed in place; its function in evaluation mode stays the same. It is in training mode afterwards.
        images: [B, 3, H, W] float32, normalised.
    """
    statistics: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(module: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].double()
        statistics[module] = (x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0))

    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [m.register_forward_pre_hook(measure) for m in norms]
    network.eval()(images)
    for hook in hooks:
        hook.remove()
    for norm, (mean, variance) in statistics.items():
        old_mean, old_scale = norm.running_mean.double(), norm.weight / (norm.running_var + norm.eps).double().sqrt()  # type: ignore[union-attr, operator]
        norm.bias.copy_(norm.bias + old_scale * (mean - old_mean))
        norm.weight.copy_(old_scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
    network.train()
