import pytest
import torch
from torch.nn import functional as F

from segsort.depthwise import depthwise_convolution

CASES = [
    (3, 1, 1, 12, 14),
    (5, 1, 2, 12, 14),
    (3, 2, 0, 13, 15),
    (5, 2, 0, 15, 19),
    (3, 2, 0, 14, 16),
    (5, 2, 0, 16, 18),
]


@pytest.mark.parametrize(("size", "stride", "padding", "height", "width"), CASES)
def test_result_and_gradients_are_those_of_torch(size: int, stride: int, padding: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 4, height, width, dtype=torch.float64, requires_grad=True)
    kernels = torch.randn(4, 1, size, size, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(image, kernels, stride=stride, padding=padding, groups=4)
    pull = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, (image, kernels), pull)

    result = depthwise_convolution(image, kernels, stride, padding)

    torch.testing.assert_close(result, expected)
    for found, right in zip(torch.autograd.grad(result, (image, kernels), pull), wanted, strict=True):
        torch.testing.assert_close(found, right)


@pytest.mark.parametrize("size", [3, 5])
def test_gradients_in_bfloat16_are_near_those_in_float32(size: int) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 8, 15, 17).contiguous(memory_format=torch.channels_last).requires_grad_()
    kernels = torch.randn(8, 1, size, size, requires_grad=True)
    exact = F.conv2d(image, kernels, stride=2, groups=8)
    pull = torch.randn_like(exact)
    wanted = torch.autograd.grad(exact, (image, kernels), pull)

    with torch.autocast("cpu", torch.bfloat16):
        result = depthwise_convolution(image, kernels, 2, 0)
    assert result.dtype == torch.bfloat16

    for found, right in zip(torch.autograd.grad(result, (image, kernels), pull.bfloat16()), wanted, strict=True):
        assert F.cosine_similarity(found.flatten(), right.flatten(), dim=0) > 0.999
