"""Where training goes on from: the network of a run, or of a release, whose ONNX holds its weights in another form."""

import json
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from index_builder.training.export import load_checkpoint
from index_builder.training.recipe import Recipe
from model_store.card import Card
from model_store.release import CARD, NETWORK
from segsort.network import ClassifyingNetwork, EmbeddingNetwork, build_network


def is_release(start: Path) -> bool:
    """Whether a folder is a release's, and no run's."""
    return (start / CARD).exists()


def starting_network(start: Path, recipe: Recipe) -> EmbeddingNetwork:
    """The best network of a run, the last of one that never validated, or the network of a release.

    A release has batch norms folded into its convolutions: they come back as ones that change nothing, and
    `unfold_batch_norms` then gives them statistics to learn with.

    Raises:
        ValueError: if `start` is neither, or holds a network of another kind than the recipe's.
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
            f"{start}, which the recipe's start names, holds neither {CARD} of a release nor recipe.json and "
            "checkpoints/best.ckpt or last.ckpt of a run; give one that does, or leave it out"
        )
    told = Recipe.model_validate(json.loads((start / "recipe.json").read_text()))
    _check(start, (told.backbone, told.dimension), recipe)
    loaded = load_checkpoint(found[0], told)
    return loaded.network if isinstance(loaded, ClassifyingNetwork) else loaded


def _check(start: Path, kind: tuple[str, int], recipe: Recipe) -> None:
    if kind != (recipe.backbone, recipe.dimension):
        raise ValueError(
            f"{start} holds a network {kind[0]!r} of {kind[1]} dimensions, the recipe asks for {recipe.backbone!r} of "
            f"{recipe.dimension}; set backbone and dimension alike"
        )


def _read_onnx(file: Path, network: EmbeddingNetwork) -> None:
    """Copy each convolution's weights, in the order in which they run."""
    graph = onnx.load(str(file)).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    given = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    order = _running_order(network.eval())
    if len(order) != len(given):
        raise ValueError(f"{file} has {len(given)} convolutions, the network {len(order)}; start from another release")
    with torch.no_grad():
        for (convolution, norm), weights in zip(order, given, strict=True):
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


def _running_order(network: EmbeddingNetwork) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Convolutions as they run, each with the batch norm that reads what it gives."""
    order: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []

    def seen(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            order.append((module, None))
        elif isinstance(module, nn.BatchNorm2d):
            order[-1] = (order[-1][0], module)

    hooks = [m.register_forward_hook(seen) for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    return order


@torch.no_grad()
def unfold_batch_norms(network: nn.Module, images: Tensor) -> None:
    """Give batch norms the statistics of what they read, and weights that leave the network's function as it is.

    Training normalises by the statistics of a batch; a norm that was folded away would change the network at once.

    Args:
        network: in evaluation mode its function stays the same.
        images: [B, 3, H, W], as the network takes them.
    """
    statistics: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        x = given[0].double()
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
