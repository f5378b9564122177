"""EfficientNet-Lite2 has the strides, the padding and the answers of the original."""

import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor
from torch.nn import functional as F

from segsort.efficientnet_lite import EfficientNetLite2, _SameConv2d

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SEGSORT_TEST_WEIGHTS", ROOT.parent / "shared" / "weights"))
WEIGHTS = FOLDER / "efficientnet_lite2_imagenet" / "efficientnet-lite2-9656183e.pth"


@pytest.fixture(scope="module")
def network() -> EfficientNetLite2:
    torch.manual_seed(0)
    return EfficientNetLite2().eval()


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_maps_have_strides_4_to_32(network: EfficientNetLite2, size: tuple[int, int]) -> None:
    with torch.no_grad():
        maps = network(torch.randn(2, 3, *size))
    assert [tuple(one.shape) for one in maps] == [
        (2, channels, size[0] // stride, size[1] // stride)
        for channels, stride in zip((24, 48, 120, 352), (4, 8, 16, 32), strict=True)
    ]
    assert network.channels == (24, 48, 120, 352)


def test_it_has_the_size_of_the_original_without_its_classifier(network: EfficientNetLite2) -> None:
    classifier = 352 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(one.numel() for one in network.parameters()) == 6_092_072 - classifier


def test_given_weights_are_used_and_others_may_be_among_them(network: EfficientNetLite2) -> None:
    weights = dict(network.state_dict()) | {"_fc.weight": torch.zeros(1000, 1280)}
    copy = EfficientNetLite2(weights).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for found, wanted in zip(copy(image), network(image), strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("fault", ["missing", "other shape"])
def test_wrong_weights_are_refused_by_name(network: EfficientNetLite2, fault: str) -> None:
    weights = dict(network.state_dict())
    if fault == "missing":
        del weights["_conv_stem.weight"]
    else:
        weights["_conv_stem.weight"] = torch.zeros(32, 3, 5, 5)
    with pytest.raises(ValueError, match=r"lack \['_conv_stem.weight'\] .*\(1 of \d+ tensors\); give the state dict"):
        EfficientNetLite2(weights)


def same(image: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """A convolution with TensorFlow's SAME padding by loops: ceil(n / stride) outputs, odd padding behind.

    image: [H, W], kernel: [K, K].
    """
    size = kernel.shape[0]
    starts, outputs = [], []
    for length in image.shape:
        count = -(-length // stride)
        padding = max((count - 1) * stride + size - length, 0)
        starts.append(padding // 2)
        outputs.append(count)
    out = np.zeros(outputs)
    for y in range(outputs[0]):
        for x in range(outputs[1]):
            for i in range(size):
                for j in range(size):
                    row, column = y * stride + i - starts[0], x * stride + j - starts[1]
                    if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                        out[y, x] += image[row, column] * kernel[i, j]
    return out


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_that_of_tensorflow(kernel: int, stride: int) -> None:
    torch.manual_seed(kernel * stride)
    convolution = _SameConv2d(2, 2, kernel, stride=stride, groups=2)
    image = torch.randn(1, 2, 8, 12)
    with torch.no_grad():
        found = convolution(image)[0].numpy()
    for channel in range(2):
        wanted = same(image[0, channel].numpy(), convolution.weight[channel, 0].detach().numpy(), stride)
        np.testing.assert_allclose(found[channel], wanted, atol=1e-5)


def classify(weights: dict[str, Tensor], rgb: np.ndarray) -> Tensor:
    """Probabilities [1000] of the classifier in the state dict, from the coarsest map of the middle of an image."""
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    square = torch.from_numpy(rgb[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None].float()
    image = F.interpolate(square / 127.5 - 1, (256, 256), mode="bilinear", antialias=True)
    with torch.no_grad():
        features = EfficientNetLite2(weights).eval()(image)[-1]
        norm = [weights[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        features = F.relu6(F.batch_norm(F.conv2d(features, weights["_conv_head.weight"]), *norm, eps=1e-3))
        return F.linear(features.mean(dim=(2, 3)), weights["_fc.weight"], weights["_fc.bias"]).softmax(dim=1)[0]


@pytest.mark.skipif(
    not WEIGHTS.exists(), reason=f"the weights of ImageNet are not in {FOLDER}; SEGSORT_TEST_WEIGHTS names their folder"
)
@pytest.mark.parametrize(
    ("photograph", "label", "least"), [("coffee", 967, 0.97), ("chelsea", 285, 0.6)], ids=["espresso", "Egyptian cat"]
)
def test_photographs_are_recognised_with_the_weights_of_imagenet(photograph: str, label: int, least: float) -> None:
    weights = torch.load(WEIGHTS, weights_only=True)
    probabilities = classify(weights, getattr(skimage.data, photograph)())
    assert int(probabilities.argmax()) == label
    assert probabilities[label] > least
