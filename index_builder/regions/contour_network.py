"""A small network that says how likely a contour runs through each pixel, and its export as ONNX."""

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
PARITY = 1e-3  # the largest difference between a contour's strength by torch and by ONNX Runtime


class ContourNetwork(nn.Module):
    """MobileNetV2 and a feature pyramid down to stride 2: [B, 3, H, W], H and W multiples of 32 -> [B, 1, H, W] logits.

    One output at the finest map in place of HED's five side outputs (Xie & Tu, ICCV 2015): the pyramid joins the scales
    before the decision. The backbone's batch norm keeps its running statistics, which few steps of small batches would
    only blur.
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
        """As of any module, but for the backbone's batch norm."""
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
        """Maps of strides 2, 4, 8, 16 and 32. The backbone's own forward keeps the last four alone."""
        model, last = self.backbone.model, self.backbone._layers
        x = model.conv_stem(image)
        maps = [x]
        for number, layer in enumerate(model.layer[: last[-1] + 1]):
            x = layer(x)
            if number in last:
                maps.append(x)
        return maps


class _Strength(nn.Module):
    """Contour strength, 0..1, in place of logits."""

    def __init__(self, network: ContourNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.network(image)).sigmoid()


def export_contours(network: ContourNetwork, file: Path) -> None:
    """Write the network as ONNX: "image" [1, 3, H, W], normalised, to "contours" [1, 1, H, W], 0..1, in steps of 32.

    Raises:
        ValueError: if ONNX Runtime's contours differ from torch's at any of several sizes.
    """
    strength = _Strength(network).eval().to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    axes = {name: {0: "batch", 2: "height", 3: "width"} for name in ("image", "contours")}
    torch.onnx.export(
        strength, (torch.zeros(1, 3, 96, 128),), file, input_names=["image"], output_names=["contours"],
        dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    onnx.checker.check_model(str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for height, width in ((32, 32), (64, 160), (384, 480)):
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            expected = strength(image).numpy()
        got = session.run(["contours"], {"image": image.numpy()})[0]
        difference = float(np.abs(expected - got).max()) if got.shape == expected.shape else float("nan")
        if not difference <= PARITY:
            raise ValueError(
                f"{file} gives other contours than torch at {height}x{width}: shapes {got.shape} and {expected.shape}, "
                f"largest difference {difference:.5f}, allowed {PARITY}; try another opset"
            )
