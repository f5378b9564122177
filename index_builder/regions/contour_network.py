"""A small network that predicts the probability of a contour at each pixel, and its export to ONNX."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segsort.network import MobileNetV2Features, Separable

OPSET = 18
PARITY = 1e-3  # maximum difference between the contour strength of torch and of ONNX Runtime
CHECKED_SIZES = ((32, 32), (64, 160), (384, 480))  # height, width of the images that the two are compared on


class ContourNetwork(nn.Module):
    """MobileNetV2 with a feature pyramid down to stride 2.

    Maps [B, 3, H, W], H and W multiples of 32, to logits [B, 1, H, W]. It has one output at the finest map instead of
    the five side outputs of HED (Xie & Tu, ICCV 2015), because the pyramid combines the scales before the decision. The
    batch norms of the backbone keep their running statistics: a few steps of small batches would make them worse.
    """

    def __init__(self, weights: Mapping[str, Tensor] | None = None, width: int = 48) -> None:
        super().__init__()
        self.backbone = MobileNetV2Features(weights)
        channels = (16, *self.backbone.channels)  # the stem's map comes first
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, 1, bias=False), nn.BatchNorm2d(width)) for count in channels
        )
        self.smooth = nn.ModuleList(Separable(width) for _ in channels)
        self.head = nn.Conv2d(width, 1, 1)

    def train(self, mode: bool = True) -> "ContourNetwork":
        """Set the training mode of all modules except the batch norms of the backbone."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        maps = self._maps(image)
        x = self.smooth[-1](F.relu(self.laterals[-1](maps[-1])))
        for level in range(len(maps) - 2, -1, -1):
            finer = self.laterals[level](maps[level])
            x = F.interpolate(x, size=finer.shape[2:], mode="bilinear", align_corners=False)
            x = self.smooth[level](F.relu(x + finer))
        return F.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)

    def _maps(self, image: Tensor) -> list[Tensor]:
        """Feature maps of strides 2, 4, 8, 16 and 32. The backbone's own forward returns only the last four."""
        model, last = self.backbone.model, self.backbone._layers
        x = model.conv_stem(image)
        maps = [x]
        for number, layer in enumerate(model.layer[: last[-1] + 1]):
            x = layer(x)
            if number in last:
                maps.append(x)
        return maps


class _Strength(nn.Module):
    """Contour strength in 0..1 instead of logits."""

    def __init__(self, network: ContourNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.network(image)).sigmoid()


def export_contours(network: ContourNetwork, file: Path) -> None:
    """Write the network as ONNX: normalised "image" [1, 3, H, W] to "contours" [1, 1, H, W] in 0..1.

    H and W are multiples of 32.

    Raises:
        ValueError: if the contours of ONNX Runtime differ from those of torch at any of several sizes.
    """
    strength = _Strength(network).eval().to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    axes = {name: {0: "batch", 2: "height", 3: "width"} for name in ("image", "contours")}
    torch.onnx.export(
        strength, (torch.zeros(1, 3, 96, 128),), file, input_names=["image"], output_names=["contours"],
        dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    onnx.checker.check_model(str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for height, width in CHECKED_SIZES:
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            expected = strength(image).numpy()
        got = session.run(["contours"], {"image": image.numpy()})[0]
        difference = float(np.abs(expected - got).max()) if got.shape == expected.shape else float("nan")
        if not difference <= PARITY:
            raise ValueError(
                f"the contours of {file} differ from those of torch at {height}x{width}: shapes {got.shape} and "
                f"{expected.shape}, largest difference {difference:.5f}, allowed {PARITY}; try another opset"
            )
