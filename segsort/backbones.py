"""Any image backbone of transformers as a feature extractor, by its name on huggingface.co or by its folder.

Convolutional and windowed backbones (ResNet, ConvNeXt, Swin, SegFormer, ...) give the maps of their last four stages.
Transformers on patches (ViT, DINOv2, DINOv3, ...) give the tokens of three layers without class and register tokens; an
image is scaled so that a patch lies on each cell of stride 4, 8, 16 or 32. All maps are unit vectors.
"""

import inspect
import math
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel
from transformers.image_processing_base import ImageProcessingMixin
from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING
from transformers.models.dinov2_with_registers.modeling_dinov2_with_registers import Dinov2WithRegistersEmbeddings

from segsort.features import INPUT_MEAN, Extractor, FeatureGroup
from segsort.network import auto_backbone
from segsort.sphere import normalize

STRIDES = (4, 8, 16, 32)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
EXAMPLE_SIZE = (96, 128)  # to trace at: usual windows need padding at this size, so that padding is exported
_LEAST = 1e-12
_PARTS = (1 / 2, 3 / 4, 1)  # of a transformer's layers: where the maps are taken
_FINAL_NORMS = ("layernorm", "post_layernorm", "norm")
_FAULTS = (
    ValueError,
    RuntimeError,
    TypeError,
    AttributeError,
    KeyError,
    ImportError,
)  # of a model that is built otherwise
_PREFIX = 64  # tokens before those of patches: more are not class and register tokens
_NOISE_SIZES = ((256, 256), (384, 384), (256, 384), (384, 256))
_NOISE_IMAGES = 8  # of each size in each half of the estimate, and one of them of one color
_BIAS_CELLS = 24  # the positional bias is stored on a square grid of this size


def open_backbone(name: str, *, remove_positional_bias: bool = False) -> "BackboneMaps":
    """Open a backbone with its weights, for evaluation.

    Args:
        name: page on huggingface.co, such as "facebook/dinov2-small", or a folder with config.json and weights.
        remove_positional_bias: see `BackboneMaps.remove_positional_bias`.

    Raises:
        ValueError: if the backbone cannot be had, is no image backbone that can be read, lacks weights, or has no
            positional bias to remove. The message says what to do.
    """
    try:
        config = AutoConfig.from_pretrained(name)
        stages = type(config) in MODEL_FOR_BACKBONE_MAPPING
        reader = _Stages(name, config) if stages else _HiddenStates(name, config)
        maps = BackboneMaps(reader, _Pixels(_preprocessing(name))).eval().requires_grad_(False)
    except OSError as error:
        raise ValueError(_not_found(name, error)) from error
    except _FAULTS as error:
        raise ValueError(_unsupported(name, error)) from error
    if remove_positional_bias:
        maps.remove_positional_bias()
    return maps


class BackboneMaps(Extractor):
    """Maps of a backbone as unit vectors, at strides 4 to 32. `open_backbone` makes it.

    Args:
        reader: the backbone.
        pixels: conversion of the input.
    """

    def __init__(self, reader: "_Stages | _HiddenStates", pixels: "_Pixels") -> None:
        super().__init__()
        self.reader, self.pixels, self.patch = reader, pixels, reader.patch
        self.cell = _nearest_stride(self.patch or STRIDES[0])
        with torch.no_grad():
            maps = self.unscaled(torch.zeros(1, 3, *EXAMPLE_SIZE))
        strides = [EXAMPLE_SIZE[1] / one.shape[3] for one in maps]
        self.exact = all(stride in STRIDES for stride in strides)
        self.groups = tuple(
            FeatureGroup(name, one.shape[1], _nearest_stride(stride))
            for name, one, stride in zip(reader.names, maps, strides, strict=True)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """RGB [B, 3, H, W] in -1..1, H and W multiples of 32 -> one map [B, C, H/stride, W/stride] for each group."""
        maps = []
        for number, (one, group) in enumerate(zip(self.unscaled(image), self.groups, strict=True)):
            if not self.exact:
                one = _resized(one, (image.shape[2] // group.stride, image.shape[3] // group.stride))
            bias = getattr(self, f"bias{number}", None)
            if bias is not None:
                one = one - _resized(bias, (one.shape[2], one.shape[3]))
            maps.append(normalize(one, dim=1))
        return tuple(maps)

    def unscaled(self, image: Tensor) -> list[Tensor]:
        """Maps as the backbone returns them, at its own strides. image: see `forward`."""
        pixels = self.pixels(image)
        if self.patch is not None and self.patch != self.cell:
            rows, columns = image.shape[2] // self.cell, image.shape[3] // self.cell
            pixels = _resized(pixels, (rows * self.patch, columns * self.patch))
        return cast(list[Tensor], self.reader(pixels))

    @torch.no_grad()
    def remove_positional_bias(self, seed: int = 0) -> None:
        """Estimate what the maps have in common at each position, whatever the image shows; `forward` subtracts it.

        The estimate is the mean map over images of noise and of one color, of several sizes, less its mean over
        positions. It is kept relative to the size of the image. Two halves of the images are compared: each channel is
        multiplied by the part of its variance that the halves share, so that chance is not subtracted.

        Args:
            seed: of the noise.

        Raises:
            ValueError: if the backbone is no transformer on patches.
        """
        if self.patch is None:
            raise ValueError(
                f"remove_positional_bias is for transformers on patches, such as DINOv3; the maps {self.reader.names} "
                "are those of stages; leave it out"
            )
        generator = torch.Generator().manual_seed(seed)
        first, second = (self._mean_maps(generator) for _ in range(2))
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            common = (one * other).mean(dim=(2, 3), keepdim=True)
            whole = (one.square() + other.square()).mean(dim=(2, 3), keepdim=True) / 2
            shared = (common / whole.clamp(min=_LEAST)).clamp(0, 1)
            self.register_buffer(f"bias{number}", (one + other) / 2 * shared)

    def _mean_maps(self, generator: torch.Generator) -> list[Tensor]:
        """Mean maps over noise without their means over positions: for each group [1, C, _BIAS_CELLS, _BIAS_CELLS]."""
        sums = [torch.zeros(1, group.channels, _BIAS_CELLS, _BIAS_CELLS) for group in self.groups]
        for size in _NOISE_SIZES:
            for image in self.pixels.noise(size, generator):
                for total, one in zip(sums, self.unscaled(image[None]), strict=True):
                    total += _resized(one - one.mean(dim=(2, 3), keepdim=True), (_BIAS_CELLS, _BIAS_CELLS))
        return [total / (len(_NOISE_SIZES) * _NOISE_IMAGES) for total in sums]


class _Pixels(nn.Module):
    """RGB in -1..1 to the values that the backbone was trained with."""

    def __init__(self, preprocessing: dict[str, Any]) -> None:
        super().__init__()
        mean, std = preprocessing.get("image_mean"), preprocessing.get("image_std")
        if not preprocessing.get("do_normalize", True):
            mean, std = 0.0, 1.0
        self.flips = bool(preprocessing.get("do_flip_channel_order", False))
        factor = preprocessing.get("rescale_factor", 1 / 255)
        self.register_buffer("mean", _three(IMAGENET_MEAN if mean is None else mean))
        self.register_buffer("std", _three(IMAGENET_STD if std is None else std))
        self.register_buffer("scale", INPUT_MEAN * factor / cast(Tensor, self.std))
        self.register_buffer("shift", (INPUT_MEAN * factor - cast(Tensor, self.mean)) / cast(Tensor, self.std))

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 3, H, W]."""
        ordered = image.flip(1) if self.flips else image
        return ordered * cast(Tensor, self.scale) + cast(Tensor, self.shift)

    def noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Images [_NOISE_IMAGES, 3, *size] that the backbone sees with mean 0 and variance 1; the last has 1 color."""
        values = torch.randn(_NOISE_IMAGES, 3, *size, generator=generator)
        values[-1] = values[-1, :, :1, :1]
        image = (values - cast(Tensor, self.shift)) / cast(Tensor, self.scale)
        return image.flip(1) if self.flips else image


class _Stages(nn.Module):
    """Maps of a backbone that transformers has an AutoBackbone class for."""

    def __init__(self, name: str, config: Any) -> None:
        super().__init__()
        stages = list(config.stage_names)
        self.patch = _patch_of(config) if hasattr(config, "patch_size") and not hasattr(config, "depths") else None
        if self.patch is None:
            config.out_features = stages[-4:]
            self.names = tuple(config.out_features)
        else:
            layers = _chosen_layers(len(stages) - 1)
            config.out_features = [stages[layer] for layer in layers]
            config.reshape_hidden_states = True
            self.names = tuple(f"layer{layer}" for layer in layers)
        with torch.device("meta"):
            model_class = type(auto_backbone(config))
        self.model = _with_weights(model_class, name, config)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        return list(self.model(pixels).feature_maps)


class _HiddenStates(nn.Module):
    """Maps of any other image model, from its hidden states.

    Of convolutional models and SegFormer: the last state [B, C, h, w] of each stride. Of transformers on patches: the
    tokens of patches in states [B, prefix + h * w, C] of three layers, after the last normalisation of the model.

    Raises:
        ValueError: if the states are neither, or the model takes no images of free size.
    """

    def __init__(self, name: str, config: Any) -> None:
        super().__init__()
        model = _with_weights(AutoModel, name, config)
        self.model = getattr(model, "vision_model", model)  # CLIP and SigLIP have one for text, too
        config = self.model.config
        accepted = inspect.signature(self.model.forward).parameters
        if "pixel_values" not in accepted:
            raise ValueError(f"a model of type {config.model_type!r} does not take images")
        if hasattr(config, "num_detection_tokens") or hasattr(config, "mask_ratio"):
            raise ValueError(f"a model of type {config.model_type!r} does not keep the patches in their order")
        self.options = {"output_hidden_states": True}
        if "interpolate_pos_encoding" in accepted:
            self.options["interpolate_pos_encoding"] = True
        patch = _patch_of(config)
        rows, columns = (size // _nearest_stride(patch) for size in EXAMPLE_SIZE)
        size = (rows * patch, columns * patch)
        with torch.no_grad():
            states = self._states(torch.zeros(1, 3, *size))
        self.patch = patch if states[-1].dim() == 3 else None
        if self.patch is None:
            last = {size[1] / one.shape[-1]: number for number, one in enumerate(states) if one.dim() == 4}
            self.chosen = [last[stride] for stride in STRIDES if stride in last]
            self.names = tuple(f"stage{number + 1}" for number in range(len(self.chosen)))
        else:
            self.chosen = _chosen_layers(len(states) - 1)
            self.names = tuple(f"layer{layer}" for layer in self.chosen)
            self.prefix = states[-1].shape[1] - rows * columns
        if not self.chosen or (self.patch and not 0 <= self.prefix <= _PREFIX):
            shapes = sorted({tuple(one.shape) for one in states})
            raise ValueError(f"the hidden states of a {config.model_type!r} are no maps of an image: {shapes[:4]}")

    def forward(self, pixels: Tensor) -> list[Tensor]:
        states = self._states(pixels)
        if self.patch is None:
            return [states[number] for number in self.chosen]
        rows, columns = pixels.shape[2] // self.patch, pixels.shape[3] // self.patch
        tokens = [states[number][:, self.prefix :].transpose(1, 2) for number in self.chosen]
        return [one.reshape(one.shape[0], one.shape[1], rows, columns) for one in tokens]

    def _states(self, pixels: Tensor) -> list[Tensor]:
        """The hidden states; those of tokens normalised, the last one by the model itself."""
        out = self.model(pixels, **self.options)
        *states, last = out.hidden_states
        if last.dim() == 4:
            return [*states, last]
        norm = next((getattr(self.model, name) for name in _FINAL_NORMS if hasattr(self.model, name)), nn.Identity())
        return [*(norm(one) for one in states), out.last_hidden_state]


def _with_weights(model_class: Any, name: str, config: Any) -> Any:
    """Model of a class with the weights of a page or folder.

    Raises:
        ValueError: if the weights lack a matrix of the model.
    """
    model, report = model_class.from_pretrained(
        name, config=config, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    state = model.state_dict()
    lacking = [
        key
        for key in sorted(report["missing_keys"])
        if key in state and state[key].dim() > 1 and "mask_token" not in key
    ]
    if lacking:
        raise ValueError(
            f"its weights lack {lacking[:3]} ({len(lacking)} of {len(state)} tensors of a {config.model_type!r})"
        )
    _export_positions(model)
    return model.eval()


def _preprocessing(name: str) -> dict[str, Any]:
    """preprocessor_config.json of a page or folder; empty if there is none."""
    try:
        return ImageProcessingMixin.get_image_processor_dict(name)[0]
    except OSError:
        return {}


def _patch_of(config: Any) -> int:
    """Size of the square patches of a configuration; of one without patches, the coarsest stride."""
    size = getattr(config, "patch_size", None)
    if isinstance(size, list | tuple):
        size = size[0] if len(set(size)) == 1 else None
    return size if isinstance(size, int) and size >= STRIDES[0] else STRIDES[-1]


def _chosen_layers(count: int) -> list[int]:
    return sorted({math.ceil(count * part) for part in _PARTS})


def _nearest_stride(stride: float) -> int:
    return min(STRIDES, key=lambda one: abs(math.log(one / stride)))


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _three(values: Any) -> Tensor:
    """One number for all channels, or one for each -> [1, 3, 1, 1]."""
    return torch.tensor(values, dtype=torch.float32).expand(3).reshape(1, 3, 1, 1).clone()


def _export_positions(model: nn.Module) -> None:
    """Replace the scaling of positions that torch cannot export to ONNX: bicubic with antialiasing."""
    for module in model.modules():
        if isinstance(module, Dinov2WithRegistersEmbeddings):
            module.interpolate_pos_encoding = partial(_scaled_positions, module)  # type: ignore[method-assign]


def _scaled_positions(module: Any, embeddings: Tensor, height: int, width: int) -> Tensor:
    """Embeddings [1, 1 + rows * columns, C] of class token and patches for an image of height x width pixels."""
    positions: Tensor = module.position_embeddings
    side = math.isqrt(positions.shape[1] - 1)
    rows, columns = module.patch_embeddings.patch_size
    grid = positions[0, 1:].reshape(side, side, -1).permute(2, 0, 1)
    scaled = antialiased_bicubic(grid, (height // rows, width // columns))
    return torch.cat([positions[:, :1], scaled.flatten(1).T[None]], dim=1)


def antialiased_bicubic(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """What `F.interpolate(mode="bicubic", antialias=True)` computes, by matrix products: [C, h, w] -> [C, *size]."""
    rows, columns = (_bicubic_weights(one, grid.shape[axis]) for one, axis in zip(size, (1, 2), strict=True))
    return torch.matmul(torch.matmul(rows, grid), columns.T)


def _bicubic_weights(size: int, source: int) -> Tensor:
    """Weight [size, source] of each old position in each new one, by Keys' kernel with a = -1/2."""
    step = source / torch.as_tensor(size, dtype=torch.float32)  # a size is a tensor while torch traces
    centres = (torch.arange(size, dtype=torch.float32) + 0.5) * step
    distance = (torch.arange(source, dtype=torch.float32) + 0.5 - centres[:, None]).abs() / step.clamp(min=1)
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
    return weights / weights.sum(dim=1, keepdim=True)


def _not_found(name: str, error: OSError) -> str:
    reason = str(error).strip().splitlines()[0]
    advice = "Check the name. Without internet, run `hf download NAME --local-dir FOLDER` elsewhere and give the folder"
    if "gated" in str(error).lower():
        advice = "Accept its licence on its page and run `hf auth login`, or give the folder of a copy"
    return (
        f"backbone {name!r} was not found ({reason}). Give a name on huggingface.co, such as 'facebook/dinov2-small', "
        f"or a folder with config.json and model.safetensors. {advice}"
    )


def _unsupported(name: str, error: Exception) -> str:
    return (
        f"backbone {name!r} cannot be used ({str(error).strip().splitlines()[0]}); use a folder or name of an image "
        "backbone with its weights: DINOv2, DINOv3, ViT, Swin, SegFormer, ConvNeXt, ResNet, ..."
    )
