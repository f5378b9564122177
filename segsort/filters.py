"""A multiscale filter bank as convolutions: the features of ilastik and of scikit-image's `multiscale_basic_features`.

For each scale and channel there are seven features: the Gaussian, the Laplacian, the gradient magnitude, the two
eigenvalues of the Hessian, and the square roots of the two eigenvalues of the structure tensor. Derivatives are scaled
by sigma to the power of their order, so that values of all scales have similar ranges.

Larger scales are computed on smaller images, as in a scale-space pyramid: sigma 0.7 at half of the pixels in each
direction, sigma 1.6 on the image of half the size, all others on that of a quarter. Each image is the one before it,
averaged over 2x2 pixels, and the blur that it has already is subtracted from what is left to do.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIGMAS = (0.7, 1.6, 3.5, 5.0, 10.0)  # pixels of the network's input
FEATURES = 7  # of each scale and channel
BOX = 0.25  # variance of the mean of two neighbouring pixels, in pixels of the finer image
_LEAST = 1e-12

_LINEAR_RGB_TO_XYZ = (  # each row divided by the coordinate of white under D65
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


class FilterBank(nn.Module):
    """Filter responses of an image at stride 4: sigma 0.7 in RGB, 1.6 to 10 in RGB and CIE Lab.

    All channels are scaled to about 0..1 (a and b of Lab to about -1..1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels = FEATURES * (3 + 6 * (len(SIGMAS) - 1))
        self.finest = _Scale(3, SIGMAS[0], SIGMAS[0], pixel=1, stride=2)
        self.middle = _Scale(6, SIGMAS[1], math.sqrt(SIGMAS[1] ** 2 - BOX), pixel=2)
        blurred = SIGMAS[1] ** 2 + 4 * BOX  # variance of the image of a quarter of the size
        quarter = []
        for sigma in SIGMAS[2:]:
            quarter.append(_Scale(6, sigma, math.sqrt(sigma**2 - blurred), pixel=4))
            blurred = sigma**2
        self.coarse = nn.ModuleList(quarter)

    def forward(self, image: Tensor) -> Tensor:
        """RGB [B, 3, H, W] in -1..1, H and W multiples of 4 -> [B, 189, H/4, W/4]."""
        rgb = image * 0.5 + 0.5
        maps = [F.avg_pool2d(self.finest(rgb)[1], 2)]
        halved = F.avg_pool2d(rgb, 2)
        smooth, responses = self.middle(torch.cat([halved, lab(halved)], dim=1))
        maps.append(F.avg_pool2d(responses, 2))
        smooth = F.avg_pool2d(smooth, 2)
        for scale in self.coarse:
            smooth, responses = scale(smooth)
            maps.append(responses)
        return torch.cat(maps, dim=1)


class _Scale(nn.Module):
    """The seven features of one scale.

    Args:
        channels: C of the image.
        sigma: of the features, pixels of the network's input.
        blur: standard deviation of the Gaussian that is still to be applied, in the same pixels.
        pixel: size of a pixel of the image, in the same pixels.
        stride: features are computed at every stride-th pixel.
    """

    def __init__(self, channels: int, sigma: float, blur: float, pixel: int, stride: int = 1) -> None:
        super().__init__()
        self.blur = Gaussian(channels, blur / pixel)
        self.integrate = Gaussian(channels * 3, sigma / (pixel * stride))
        self.derivatives = nn.Conv2d(channels, channels * 6, 3, stride=stride, bias=False)
        self.derivatives.weight = nn.Parameter(_derivatives(channels, sigma / pixel), requires_grad=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, h, w] -> the smoothed image [B, C, h, w] and the features [B, 7C, h/stride, w/stride]."""
        smooth = self.blur(image)
        gaussian, x, y, xx, yy, xy = self.derivatives(F.pad(smooth, (1, 1, 1, 1), mode="replicate")).chunk(6, dim=1)
        across, along = x * x, y * y
        tensor = self.integrate(torch.cat([across, along, x * y], dim=1)).chunk(3, dim=1)
        large, small = _eigenvalues(*tensor)
        hessian = _eigenvalues(xx, yy, xy)
        return smooth, torch.cat(
            [gaussian, xx + yy, _root(across + along), *hessian, _root(large), _root(small)], dim=1
        )


class Gaussian(nn.Module):
    """Gaussian smoothing of each channel, edges repeated. sigma: pixels; the kernel reaches to four of it."""

    rows: Tensor
    columns: Tensor

    def __init__(self, channels: int, sigma: float) -> None:
        super().__init__()
        self.radius = max(1, round(4 * sigma))
        offsets = torch.arange(-self.radius, self.radius + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = (kernel / kernel.sum()).float()
        self.register_buffer("rows", kernel.reshape(1, 1, -1, 1).repeat(channels, 1, 1, 1))
        self.register_buffer("columns", kernel.reshape(1, 1, 1, -1).repeat(channels, 1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        r, channels = self.radius, image.shape[1]
        padded = F.pad(image, (r, r, r, r), mode="replicate")
        return F.conv2d(F.conv2d(padded, self.rows, groups=channels), self.columns, groups=channels)


def lab(rgb: Tensor) -> Tensor:
    """sRGB in 0..1 to CIE Lab (D65), divided by 100: [B, 3, h, w] -> [B, 3, h, w].

    The curve of sRGB is replaced by a polynomial, which is off by at most 0.003.
    """
    linear = rgb * (rgb * (rgb * 0.305306011 + 0.682171111) + 0.012522878)
    xyz = F.conv2d(linear, rgb.new_tensor(_LINEAR_RGB_TO_XYZ)[:, :, None, None])
    root = torch.exp(torch.log(xyz.clamp(min=0.008856)) / 3)
    f = torch.where(xyz > 0.008856, root, 7.787 * xyz + 16 / 116)
    x, y, z = f.chunk(3, dim=1)
    return torch.cat([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)


def _derivatives(channels: int, sigma: float) -> Tensor:
    """Kernels of the image and its first and second derivatives by central differences: [6C, C, 3, 3].

    sigma: pixels of the image; a derivative of order n is multiplied by sigma to the power of n.
    """
    identity = torch.tensor([0.0, 1.0, 0.0])
    first = torch.tensor([-0.5, 0.0, 0.5]) * sigma
    second = torch.tensor([1.0, -2.0, 1.0]) * sigma**2
    kernels = [
        torch.outer(identity, identity),
        torch.outer(identity, first),
        torch.outer(first, identity),
        torch.outer(identity, second),
        torch.outer(second, identity),
        torch.outer(first, first),
    ]
    weight = torch.zeros(6, channels, channels, 3, 3)
    for n, kernel in enumerate(kernels):
        for c in range(channels):
            weight[n, c, c] = kernel
    return weight.reshape(6 * channels, channels, 3, 3)


def _eigenvalues(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the symmetric matrices [[a, c], [c, b]], the larger first."""
    mean, half = (a + b) * 0.5, (a - b) * 0.5
    distance = _root(half * half + c * c)
    return mean + distance, mean - distance


def _root(values: Tensor) -> Tensor:
    return torch.sqrt(values.clamp(min=_LEAST))
