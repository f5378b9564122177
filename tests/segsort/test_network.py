"""The network maps every pixel to the unit sphere, whatever its backbone."""

import json
from pathlib import Path

import pytest
import torch
from transformers import ConvNextV2Config, Dinov2Config, MobileNetV2Config, MobileNetV2Model, ResNetConfig

from segsort.network import MobileNetV2Features, build_network, count_parameters

SMALL = {
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic"),
    "convnextv2": ConvNextV2Config(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    "dinov2": Dinov2Config(hidden_size=24, num_hidden_layers=4, num_attention_heads=2, patch_size=16, image_size=64),
}


@pytest.mark.parametrize("kind", ["mobilenet_v2", *SMALL])
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_every_pixel_lies_on_the_unit_sphere_at_stride_4(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    if kind in SMALL:
        SMALL[kind].save_pretrained(tmp_path)
    network = build_network("mobilenet_v2" if kind == "mobilenet_v2" else f"scratch:{tmp_path}", 12).train()
    out = network(torch.randn(2, 3, *size))
    assert out.shape == (2, 12, size[0] // 4, size[1] // 4)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(2, size[0] // 4, size[1] // 4))
    out[:, 0].sum().backward()
    trained = [name for name, value in network.named_parameters() if value.grad is not None and value.grad.any()]
    assert any(name.startswith("backbone") for name in trained)
    assert any(name.startswith("decoder") for name in trained)


def test_mobilenet_features_are_those_of_transformers() -> None:
    """Padding was moved into the convolutions and the head taken away; neither may change a feature map."""
    torch.manual_seed(0)
    config = MobileNetV2Config(depth_multiplier=1.0, tf_padding=True, finegrained_output=False)
    whole = MobileNetV2Model(config, add_pooling_layer=False).eval()
    ours = MobileNetV2Features(whole.state_dict()).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        hidden = whole(image, output_hidden_states=True).hidden_states
        maps = ours(image)
    assert [m.shape[1] for m in maps] == list(ours.channels)
    assert [96 // m.shape[3] for m in maps] == [4, 8, 16, 32]
    for layer, found in zip((1, 4, 11, 15), maps, strict=True):
        torch.testing.assert_close(found, hidden[layer], atol=1e-4, rtol=1e-4)


def test_a_pretrained_folder_gives_its_weights_and_scratch_does_not(tmp_path: Path) -> None:
    from transformers import AutoBackbone

    torch.manual_seed(1)
    AutoBackbone.from_config(SMALL["resnet"]).save_pretrained(tmp_path)
    first, second = build_network(str(tmp_path), 8), build_network(str(tmp_path), 8)
    scratch = build_network(f"scratch:{tmp_path}", 8)
    name = next(n for n, p in first.backbone.named_parameters() if p.dim() == 4)
    assert torch.equal(first.backbone.get_parameter(name), second.backbone.get_parameter(name))
    assert not torch.equal(first.backbone.get_parameter(name), scratch.backbone.get_parameter(name))
    assert count_parameters(first) == count_parameters(scratch)


def test_an_unknown_backbone_is_named_with_what_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    for name in ("no-such-backbone", str(tmp_path), "scratch:nothing"):
        with pytest.raises(ValueError, match=r"backbone='.*' could not be built .*use 'mobilenet_v2'"):
            build_network(name)
