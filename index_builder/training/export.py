"""Export of a checkpoint to ONNX. The result is compared with torch before it is accepted."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from index_builder.training.averaging import NormStatistics, has_batch_norms
from index_builder.training.recipe import Recipe, normalisation
from model_store.card import ClassInfo, NetworkInfo, Preprocessing
from segsort.network import STRIDE, ClassifyingNetwork, EmbeddingNetwork, build_network, count_parameters

OPSET = 18
PARITY = 0.999  # minimum cosine between the embeddings of torch and of ONNX Runtime
CHECKED_SIZES = ((32, 32), (64, 160), (384, 480))  # height, width of the images that the two are compared on


def load_checkpoint(checkpoint: str | Path, recipe: Recipe) -> EmbeddingNetwork | ClassifyingNetwork:
    """Build the network of a checkpoint with its averaged weights, in evaluation mode."""
    weights = network_weights(checkpoint)
    network = build_network(recipe.backbone, recipe.dimension, config=recipe.backbone_config)
    if "classifier.weight" in weights:
        classifying = ClassifyingNetwork(network, len(weights["classifier.weight"]), recipe.frozen)
        classifying.load_state_dict(weights)
        return classifying.eval()
    network.load_state_dict(weights)
    return network.eval()


def network_weights(checkpoint: str | Path) -> dict[str, torch.Tensor]:
    """Averaged weights of the network in a checkpoint, by parameter name."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    return {key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")}


def write_network(checkpoint: str | Path, recipe: Recipe, out: Path, classes: Sequence[ClassInfo]) -> None:
    """Write network.onnx and network.json, which `segsort build --embedder` reads.

    It warns if the statistics of the network's batch norms were not estimated for its weights.

    Args:
        checkpoint: checkpoint of the run.
        recipe: recipe of the run.
        out: folder to write into.
        classes: classes of a classifier's outputs, in order.
    """
    network = load_checkpoint(checkpoint, recipe)
    if has_batch_norms(network) and not NormStatistics.are_of(checkpoint):
        warnings.warn(
            f"the batch norms of {checkpoint} have running averages of earlier steps as statistics, so the exported "
            "network may be worse than what was trained; train again with this version, or for many more steps",
            stacklevel=2,
        )
    export_onnx(network, out / "network.onnx")
    mean, std = normalisation(recipe.backbone)
    info: dict[str, Any] = {
        "network": NetworkInfo(
            name=f"{recipe.backbone}-segsort",
            backbone=recipe.backbone,
            dimension=recipe.dimension,
            stride=STRIDE,
            parameters=count_parameters(network),
            opset=OPSET,
        ).model_dump(mode="json"),
        "preprocessing": Preprocessing(working_size=recipe.working_size, mean=mean, std=std).model_dump(mode="json"),
        "training": recipe.model_dump(mode="json", exclude={"roots", "weights", "start", "region_maps", "contours"}),
    }
    if isinstance(network, ClassifyingNetwork):
        info["classes"] = [entry.model_dump(mode="json") for entry in classes]
    (out / "network.json").write_text(json.dumps(info, indent=2) + "\n")


def export_onnx(network: EmbeddingNetwork | ClassifyingNetwork, file: Path) -> None:
    """Write the network as ONNX: "image" [1, 3, H, W] to "embedding" [1, D, H/4, W/4], H and W multiples of 32.

    A classifying network has a second output, "logits" [1, C, H/4, W/4].

    Raises:
        ValueError: if ONNX Runtime's embeddings differ from torch's at any of several sizes.
    """
    network = network.eval().to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    example = torch.zeros(1, 3, 96, 128)
    outputs = ["embedding", "logits"] if isinstance(network, ClassifyingNetwork) else ["embedding"]
    axes = {"image": {0: "batch", 2: "height", 3: "width"}, **{name: {0: "batch", 2: "h", 3: "w"} for name in outputs}}
    torch.onnx.export(
        network, (example,), file, input_names=["image"], output_names=outputs,
        dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    onnx.checker.check_model(str(file))
    _check_parity(network, file)


def _check_parity(network: EmbeddingNetwork | ClassifyingNetwork, file: Path) -> None:
    """Compare the embeddings of ONNX Runtime with those of torch, on noise of several sizes."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for height, width in CHECKED_SIZES:
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            output = network(image)
        expected = (output[0] if isinstance(output, tuple) else output).numpy()
        got = session.run(["embedding"], {"image": image.numpy()})[0]
        cosine = float((expected * got).sum(axis=1).min()) if got.shape == expected.shape else float("nan")
        if not np.isfinite(cosine) or cosine < PARITY:
            raise ValueError(
                f"the embeddings of {file} differ from those of torch at {height}x{width}: shapes {got.shape} and "
                f"{expected.shape}, minimum cosine {cosine:.5f}, allowed {PARITY}; try another opset or backbone"
            )
