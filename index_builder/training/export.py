"""From a checkpoint to the network that is served: ONNX, compared with torch before it is kept."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from index_builder.training.recipe import Recipe, normalisation
from model_store.card import ClassInfo, NetworkInfo, Preprocessing
from segsort.network import STRIDE, ClassifyingNetwork, EmbeddingNetwork, build_network, count_parameters

OPSET = 18
PARITY = 0.999  # the least cosine between an embedding by torch and by ONNX Runtime


def load_checkpoint(checkpoint: str | Path, recipe: Recipe) -> EmbeddingNetwork | ClassifyingNetwork:
    """The averaged weights of a checkpoint, in a network ready to run."""
    weights = network_weights(checkpoint)
    network = build_network(recipe.backbone, recipe.dimension, config=recipe.backbone_config)
    if "classifier.weight" in weights:
        twin = ClassifyingNetwork(network, len(weights["classifier.weight"]), recipe.frozen)
        twin.load_state_dict(weights)
        return twin.eval()
    network.load_state_dict(weights)
    return network.eval()


def network_weights(checkpoint: str | Path) -> dict[str, torch.Tensor]:
    """The averaged weights of the network in a checkpoint."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    return {key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")}


def write_network(checkpoint: str | Path, recipe: Recipe, out: Path, classes: Sequence[ClassInfo]) -> None:
    """Write network.onnx and network.json, which describe a run to `segsort build`.

    Args:
        checkpoint: of the run.
        recipe: of the run.
        out: folder to write into.
        classes: what a classifier's outputs stand for.
    """
    network = load_checkpoint(checkpoint, recipe)
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
    """Write the network as ONNX: "image" [1, 3, H, W] to "embedding" [1, D, H/4, W/4], for any H, W in steps of 32.

    Of a classifying network, "logits" [1, C, H/4, W/4] too.

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
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for height, width in ((32, 32), (64, 160), (384, 480)):
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            output = network(image)
        expected = (output[0] if isinstance(output, tuple) else output).numpy()
        got = session.run(["embedding"], {"image": image.numpy()})[0]
        cosine = float((expected * got).sum(axis=1).min()) if got.shape == expected.shape else float("nan")
        if not np.isfinite(cosine) or cosine < PARITY:
            raise ValueError(
                f"{file} gives other embeddings than torch at {height}x{width}: shapes {got.shape} and "
                f"{expected.shape}, least cosine {cosine:.5f}, allowed {PARITY}; try another opset or backbone"
            )
