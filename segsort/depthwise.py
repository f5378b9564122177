"""Depthwise convolution with gradients that are fast on a CPU.

oneDNN computes two gradients of depthwise convolutions slowly in bfloat16: that of a 5x5 kernel, and that of the input
at stride 2. In EfficientNet-Lite2 they take half of a training step. `depthwise_convolution` computes the first in
float32, and the second as a convolution of stride 1 with zeros between the gradients of the output.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def depthwise_convolution(image: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve each channel with a kernel of its own: the result of `torch.nn.functional.conv2d` with groups.

    Args:
        image: [B, C, H, W].
        kernels: [C, 1, k, k].
        stride: 1, or 2 without padding.
        padding: zeros added at each side; at stride 1 at most k - 1.
    """
    if image.device.type != "cpu" or not torch.is_grad_enabled() or torch.onnx.is_in_onnx_export():
        return F.conv2d(image, kernels, stride=stride, padding=padding, groups=len(kernels))
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        image, kernels = image.to(dtype), kernels.to(dtype)
    result: Tensor = _Depthwise.apply(image, kernels, stride, padding)  # type: ignore[no-untyped-call]
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(image, kernels)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(image, kernels, stride=stride, padding=padding, groups=len(kernels))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        image, kernels = ctx.saved_tensors
        of_image = of_kernels = None
        if ctx.needs_input_grad[0]:
            of_image = _gradient_of_image(grad, image, kernels, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            of_kernels = _gradient_of_kernels(grad, image, kernels, ctx.stride, ctx.padding)
        return of_image, of_kernels, None, None


def _gradient_of_image(grad: Tensor, image: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
    size = kernels.shape[-1]
    height, width = image.shape[2:]
    if stride == 2:
        grad = _with_zeros_between(grad)
    turned = kernels.flip(2, 3)
    whole = F.conv2d(grad, turned, padding=size - 1 - padding, groups=len(kernels))
    missing = (height - whole.shape[2], width - whole.shape[3])  # rows and columns that no kernel reached, or a surplus
    return whole if missing == (0, 0) else F.pad(whole, (0, missing[1], 0, missing[0]))


def _with_zeros_between(grad: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, C, 2h, 2w], channels last: the values at even positions, zeros elsewhere."""
    B, C, h, w = grad.shape
    spread = torch.zeros(B, h, 2, w, 2, C, dtype=grad.dtype, device=grad.device)
    spread[:, :, 0, :, 0] = grad.permute(0, 2, 3, 1)
    return spread.view(B, 2 * h, 2 * w, C).permute(0, 3, 1, 2)


def _gradient_of_kernels(grad: Tensor, image: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
    slow = kernels.dtype == torch.bfloat16 and kernels.shape[-1] > 3
    dtype = torch.float32 if slow else kernels.dtype
    gradients = torch.ops.aten.convolution_backward(
        grad.to(dtype),
        image.to(dtype),
        kernels.to(dtype),
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        len(kernels),
        [False, True, False],
    )
    of_kernels: Tensor = gradients[1]
    return of_kernels.to(kernels.dtype)
