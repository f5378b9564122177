"""Strong changes of light, colour and sharpness, so that a network does not depend on one camera or one day.

Every function draws its choices for each image alone and returns a new tensor of the shape of its input,
[B, 3, H, W] float32 RGB in 0..1.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_TAPS = 7  # side of a blur kernel, in pixels


class StrongPhotometry(nn.Module):
    """Exposure, white balance, gamma, contrast, colour, uneven light, shadow, haze, blur and noise."""

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in 0..1 -> [B, 3, H, W] in 0..1."""
        for change, chance in (
            (uneven_light, 0.4),
            (shadow, 0.25),
            (haze, 0.2),
            (tone, 0.9),
            (blur, 0.25),
            (lower_resolution, 0.1),
            (noise, 0.3),
        ):
            chosen = (torch.rand(len(images)) < chance).nonzero().flatten().to(images.device)  # drawn on the host
            if len(chosen):
                images = images.index_copy(0, chosen, change(images[chosen]).clamp(0, 1))
        return images


def tone(images: Tensor) -> Tensor:
    """Exposure, white balance, gamma, contrast, saturation and a small turn of the hue."""
    gain = _uniform(images, -0.7, 0.45).exp()
    balance = (0.08 * torch.randn(len(images), 3, 1, 1, device=images.device)).exp()
    lit = (images * (gain * balance)).clamp(1e-4, 1) ** _uniform(images, -0.4, 0.4).exp()
    mean = lit.mean(dim=(1, 2, 3), keepdim=True)
    contrasted = mean + (lit - mean) * _uniform(images, -0.45, 0.35).exp()
    return torch.einsum("bij,bjhw->bihw", _colour_matrices(images), contrasted)


def _colour_matrices(images: Tensor) -> Tensor:
    """[B, 3, 3]: saturation times 0 (one image of 16) or 0.4 to 1.5, hue turned by at most 0.15 radians."""
    B = len(images)
    saturation = _uniform(images, 0.4, 1.5).flatten() * (torch.rand(B, device=images.device) > 1 / 16)
    angle = _uniform(images, -0.15, 0.15).flatten()
    turn = torch.zeros(B, 3, 3, device=images.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
    turn[:, 1, 2] = -saturation * angle.sin()
    turn[:, 2, 1] = saturation * angle.sin()
    yiq = _TO_YIQ.to(images.device)
    matrices: Tensor = torch.linalg.inv(yiq) @ turn @ yiq
    return matrices


def uneven_light(images: Tensor) -> Tensor:
    """Light that changes smoothly over the image."""
    return images * (_uniform(images, 0.1, 0.5) * _smooth_field(images, 3, 4)).exp()


def shadow(images: Tensor) -> Tensor:
    """A shadow with a straight, somewhat wavy edge."""
    H, W = images.shape[2:]
    y = torch.linspace(-1, 1, H, device=images.device)[None, None, :, None]
    x = torch.linspace(-1, 1, W, device=images.device)[None, None, None, :]
    angle = _uniform(images, 0, 2 * math.pi)
    distance = x * angle.cos() + y * angle.sin() + 0.1 * _smooth_field(images, 6, 8) - _uniform(images, -0.7, 0.7)
    covered = torch.sigmoid(distance * _uniform(images, 20, 120))
    return images * (1 - covered * _uniform(images, 0.3, 0.75))


def haze(images: Tensor) -> Tensor:
    """Scattered light, or glare of the sun, denser in some parts of the image."""
    amount = (_uniform(images, 0.05, 0.45) + 0.12 * _smooth_field(images, 3, 3)).clamp(0, 0.7)
    return images + amount * (_uniform(images, 0.6, 1.0) - images)


def blur(images: Tensor) -> Tensor:
    """Blur by defocus or by motion: one kernel of 7x7 pixels for each image."""
    B, _, H, W = images.shape
    steps = torch.arange(_TAPS, device=images.device, dtype=torch.float32) - _TAPS // 2
    y, x = steps[None, :, None], steps[None, None, :]
    angle = _uniform(images, 0, math.pi)[:, 0]
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    wide = _uniform(images, 0.4, 1.3)[:, 0]
    moves = torch.rand(B, 1, 1, device=images.device) < 0.4
    kernels = (-(along**2) / (2 * (wide * torch.where(moves, 1.8, 1.0)) ** 2)).exp()
    kernels = kernels * (-(across**2) / (2 * torch.where(moves, 0.3, wide) ** 2)).exp()
    kernels = (kernels / kernels.sum(dim=(1, 2), keepdim=True)).repeat_interleave(3, dim=0)[:, None]
    padded = F.pad(images, (_TAPS // 2,) * 4, mode="reflect").reshape(1, B * 3, H + _TAPS - 1, W + _TAPS - 1)
    return F.conv2d(padded, kernels, groups=B * 3).reshape(images.shape)


def lower_resolution(images: Tensor) -> Tensor:
    """Shrink the images to between 0.4 and 0.8 of their size, one factor for all, and enlarge them again."""
    factor = float(torch.empty(()).uniform_(0.4, 0.8))
    small = F.interpolate(images, scale_factor=factor, mode="bilinear", antialias=True)
    return F.interpolate(small, size=images.shape[2:], mode="bilinear")


def noise(images: Tensor) -> Tensor:
    """Noise of a sensor, stronger where it is dark."""
    return images + torch.randn_like(images) * _uniform(images, 0.005, 0.05) * (1.2 - images)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """One number for each image: [B, 1, 1, 1]."""
    return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(low, high)


def _smooth_field(images: Tensor, rows: int, columns: int) -> Tensor:
    """[B, 1, H, W] of about mean 0 and standard deviation 1, smooth."""
    grid = torch.randn(len(images), 1, rows, columns, device=images.device)
    return F.interpolate(grid, size=images.shape[2:], mode="bicubic", align_corners=True)
