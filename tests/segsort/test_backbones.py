"""Backbones of every family open from a folder, give unit vectors at strides 4 to 32, and export with free sizes."""

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub.constants
import numpy as np
import onnxruntime
import pytest
import skimage.data
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from segsort.backbones import EXAMPLE_SIZE, BackboneMaps, antialiased_bicubic, open_backbone

PATCHES = {"hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 70, "patch_size": 14}
BERT = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
SMALL: dict[str, Any] = {
    "dinov2": transformers.Dinov2Config(**PATCHES),
    "dinov2_with_registers": transformers.Dinov2WithRegistersConfig(**PATCHES, num_register_tokens=4),
    "dinov3_vit": transformers.DINOv3ViTConfig(
        **(PATCHES | {"patch_size": 16, "hidden_size": 32}), num_register_tokens=4
    ),
    "dinov3_convnext": transformers.DINOv3ConvNextConfig(**STAGES),
    "convnextv2": transformers.ConvNextV2Config(**STAGES),
    "resnet": transformers.ResNetConfig(**STAGES, embedding_size=8, layer_type="basic"),
    "swin": transformers.SwinConfig(embed_dim=12, depths=[2, 2, 1, 1], num_heads=[1, 2, 3, 4]),
    "segformer": transformers.SegformerConfig(**STAGES, num_attention_heads=[1, 2, 2, 4]),
    "vit": transformers.ViTConfig(**(PATCHES | {"patch_size": 16, "image_size": 64})),
    "siglip": transformers.SiglipVisionConfig(**(PATCHES | {"patch_size": 8, "image_size": 32})),
    "mobilenet_v2": transformers.MobileNetV2Config(depth_multiplier=0.35),
}
OF_PATCHES = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "siglip")
PARITY = 1e-4  # largest difference of a value of a unit vector


class Saved(NamedTuple):
    folder: Path
    model: torch.nn.Module


def save(kind: str, folder: Path) -> Saved:
    """A small model with random weights large enough that each layer counts, as transformers saves it."""
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(SMALL[kind]).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.2)
    model.save_pretrained(folder)
    return Saved(folder, model)


@pytest.fixture(scope="module", params=SMALL)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, BackboneMaps]:
    saved = save(request.param, tmp_path_factory.mktemp(request.param))
    return request.param, open_backbone(str(saved.folder))


def noise(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_maps_are_unit_vectors_at_their_strides(opened: tuple[str, BackboneMaps]) -> None:
    kind, backbone = opened
    strides = [group.stride for group in backbone.groups]
    assert strides == ([8 if kind == "siglip" else 16] * 3 if kind in OF_PATCHES else [4, 8, 16, 32])
    for size in ((32, 64), (96, 160)):
        for one, group in zip(backbone(noise(2, 3, *size)), backbone.groups, strict=True):
            assert one.shape == (2, group.channels, size[0] // group.stride, size[1] // group.stride), group
            torch.testing.assert_close(one.norm(dim=1), torch.ones_like(one[:, 0]))


def test_maps_are_named_by_stage_or_layer(opened: tuple[str, BackboneMaps]) -> None:
    kind, backbone = opened
    wanted = ["layer2", "layer3", "layer4"] if kind in OF_PATCHES else ["stage1", "stage2", "stage3", "stage4"]
    assert [group.name for group in backbone.groups] == wanted


def check_export(backbone: BackboneMaps, file: Path) -> None:
    """Export with free sizes, and compare ONNX Runtime with torch at three sizes."""
    names = [group.name for group in backbone.groups]
    axes = {name: {0: "batch", 2: f"{name}_h", 3: f"{name}_w"} for name in ("image", *names)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        torch.onnx.export(
            backbone, (torch.zeros(1, 3, *EXAMPLE_SIZE),), file, input_names=["image"], output_names=names,
            dynamic_axes=axes, opset_version=18, dynamo=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 32, 32), (2, 3, 64, 160), (1, 3, 224, 192)):
        image = noise(*size, seed=size[2])
        for found, wanted in zip(session.run(None, {"image": image.numpy()}), backbone(image), strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=PARITY, err_msg=str(size))


def test_the_exported_backbone_computes_the_same_at_free_sizes(
    opened: tuple[str, BackboneMaps], tmp_path: Path
) -> None:
    check_export(opened[1], tmp_path / "features.onnx")


def test_the_image_is_seen_everywhere(opened: tuple[str, BackboneMaps]) -> None:
    """What changes in the right half of an image changes the right half of the maps most: nothing is transposed."""
    _, backbone = opened
    image = noise(1, 3, 64, 192)
    changed = image.clone()
    changed[..., 128:] = noise(1, 3, 64, 64, seed=1)
    for before, after, group in zip(backbone(image), backbone(changed), backbone.groups, strict=True):
        difference = (after - before).abs().mean(dim=(0, 1, 2))
        edge = 128 // group.stride
        assert difference[edge:].mean() > 2 * difference[: edge // 2].mean(), group


@pytest.mark.parametrize("kind", ["dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "siglip"])
def test_class_and_register_tokens_are_dropped(kind: str, tmp_path: Path) -> None:
    """The last layer holds the tokens of patches as the model of transformers computes them, in the order of rows."""
    saved = save(kind, tmp_path)
    config = saved.model.config
    backbone = open_backbone(str(tmp_path))
    image = noise(1, 3, 64, 96)
    patch, stride = config.patch_size, backbone.groups[-1].stride
    rows, columns = 64 // stride, 96 // stride
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = ((image + 1) / 2 - mean[:, None, None]) / std[:, None, None]
    pixels = F.interpolate(pixels, size=(rows * patch, columns * patch), mode="bilinear", align_corners=False)
    free = {"interpolate_pos_encoding": True} if kind in ("vit", "siglip") else {}
    with torch.no_grad():
        tokens = saved.model(pixels, **free).last_hidden_state[0, -rows * columns :]
    wanted = F.normalize(tokens, dim=1).T.reshape(-1, rows, columns)
    torch.testing.assert_close(backbone(image)[-1][0], wanted, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("preprocessing", "mean", "std"),
    [
        ({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3]}, [0.5, 0.4, 0.3], [0.1, 0.2, 0.3]),
        ({"image_mean": 0.5, "image_std": 0.25, "rescale_factor": 2 / 255}, [0.25] * 3, [0.125] * 3),
        ({"do_normalize": False}, [0.0] * 3, [1.0] * 3),
        (None, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ],
    ids=["by channel", "one value and factor", "not normalised", "no file"],
)
def test_the_input_is_normalised_as_the_backbone_was_trained(
    preprocessing: dict[str, Any] | None, mean: list[float], std: list[float], tmp_path: Path
) -> None:
    save("resnet", tmp_path)
    if preprocessing is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    image = noise(1, 3, 32, 32)
    found = open_backbone(str(tmp_path)).pixels(image)
    wanted = ((image + 1) / 2 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_channels_are_flipped_for_backbones_trained_on_bgr(tmp_path: Path) -> None:
    save("resnet", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"do_normalize": False, "do_flip_channel_order": True})
    )
    image = noise(1, 3, 32, 32)
    torch.testing.assert_close(open_backbone(str(tmp_path)).pixels(image), (image.flip(1) + 1) / 2)


def share_of_position(backbone: BackboneMaps, images: Tensor) -> list[float]:
    """Variance over positions of the mean map of images, as a part of the variance over images and positions.

    It is about 1 / images if positions do not count.
    """
    shares = []
    for one in backbone(images):
        centred = one - one.mean(dim=(0, 2, 3), keepdim=True)
        shares.append(float(centred.mean(dim=0).square().sum() * len(images) / centred.square().sum()))
    return shares


def photographs(height: int, width: int) -> Tensor:
    """Parts of photographs that no noise resembles: [12, 3, height, width]."""
    parts = []
    for name in ("astronaut", "coffee", "chelsea"):
        image = getattr(skimage.data, name)()
        for top, left in ((0, 0), (0, 150), (80, 0), (80, 150)):
            parts.append(torch.from_numpy(image[top : top + height, left : left + width].copy()))
    return torch.stack(parts).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.fixture(scope="module", params=["dinov2", "dinov2_with_registers", "vit"])
def biased(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone with random weights, and positions strong enough that half of the variance of its maps is theirs."""
    saved = save(request.param, tmp_path_factory.mktemp(request.param))
    with torch.no_grad():
        positions = saved.model.get_parameter("embeddings.position_embeddings")
        side = int((positions.shape[1] - 1) ** 0.5)
        smooth = F.interpolate(torch.randn(1, 24, 3, 3), size=side, mode="bicubic").flatten(2).transpose(1, 2)
        positions[:, 1:] = 12 * smooth
    saved.model.save_pretrained(saved.folder)
    return saved.folder


def test_removing_the_positional_bias_lowers_what_depends_on_position_only(biased: Path) -> None:
    """Measured: from .65 to .82 down to .10 to .13, where chance is 1 / 12."""
    plain, removed = (open_backbone(str(biased), remove_positional_bias=on) for on in (False, True))
    images = photographs(192, 224)
    shares = zip(share_of_position(plain, images), share_of_position(removed, images), strict=True)
    for group, (before, after) in zip(plain.groups, shares, strict=True):
        assert before > 0.5, group
        assert after < 0.2, group


def test_what_is_left_without_positional_bias_is_what_the_image_shows(biased: Path) -> None:
    """Two places that show one thing become alike."""
    plain, removed = (open_backbone(str(biased), remove_positional_bias=on) for on in (False, True))
    image = photographs(192, 192)[:1]
    image[..., 96:] = image[..., :96]
    for before, after in zip(plain(image), removed(image), strict=True):
        half = before.shape[3] // 2
        alike = [float((one[..., :half] * one[..., half:]).sum(dim=1).mean()) for one in (before, after)]
        assert alike[1] > alike[0] + 0.1


def test_nothing_is_subtracted_where_position_does_not_count(tmp_path: Path) -> None:
    save("dinov3_vit", tmp_path)
    plain, removed = (open_backbone(str(tmp_path), remove_positional_bias=on) for on in (False, True))
    image = photographs(96, 96)[:1]
    for before, after in zip(plain(image), removed(image), strict=True):
        assert (before * after).sum(dim=1).min() > 0.97


def test_the_estimate_of_the_bias_depends_on_nothing_but_its_seed(biased: Path) -> None:
    first, second, other = (open_backbone(str(biased)) for _ in range(3))
    first.remove_positional_bias(seed=3)
    second.remove_positional_bias(seed=3)
    other.remove_positional_bias(seed=4)
    assert torch.equal(first.bias0, second.bias0)
    assert not torch.equal(first.bias0, other.bias0)
    assert F.cosine_similarity(first.bias0.flatten(), other.bias0.flatten(), dim=0) > 0.95


def test_a_bias_is_exported_with_the_backbone(biased: Path, tmp_path: Path) -> None:
    check_export(open_backbone(str(biased), remove_positional_bias=True), tmp_path / "features.onnx")


def test_stages_have_no_positional_bias_to_remove(tmp_path: Path) -> None:
    save("resnet", tmp_path)
    with pytest.raises(ValueError, match=r"remove_positional_bias is for transformers on patches.*leave it out"):
        open_backbone(str(tmp_path), remove_positional_bias=True)


def test_positions_are_scaled_as_torch_scales_them() -> None:
    grid = torch.randn(5, 9, 9, generator=torch.Generator().manual_seed(0))
    for size in ((9, 9), (4, 7), (20, 30), (6, 18), (1, 3)):
        wanted = F.interpolate(grid[None], size=size, mode="bicubic", align_corners=False, antialias=True)[0]
        torch.testing.assert_close(antialiased_bicubic(grid, size), wanted, atol=1e-5, rtol=1e-5)


def test_a_name_that_is_not_found_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-backbone", str(tmp_path / "missing")):
        with pytest.raises(ValueError, match=r"was not found .*Without internet, run `hf download"):
            open_backbone(name)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    SMALL["resnet"].save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"was not found .*folder with config.json and model.safetensors"):
        open_backbone(str(tmp_path))


def test_weights_that_lack_a_matrix_are_refused_by_name(tmp_path: Path) -> None:
    saved = save("vit", tmp_path)
    state = {
        name: value
        for name, value in saved.model.state_dict().items()
        if "layers.1." not in name and "layer.1." not in name
    }
    saved.model.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"cannot be used \(its weights lack \[.*\d+ of \d+ tensors of a 'vit'"):
        open_backbone(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (transformers.BertConfig(**BERT), "a model of type 'bert' does not take images"),
        (
            transformers.YolosConfig(**(PATCHES | {"image_size": [64, 64], "patch_size": 16})),
            "does not keep the patches",
        ),
        (transformers.HieraConfig(embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, image_size=[64, 64]), "must match"),
    ],
    ids=["of texts", "with tokens of detections", "of one size"],
)
def test_a_model_that_cannot_be_read_is_refused_with_the_reason(config: Any, reason: str, tmp_path: Path) -> None:
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=rf"cannot be used \(.*{reason}.*\); use a folder or name of an image backbone"
    ):
        open_backbone(str(tmp_path))
