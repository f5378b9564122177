"""The network maps every pixel to the unit sphere, whatever its backbone."""

import copy
import json
from pathlib import Path

import pytest
import torch
from transformers import ConvNextV2Config, Dinov2Config, MobileNetV2Config, MobileNetV2Model, ResNetConfig

from segsort.network import (
    ClassifyingNetwork,
    Decoder,
    EmbeddingNetwork,
    MobileNetV2Features,
    Separable,
    build_network,
    count_parameters,
)

SMALL = {
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic"),
    "convnextv2": ConvNextV2Config(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    "dinov2": Dinov2Config(hidden_size=24, num_hidden_layers=4, num_attention_heads=2, patch_size=16, image_size=64),
}


@pytest.mark.parametrize("kind", ["mobilenet_v2", "efficientnet_lite2", *SMALL])
@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_every_pixel_lies_on_the_unit_sphere_at_stride_4(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    if kind in SMALL:
        SMALL[kind].save_pretrained(tmp_path)
    network = build_network(f"scratch:{tmp_path}" if kind in SMALL else kind, 12).train()
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


@pytest.fixture(scope="module")
def small() -> EmbeddingNetwork:
    torch.manual_seed(0)
    config = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
    return build_network("scratch:resnet", 6, config=config).eval()


def test_a_configuration_changes_a_backbone_made_from_scratch(small: EmbeddingNetwork) -> None:
    assert small.backbone.channels == (8, 16, 24, 32)
    assert count_parameters(small) < count_parameters(build_network("scratch:resnet", 6))


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "microsoft/resnet-50"])
def test_a_configuration_is_refused_for_a_backbone_with_its_own(backbone: str) -> None:
    with pytest.raises(ValueError, match=r"config \{'depths': \[1\]\} is for a backbone 'scratch:TYPE'"):
        build_network(backbone, config={"depths": [1]})


def test_parameters_are_counted_once_each(small: EmbeddingNetwork) -> None:
    convolution = torch.nn.Conv2d(3, 5, 3)
    assert count_parameters(convolution) == 5 * 3 * 9 + 5
    assert count_parameters(small) == count_parameters(small.backbone) + count_parameters(small.decoder)


def test_features_become_the_embedding_by_normalising_them(small: EmbeddingNetwork) -> None:
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features, embedding = small.unscaled(image), small(image)
    lengths = features.norm(dim=1, keepdim=True)
    assert not torch.allclose(lengths, torch.ones_like(lengths))
    torch.testing.assert_close(embedding, features / lengths)


def test_images_of_a_batch_are_embedded_one_by_one(small: EmbeddingNetwork) -> None:
    images = torch.randn(3, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = small(images)
        for image in range(3):
            torch.testing.assert_close(together[image], small(images[image : image + 1])[0], atol=1e-5, rtol=1e-5)


def test_the_decoder_scales_maps_of_any_stride_to_the_size_asked_for() -> None:
    decoder = Decoder((4, 6), 5, width=8).eval()
    maps = [torch.randn(1, 4, 8, 8), torch.randn(1, 6, 2, 2)]
    with torch.no_grad():
        assert decoder(maps, (8, 8)).shape == (1, 5, 8, 8)
        assert decoder(maps, (16, 12)).shape == (1, 5, 16, 12)


def test_the_decoder_reads_every_map() -> None:
    torch.manual_seed(0)
    decoder = Decoder((4, 6, 8), 5, width=8)
    maps = [torch.randn(2, channels, size, size) for channels, size in ((4, 8), (6, 4), (8, 2))]
    for each in maps:
        each.requires_grad_()
    decoder(maps, (8, 8)).square().sum().backward()
    for each in maps:
        assert each.grad is not None
        assert each.grad.abs().sum() > 0


def test_a_separable_convolution_mixes_neighbours_and_then_channels() -> None:
    block = Separable(4).eval()
    depthwise, pointwise = block[0], block[3]
    image = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        spread = torch.stack(
            [
                torch.nn.functional.conv2d(image[:, c : c + 1], depthwise.weight[c : c + 1], padding=1)[0, 0]
                for c in range(4)
            ]
        )
        spread = torch.relu(spread / (1 + 1e-5) ** 0.5)  # batch norm as it starts
        mixed = torch.einsum("oc,chw->ohw", pointwise.weight[:, :, 0, 0], spread)
        torch.testing.assert_close(block(image)[0], torch.relu(mixed / (1 + 1e-5) ** 0.5), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_classifier_reads_features_or_a_frozen_embedding(small: EmbeddingNetwork, frozen: bool) -> None:
    network = ClassifyingNetwork(copy.deepcopy(small), 7, frozen).eval()
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        embedding, logits = network(image)
        read = network.scale * embedding if frozen else small.unscaled(image)
        torch.testing.assert_close(logits, network.classifier(read))
    assert logits.shape == (1, 7, 8, 8)
    torch.testing.assert_close(embedding, small(image))


def test_a_frozen_network_learns_nothing_and_keeps_its_statistics(small: EmbeddingNetwork) -> None:
    network = ClassifyingNetwork(copy.deepcopy(small), 7, frozen=True).train()
    assert network.training
    assert not network.network.training
    before = [value.clone() for value in network.network.state_dict().values()]
    network(torch.randn(2, 3, 32, 32))[1].sum().backward()
    assert all(parameter.grad is None for parameter in network.network.parameters())
    assert network.classifier.weight.grad is not None
    assert network.scale.grad is not None
    for old, new in zip(before, network.network.state_dict().values(), strict=True):
        assert torch.equal(old, new)


def test_a_network_that_is_not_frozen_learns_through_the_classifier(small: EmbeddingNetwork) -> None:
    network = ClassifyingNetwork(copy.deepcopy(small), 7).train()
    assert network.network.training
    network(torch.randn(2, 3, 32, 32))[1].square().sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in network.network.parameters())


def test_running_statistics_of_mobilenet_change_slowly() -> None:
    """transformers builds a momentum that forgets them at each step."""
    norms = [m for m in MobileNetV2Features().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert {norm.momentum for norm in norms} == {0.01}
