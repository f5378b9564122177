"""The network: a backbone from transformers and a light decoder that maps each pixel to the unit sphere."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoBackbone, AutoConfig, MobileNetV2Config, MobileNetV2Model

from segsort.efficientnet_lite import EfficientNetLite2
from segsort.sphere import normalize

STRIDE = 4  # pixels of the image along a side of one embedding cell


class MobileNetV2Features(nn.Module):
    """Feature maps of strides 4, 8, 16 and 32 of transformers' MobileNetV2 (which has no AutoBackbone class)."""

    channels = (24, 32, 96, 320)
    _layers = (1, 4, 11, 15)

    def __init__(self, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        config = MobileNetV2Config(depth_multiplier=1.0, tf_padding=True, finegrained_output=False)
        self.model = MobileNetV2Model(config, add_pooling_layer=False)
        if weights is not None:
            self.model.load_state_dict(dict(weights))
        self.model.conv_1x1 = nn.Identity()  # type: ignore[assignment]  # the 1280-channel head serves the ImageNet classifier only
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.01  # transformers builds 0.997, which forgets the running statistics at each step
        _pad_inside_convolutions(self.model)

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> four maps, finest first."""
        x = self.model.conv_stem(image)
        maps = []
        for number, layer in enumerate(self.model.layer[: self._layers[-1] + 1]):
            x = layer(x)
            if number in self._layers:
                maps.append(x)
        return maps


def _pad_inside_convolutions(model: nn.Module) -> None:
    """Let convolutions of stride 1 pad, where TensorFlow's padding is symmetric: an equal result without a copy."""
    for module in model.modules():
        convolution = getattr(module, "convolution", None)
        if isinstance(convolution, nn.Conv2d) and convolution.stride == (1, 1):
            config = copy.copy(module.config)
            config.tf_padding = False  # type: ignore[union-attr]
            module.config = config
            convolution.padding = tuple(
                d * (k - 1) // 2 for d, k in zip(convolution.dilation, convolution.kernel_size, strict=True)
            )


class BackboneFeatures(nn.Module):
    """Feature maps of any AutoBackbone, for example a ResNet, ConvNeXt V2 or DINOv2.

    Args:
        config: a transformers backbone configuration.
        pretrained: name or folder to take weights from; None starts from scratch.
    """

    def __init__(self, config: Any, pretrained: str | None = None) -> None:
        super().__init__()
        config.out_features = config.stage_names[-4:]
        self.model = auto_backbone(config)
        if pretrained is not None:  # AutoBackbone.from_pretrained would look for a local folder on the hub
            self.model = type(self.model).from_pretrained(pretrained, config=config)
        self.channels = tuple(self.model.channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """[B, 3, H, W] -> up to four maps, finest first."""
        return list(self.model(image).feature_maps)


def auto_backbone(config: Any) -> Any:
    """Backbone with random weights of a transformers configuration, whose `out_features` are the stages to return.

    Raises:
        ValueError: if transformers has no AutoBackbone class for it.
    """
    if isinstance(getattr(config, "hidden_sizes", None), tuple):
        config.hidden_sizes = list(config.hidden_sizes)  # ConvNeXt joins it with lists
    return AutoBackbone.from_config(config)  # type: ignore[no-untyped-call]


class Separable(nn.Sequential):
    """Depthwise 3x3 and pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class Decoder(nn.Module):
    """Feature pyramid: from the coarsest map on, upsample and add the next finer one, down to stride 4."""

    def __init__(self, channels: tuple[int, ...], dimension: int, width: int = 128) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, 1, bias=False), nn.BatchNorm2d(width)) for count in channels
        )
        self.context = nn.Sequential(nn.Conv2d(channels[-1], width, 1), nn.ReLU(inplace=True))
        self.smooth = nn.ModuleList(Separable(width) for _ in channels)
        self.head = nn.Conv2d(width, dimension, 1)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Feature maps [B, C_i, h_i, w_i], finest first -> [B, D, *size], not scaled to unit length."""
        whole = maps[-1].mean(dim=(2, 3), keepdim=True)
        x = self.smooth[-1](F.relu(self.laterals[-1](maps[-1])) + self.context(whole))
        for level in range(len(maps) - 2, -1, -1):
            finer = self.laterals[level](maps[level])
            x = F.interpolate(x, size=finer.shape[2:], mode="bilinear", align_corners=False)
            x = self.smooth[level](F.relu(x + finer))
        if x.shape[2:] != size:
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        return cast(Tensor, self.head(x))


class EmbeddingNetwork(nn.Module):
    """Backbone and decoder: [B, 3, H, W], H and W multiples of 32 -> [B, D, H/4, W/4] unit vectors."""

    def __init__(self, backbone: nn.Module, dimension: int = 32) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = Decoder(cast("tuple[int, ...]", backbone.channels), dimension)

    def unscaled(self, image: Tensor) -> Tensor:
        """Embeddings before they are scaled to unit length: [B, 3, H, W] -> [B, D, H/4, W/4]."""
        size = (image.shape[2] // STRIDE, image.shape[3] // STRIDE)
        return cast(Tensor, self.decoder(self.backbone(image), size))

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> unit vectors [B, D, H/4, W/4]."""
        return normalize(self.unscaled(image), dim=1)


FIRST_SCALE = 10.0  # of the unit vectors of a frozen network, where their classifier starts to learn


class ClassifyingNetwork(nn.Module):
    """A linear softmax classifier of each pixel on an embedding network: the baseline that SegSort is compared with.

    The classifier reads the embeddings before they are scaled to unit length, as in an ordinary segmentation network.
    On a frozen network it reads the unit vectors times a learnt scale; without one their logits are too small
    to be sure of anything.

    Args:
        network: backbone and decoder.
        classes: C.
        frozen: train the classifier only.
    """

    def __init__(self, network: EmbeddingNetwork, classes: int, frozen: bool = False) -> None:
        super().__init__()
        self.network, self.frozen = network, frozen
        self.classifier = nn.Conv2d(network.decoder.head.out_channels, classes, 1)
        if frozen:
            self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))
            network.requires_grad_(False)

    def train(self, mode: bool = True) -> "ClassifyingNetwork":
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, H, W] -> unit vectors [B, D, H/4, W/4] and logits [B, C, H/4, W/4]."""
        unscaled = self.network.unscaled(image)
        embedding = normalize(unscaled, dim=1)
        return embedding, self.classifier(embedding * self.scale if self.frozen else unscaled)


def build_network(
    backbone: str,
    dimension: int = 32,
    weights: Mapping[str, Tensor] | None = None,
    config: Mapping[str, Any] | None = None,
) -> EmbeddingNetwork:
    """Build a network from the name of its backbone.

    Args:
        backbone: "mobilenet_v2", "efficientnet_lite2", or a name or folder that transformers' AutoConfig understands,
            such as "microsoft/resnet-50"; with the prefix "scratch:" its weights are not loaded. A model type
            ("scratch:resnet") has its default configuration.
        dimension: length of an embedding.
        weights: state of MobileNetV2Model, or of `EfficientNetLite2`, to start from (ImageNet's); None starts from
            scratch.
        config: of "scratch:TYPE", values that differ from the default, such as {"depths": [1, 2, 2, 1]}.

    Raises:
        ValueError: if `backbone` is unknown, or `config` is given for a backbone with its own configuration.
    """
    if config and not (backbone.startswith("scratch:") and _is_model_type(backbone.removeprefix("scratch:"))):
        raise ValueError(f"config {dict(config)} is for a backbone 'scratch:TYPE', not {backbone!r}; leave it out")
    if backbone == "mobilenet_v2":
        return EmbeddingNetwork(MobileNetV2Features(weights), dimension)
    if backbone == "efficientnet_lite2":
        return EmbeddingNetwork(EfficientNetLite2(weights), dimension)
    name = backbone.removeprefix("scratch:")
    try:
        chosen = (
            AutoConfig.for_model(name, **config or {}) if _is_model_type(name) else AutoConfig.from_pretrained(name)
        )
        features = BackboneFeatures(chosen, None if name != backbone else name)
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"backbone={backbone!r} could not be built ({str(error).splitlines()[0]}); use 'mobilenet_v2', "
            "'efficientnet_lite2', the name of a transformers backbone such as 'facebook/dinov2-small', a local "
            "folder, or 'scratch:resnet'"
        ) from error
    return EmbeddingNetwork(features, dimension)


def _is_model_type(name: str) -> bool:
    return "/" not in name and not Path(name).exists()


@torch.no_grad()
def count_parameters(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
