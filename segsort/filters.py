"""A multiscale filter bank, as convolutions. The features are those of ilastik and of scikit-image.

scikit-image calls them `multiscale_basic_features`. For each scale and channel there are seven features:

- the Gaussian, the Laplacian and the gradient magnitude
- the two eigenvalues of the Hessian
- the square roots of the two eigenvalues of the structure tensor

Derivatives are scaled by sigma to the power of their order, so that values of all scales have similar ranges.

Larger scales are computed on smaller images, which form a scale-space pyramid. Sigma 0.7 is computed at half of the
positions in each direction. Sigma 1.6 is computed on the image of half the size, and all others on that of a quarter.
Each image is the one before it, averaged over 2x2 pixels. Its variance is subtracted from that of the next Gaussian.
Where a scale has several values in a cell of 4x4 pixels, the response is their mean. The structure tensor itself is
averaged, and its eigenvalues are computed afterwards.

Two things make it fast in ONNX Runtime on a CPU. Derivatives have few taps, so that one grouped convolution gives all
derivatives of a scale. Wide depthwise convolutions have a multiple of 32 channels, some of them unused. Only whole
blocks of channels have a fast kernel.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIGMAS = (0.7, 1.6, 3.5, 5.0, 10.0)  # pixels of the network's input
FEATURES = (
    "gaussian",
    "laplacian",
    "gradient",  # magnitude
    "hessian_large",  # eigenvalues
    "hessian_small",
    "tensor_large",  # square roots of the eigenvalues of the structure tensor
    "tensor_small",
)
COLORS = ("R", "G", "B", "L", "a", "b")
BOX = 0.25  # variance of the mean of two neighbouring pixels, in pixels of the finer image
_BLOCK = 32  # channels
_LEAST = 1e-12
_SPREAD = 0.6  # variance that the derivatives themselves add, if more than they can add is left to do

_LINEAR_RGB_TO_XYZ = (  # each row divided by the coordinate of white under D65
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


class FilterBank(nn.Module):
    """Filter responses of an image at stride 4: sigma 0.7 in RGB, 1.6 to 10 in RGB and CIE Lab.

    All channels are scaled to about 0..1 (a and b of Lab to about -1..1). `names` has feature, sigma and color of each
    channel, such as "gradient 1.6 L".
    """

    def __init__(self) -> None:
        super().__init__()
        finest, middle, *coarse = SIGMAS
        self.finest_linear = _Derivatives(3, finest, finest**2, _LINEAR, stride=4, box=4, gain=0.5)
        self.finest_quadratic = _Derivatives(3, finest, finest**2, _QUADRATIC, taps=6, stride=2, gain=0.5)
        self.middle = _Derivatives(6, middle / 2, (middle**2 - BOX) / 4)
        self.fine_tensor = _StructureTensor([finest / 4] * 3 + [middle / 4] * 6)
        blurred = middle**2 + 4 * BOX  # variance of the image of a quarter of the size
        self.coarse = nn.ModuleList()
        for sigma in coarse:
            self.coarse.append(_Derivatives(6, sigma / 4, (sigma**2 - blurred) / 16))
            blurred = sigma**2
        self.coarse_tensor = _StructureTensor([sigma / 4 for sigma in coarse for _ in COLORS])
        self.names = (*_names([finest], COLORS[:3]), *_names([middle], COLORS), *_names(coarse, COLORS))
        self.channels = len(self.names)

    def forward(self, image: Tensor) -> Tensor:
        """RGB [B, 3, H, W] in -1..1, H and W multiples of 4 -> [B, 189, H/4, W/4]."""
        padded = _pad(image, 2)
        gaussian, laplacian = self.finest_linear(padded)
        finest = _energies(*self.finest_quadratic(padded)).halved()
        rgb = F.avg_pool2d(image, 2) * 0.5 + 0.5
        smooth, curvature, *derivatives = self.middle(_pad(torch.cat([rgb, lab(rgb)], dim=1), 2))
        smooth = F.avg_pool2d(smooth, 2)
        middle = _energies(*derivatives).halved()
        large, small = self.fine_tensor(finest, middle)
        maps = _features(gaussian + 0.5, laplacian, finest, large[:, :3], small[:, :3])
        maps += _features(smooth, F.avg_pool2d(curvature, 2), middle, large[:, 3:], small[:, 3:])
        return torch.cat(maps + self._coarser(smooth), dim=1)

    def _coarser(self, smooth: Tensor) -> list[Tensor]:
        """Gaussian of the middle scale -> features of all scales after it."""
        scales = []
        for scale in self.coarse:
            scales.append(scale(_pad(smooth, 2)))
            smooth = scales[-1][0]
        smooth, laplacian, *derivatives = (torch.cat(one, dim=1) for one in zip(*scales, strict=True))
        energies = _energies(*derivatives)
        return _features(smooth, laplacian, energies, *self.coarse_tensor(energies))


def lab(rgb: Tensor) -> Tensor:
    """sRGB in 0..1 to CIE Lab (D65), divided by 100: [B, 3, h, w] -> [B, 3, h, w].

    The curve of sRGB is replaced by a polynomial that is best for L: off by at most 0.0025, in dark colors too.
    """
    linear = rgb * (rgb * (rgb * (0.864765 - rgb * 0.303419) + 0.382046) + 0.056607)
    xyz = torch.matmul(rgb.new_tensor(_LINEAR_RGB_TO_XYZ), linear.flatten(2)).view_as(linear)
    root = torch.exp(torch.log(xyz.clamp(min=0.008856)) / 3)
    x, y, z = torch.minimum(root, 7.787 * xyz + 16 / 116).chunk(3, dim=1)  # the line is a tangent, and never below
    return torch.cat([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], dim=1)


def gaussian_taps(order: int, variance: float, taps: int) -> Tensor:
    """A derivative of a Gaussian as a filter that is exact for polynomials of a degree less than `taps`.

    Args:
        order: of the derivative, 0 to 2.
        variance: of the Gaussian, pixels squared.
        taps: number of values, at a distance of one pixel and symmetric about 0. At most 6.

    Returns:
        [taps], float64, for `conv2d`, which does not flip filters.
    """
    offsets = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    moments = torch.zeros(taps, dtype=torch.float64)
    for power in range(order, taps, 2):
        moment = math.prod(range(1, power - order, 2)) * variance ** ((power - order) // 2)  # 1, variance, 3 variance^2
        moments[power] = math.perm(power, order) * moment
    solution: Tensor = torch.linalg.solve(offsets ** torch.arange(taps, dtype=torch.float64)[:, None], moments)
    return solution


_LINEAR = ("gaussian", "laplacian")
_QUADRATIC = ("x", "y", "difference", "xy")  # first derivatives, half of xx - yy, and xy: squares and products use them


class _Derivatives(nn.Module):
    """Gaussian and derivatives of each channel of a padded image.

    Args:
        channels: C of the image.
        sigma: pixels of the image; a derivative of order n is multiplied by sigma to the power of n.
        variance: of the Gaussian that is still to be applied, pixels of the image squared.
        kinds: what to compute, see `_LINEAR` and `_QUADRATIC`.
        taps: of a filter.
        stride: of the convolution.
        box: the filters are averaged over a box of this size.
        gain: all results are multiplied by it.
    """

    def __init__(
        self,
        channels: int,
        sigma: float,
        variance: float,
        kinds: tuple[str, ...] = _LINEAR + _QUADRATIC,
        *,
        taps: int = 5,
        stride: int = 1,
        box: int = 1,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.blur = None
        if variance > 1:  # more than so few taps can do
            self.blur, variance = _Separable(_gaussian(variance - _SPREAD).repeat(channels, 1)), _SPREAD
        filters = _filters(sigma, variance, taps, box)
        weight = gain * torch.stack([filters[kind] for kind in kinds]).float()[:, None].repeat(channels, 1, 1, 1)
        self.kinds, self.stride, self.groups = len(kinds), stride, channels
        if stride > 1:  # a dense convolution is faster then
            owner = F.one_hot(torch.arange(channels).repeat_interleave(self.kinds))
            weight, self.groups = weight * owner[:, :, None, None], 1
        self.register_buffer("weight", weight)

    def forward(self, padded: Tensor) -> tuple[Tensor, ...]:
        """[B, C, h + 4, w + 4] -> for each kind [B, C, h / stride, w / stride]."""
        image = padded if self.blur is None else self.blur(_pad(padded, self.blur.radius))
        out = F.conv2d(image, cast(Tensor, self.weight), stride=self.stride, groups=self.groups)
        return out.reshape(out.shape[0], -1, self.kinds, *out.shape[2:]).unbind(2)


class _Energies(NamedTuple):
    """Squares and products of derivatives, all [B, C, h, w]."""

    gradient: Tensor  # its magnitude
    distance: Tensor  # half of that of the Hessian's eigenvalues
    sum: Tensor  # x^2 + y^2
    difference: Tensor  # x^2 - y^2
    product: Tensor  # xy

    def halved(self) -> "_Energies":
        """Means over 2x2 pixels."""
        return _Energies(*(F.avg_pool2d(one, 2) for one in self))


def _energies(x: Tensor, y: Tensor, difference: Tensor, xy: Tensor) -> _Energies:
    """From the derivatives `_QUADRATIC`, each [B, C, h, w]."""
    across, along = x * x, y * y
    both = across + along
    distance = torch.sqrt(difference * difference + xy * xy)
    return _Energies(torch.sqrt(both), distance, both, across - along, x * y)


def _features(gaussian: Tensor, laplacian: Tensor, energies: _Energies, large: Tensor, small: Tensor) -> list[Tensor]:
    """The maps in the order of `FEATURES`. large, small: of the structure tensor."""
    mean = laplacian * 0.5
    hessian = mean + energies.distance, mean - energies.distance
    return [gaussian, laplacian, energies.gradient, *hessian, large, small]


class _StructureTensor(nn.Module):
    """Square roots of the eigenvalues of the structure tensor, the larger first.

    Args:
        sigmas: of each channel, pixels: scale of the Gaussian that averages the tensor.
    """

    def __init__(self, sigmas: Sequence[float]) -> None:
        super().__init__()
        self.channels = len(sigmas)
        self.unused = -3 * self.channels % _BLOCK
        radius = max(1, math.ceil(4 * max(sigmas)))
        kernels = torch.stack([_gaussian(sigma**2, radius) for sigma in sigmas])
        half = kernels / 2**0.5  # applied twice, along rows and columns
        self.smooth = _Separable(torch.cat([half, half, kernels, kernels[: self.unused]]))

    def forward(self, *energies: _Energies) -> tuple[Tensor, Tensor]:
        """Energies [B, C_i, h, w] of all channels -> twice [B, C, h, w]."""
        parts = [one.sum for one in energies] + [one.difference for one in energies] + [one.product for one in energies]
        unused = energies[-1].sum[:, : self.unused]
        smooth = self.smooth(_pad(torch.cat([*parts, unused], dim=1), self.smooth.radius))
        mean, difference, product, _ = smooth.split([self.channels] * 3 + [self.unused], dim=1)
        distance = torch.sqrt(difference * difference + product * product)
        return _root(mean + distance), _root(mean - distance)


class _Separable(nn.Module):
    """One filter for each channel of a padded image, along columns and along rows. kernels: [C, 2 radius + 1]."""

    def __init__(self, kernels: Tensor) -> None:
        super().__init__()
        self.radius = kernels.shape[1] // 2
        self.register_buffer("kernels", kernels.float()[:, None, :, None])

    def forward(self, padded: Tensor) -> Tensor:
        """[B, C, h + 2 radius, w + 2 radius] -> [B, C, h, w]."""
        kernels = cast(Tensor, self.kernels)
        columns = F.conv2d(padded, kernels, groups=len(kernels))
        return F.conv2d(columns, kernels.transpose(2, 3), groups=len(kernels))


def _filters(sigma: float, variance: float, taps: int, box: int) -> dict[str, Tensor]:
    """Filters [taps + box - 1, taps + box - 1] by kind."""

    def along(order: int) -> Tensor:
        values = gaussian_taps(order, variance, taps) * sigma**order
        return F.conv1d(values[None], torch.full((1, 1, box), 1 / box, dtype=values.dtype), padding=box - 1)[0]

    gaussian, first, second = along(0), along(1), along(2)
    xx, yy = torch.outer(gaussian, second), torch.outer(second, gaussian)
    return {
        "gaussian": torch.outer(gaussian, gaussian),
        "laplacian": xx + yy,
        "x": torch.outer(gaussian, first),
        "y": torch.outer(first, gaussian),
        "difference": (xx - yy) / 2,
        "xy": torch.outer(first, first),
    }


def _gaussian(variance: float, radius: int | None = None) -> Tensor:
    """Gaussian [2 radius + 1] of sum 1. variance: pixels squared; radius: four standard deviations if not given."""
    if radius is None:
        radius = max(1, math.ceil(4 * variance**0.5))
    if variance < 0.5:  # samples of a narrow Gaussian have a smaller variance
        return F.pad(gaussian_taps(0, variance, 3), (radius - 1, radius - 1))
    samples = torch.exp(-0.5 * torch.arange(-radius, radius + 1, dtype=torch.float64) ** 2 / variance)
    return samples / samples.sum()


def _names(sigmas: Sequence[float], colors: Sequence[str]) -> list[str]:
    return [f"{feature} {sigma:g} {color}" for feature in FEATURES for sigma in sigmas for color in colors]


def _pad(image: Tensor, pixels: int) -> Tensor:
    """Repeat the edges."""
    return F.pad(image, (pixels, pixels, pixels, pixels), mode="replicate")


def _root(values: Tensor) -> Tensor:
    return torch.sqrt(values.clamp(min=_LEAST))
