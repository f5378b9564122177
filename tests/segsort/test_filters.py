"""The filter bank computes what scipy and scikit-image compute at full resolution, for each cell of 4x4 pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import skimage.color
import skimage.data
import skimage.feature
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from segsort.filters import COLORS, FEATURES, SIGMAS, FilterBank, gaussian_taps, lab

Array = NDArray[np.float64]
Reference = Callable[[Array, float], Array]


def photograph(name: str) -> Array:
    """A part of an image of scikit-image, [H, W, 3] in 0..1."""
    return getattr(skimage.data, name)()[64:256, 96:352] / 255.0


def as_input(rgb: Array) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() * 2 - 1


@pytest.fixture(scope="module")
def bank() -> FilterBank:
    return FilterBank().eval()


def responses(bank: FilterBank, rgb: Array) -> dict[str, Array]:
    """Map of each channel by its name."""
    return dict(zip(bank.names, bank(as_input(rgb))[0].double().numpy(), strict=True))


def channels(rgb: Array) -> dict[str, Array]:
    both = np.concatenate([rgb, skimage.color.rgb2lab(rgb) / 100], axis=2)
    return dict(zip(COLORS, np.moveaxis(both, 2, 0), strict=True))


def cells(values: Array, sigma: float) -> Array:
    """Means over cells of 4x4 pixels; of the large scales, over the four pixels at the centre of a cell."""
    height, width = values.shape
    inside = slice(None) if sigma < 3 else slice(1, 3)
    return values.reshape(height // 4, 4, width // 4, 4)[:, inside, :, inside].mean(axis=(1, 3))


def derivative(image: Array, sigma: float, order: tuple[int, int]) -> Array:
    """By scipy. Its narrow second derivatives of a constant are not 0; that part is subtracted."""

    def smooth(values: Array, order: tuple[int, int]) -> Array:
        return ndimage.gaussian_filter(values, sigma, order=order, mode="nearest", truncate=6)

    offset = smooth(np.ones_like(image), order).mean() if 2 in order else 0.0
    return (smooth(image, order) - offset * smooth(image, (0, 0))) * sigma ** sum(order)


def eigenvalues(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    small, large = np.moveaxis(np.linalg.eigvalsh(np.stack([np.stack([a, c], -1), np.stack([c, b], -1)], -1)), -1, 0)
    return large, small


def by_scipy(image: Array, sigma: float) -> dict[str, Array]:
    """The features at full resolution, then one value for each cell. The structure tensor itself is averaged."""
    x, y = derivative(image, sigma, (0, 1)), derivative(image, sigma, (1, 0))
    xx, yy, xy = (derivative(image, sigma, order) for order in ((0, 2), (2, 0), (1, 1)))
    tensor = [cells(ndimage.gaussian_filter(v, sigma, mode="nearest"), sigma) for v in (x * x, y * y, x * y)]
    hessian, roots = eigenvalues(xx, yy, xy), eigenvalues(*tensor)
    return {
        "gaussian": cells(derivative(image, sigma, (0, 0)), sigma),
        "laplacian": cells(xx + yy, sigma),
        "gradient": cells(np.hypot(x, y), sigma),
        "hessian_large": cells(hessian[0], sigma),
        "hessian_small": cells(hessian[1], sigma),
        "tensor_large": np.sqrt(np.maximum(roots[0], 0)),
        "tensor_small": np.sqrt(np.maximum(roots[1], 0)),
    }


# For each sigma, the least correlation with scipy and the range of the factor between them. At 0.7 a quarter of the
# positions is looked at. For a and b the error of the polynomial in `lab` is a larger part of the values.
CLOSE = {
    0.7: (0.86, 0.80, 1.10),
    1.6: (0.96, 0.92, 1.10),
    3.5: (0.97, 0.94, 1.06),
    5.0: (0.95, 0.88, 1.05),
    10.0: (0.90, 0.88, 1.10),  # edges are repeated at each level of the pyramid
}


@pytest.mark.parametrize("color", ["R", "G", "L", "b"])
@pytest.mark.parametrize("name", ["coffee", "immunohistochemistry"])
def test_every_response_is_close_to_scipy(bank: FilterBank, name: str, color: str) -> None:
    rgb = photograph(name)
    got, image = responses(bank, rgb), channels(rgb)[color]
    for sigma in SIGMAS if color in "RGB" else SIGMAS[1:]:
        correlation, least, most = CLOSE[sigma]
        for feature, wanted in by_scipy(image, sigma).items():
            found = got[f"{feature} {sigma:g} {color}"]
            assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > correlation, (feature, sigma)
            assert least < (found * wanted).sum() / (wanted**2).sum() < most, (feature, sigma)


def test_the_linear_features_of_the_finest_scale_are_means_over_all_pixels(bank: FilterBank) -> None:
    rgb = photograph("coffee")
    got, green = responses(bank, rgb), rgb[..., 1]
    wanted = by_scipy(green, 0.7)
    np.testing.assert_allclose(got["gaussian 0.7 G"], wanted["gaussian"], atol=2e-3)
    assert np.corrcoef(got["laplacian 0.7 G"].ravel(), wanted["laplacian"].ravel())[0, 1] > 0.995


@pytest.mark.parametrize("sigma", [1.6, 3.5, 5.0, 10.0])
def test_eigenvalues_are_those_of_scikit_image(bank: FilterBank, sigma: float) -> None:
    """Its structure tensor has derivatives by a Sobel filter, 8 times too large: a smoothed image is given to it."""
    rgb = photograph("coffee")
    got, image = responses(bank, rgb), rgb[..., 0]
    hessian = skimage.feature.hessian_matrix(image, sigma, mode="nearest", order="rc", use_gaussian_derivatives=True)
    smooth = ndimage.gaussian_filter(image, sigma, mode="nearest")
    tensor = skimage.feature.structure_tensor(smooth, sigma, mode="nearest", order="rc")
    for feature, values in (
        *zip(
            ("hessian_large", "hessian_small"), skimage.feature.hessian_matrix_eigvals(hessian) * sigma**2, strict=True
        ),
        *zip(("tensor_large", "tensor_small"), skimage.feature.structure_tensor_eigenvalues(tensor), strict=True),
    ):
        wanted = values if feature.startswith("hessian") else np.sqrt(np.maximum(values, 0)) * sigma / 8
        found = got[f"{feature} {sigma:g} R"]
        assert np.corrcoef(found.ravel(), cells(wanted, sigma).ravel())[0, 1] > 0.94, feature
        assert 0.8 < found.std() / cells(wanted, sigma).std() < 1.2, feature


def test_multiscale_basic_features_are_among_them(bank: FilterBank) -> None:
    rgb = photograph("chelsea")
    got, image, sigma = responses(bank, rgb), rgb[..., 1], 1.6
    basic = np.moveaxis(
        skimage.feature.multiscale_basic_features(image, sigma_min=sigma, sigma_max=sigma, num_sigma=1), 2, 0
    ).astype(np.float64)
    features = ("gaussian", "gradient", "hessian_large", "hessian_small")
    assert len(basic) == len(features)
    for feature, values in zip(features, basic, strict=True):
        correlation = np.corrcoef(got[f"{feature} 1.6 G"].ravel(), cells(values, sigma).ravel())[0, 1]
        assert correlation > 0.97, feature


def test_lab_is_that_of_scikit_image() -> None:
    colors = np.stack(np.meshgrid(*[np.linspace(0, 1, 18)] * 3, indexing="ij"), axis=-1).reshape(18, -1, 3)
    difference = 100 * (lab(torch.from_numpy(colors).permute(2, 0, 1)[None].float())[0].numpy())
    difference -= np.moveaxis(skimage.color.rgb2lab(colors), 2, 0)
    assert np.abs(difference[0]).max() < 0.26
    assert np.abs(difference[1:]).max() < 1.6
    assert np.abs(difference).mean() < 0.2


def inside(values: Array, sigma: float) -> Array:
    """Cells that no edge of the image reaches."""
    margin = int(np.ceil(8 * sigma / 4))
    return values[margin:-margin, margin:-margin]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_ramp_has_its_slope_and_its_value_at_the_centre_of_each_cell(bank: FilterBank, sigma: float) -> None:
    y, x = np.mgrid[0:256, 0:256]
    rgb = np.repeat((0.2 + 0.001 * x + 0.0012 * y)[..., None], 3, axis=2)
    got = {feature: inside(responses(bank, rgb)[f"{feature} {sigma:g} R"], sigma) for feature in FEATURES}
    np.testing.assert_allclose(got["gaussian"], inside(cells(rgb[..., 0], 0.7), sigma), atol=1e-5)
    slope = np.hypot(0.001, 0.0012) * sigma
    for feature, wanted in (("gradient", slope), ("tensor_large", slope), ("tensor_small", 0.0)):
        np.testing.assert_allclose(got[feature], wanted, atol=2e-5, rtol=1e-4)
    for feature in ("laplacian", "hessian_large", "hessian_small"):
        np.testing.assert_allclose(got[feature], 0, atol=2e-5)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_paraboloid_has_its_curvatures(bank: FilterBank, sigma: float) -> None:
    y, x = np.mgrid[0:256, 0:256] - 127.5
    rgb = np.repeat((0.1 + 1.5e-5 * x * x + 1e-5 * x * y + 0.5e-5 * y * y)[..., None], 3, axis=2)
    got = {feature: inside(responses(bank, rgb)[f"{feature} {sigma:g} R"], sigma) for feature in FEATURES}
    large, small = (float(v) for v in eigenvalues(np.array(3e-5), np.array(1e-5), np.array(1e-5)))
    scale = sigma**2
    tolerance = 0.01 * 4e-5 * scale + 2e-6  # the last part: rounding of single precision
    np.testing.assert_allclose(got["laplacian"], 4e-5 * scale, atol=tolerance)
    np.testing.assert_allclose(got["hessian_large"], large * scale, atol=tolerance)
    np.testing.assert_allclose(got["hessian_small"], small * scale, atol=tolerance)


@pytest.mark.parametrize("turn", ["left to right", "upside down", "by 90 degrees"])
def test_turning_the_image_turns_the_responses(bank: FilterBank, turn: str) -> None:
    image = as_input(photograph("chelsea")[:160, :224])

    def turned(maps: torch.Tensor) -> torch.Tensor:
        if turn == "by 90 degrees":
            return maps.rot90(1, (2, 3))
        return maps.flip(3 if turn == "left to right" else 2)

    torch.testing.assert_close(bank(turned(image)), turned(bank(image)), atol=1e-4, rtol=1e-4)


def test_moving_the_image_by_a_cell_moves_the_responses_by_a_cell(bank: FilterBank) -> None:
    image = as_input(photograph("coffee"))
    found, moved = bank(image), bank(image[:, :, 4:, 4:])
    margin = 24  # cells that the edges reach
    torch.testing.assert_close(
        moved[:, :, margin:-margin, margin:-margin], found[:, :, margin + 1 : -margin, margin + 1 : -margin],
        atol=2e-5, rtol=1e-4,
    )  # fmt: skip


def test_a_constant_image_has_its_color_and_nothing_else(bank: FilterBank) -> None:
    rgb = np.tile([0.8, 0.4, 0.1], (32, 64, 1))
    color = dict(zip(COLORS, (*rgb[0, 0], *skimage.color.rgb2lab(rgb[0, 0]) / 100), strict=True))
    for name, values in responses(bank, rgb).items():
        feature, _, channel = name.split()
        np.testing.assert_allclose(values, color[channel] if feature == "gaussian" else 0, atol=8e-3, err_msg=name)


@pytest.mark.parametrize("size", [(4, 4), (32, 32), (36, 100), (160, 64)])
def test_each_cell_of_images_of_any_size_has_189_finite_values(bank: FilterBank, size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = bank(image)
    assert found.shape == (2, 189, size[0] // 4, size[1] // 4)
    assert found.isfinite().all()
    torch.testing.assert_close(found[1:], bank(image[1:]), atol=1e-5, rtol=1e-4)


def test_each_channel_has_a_name_of_its_own(bank: FilterBank) -> None:
    assert len(set(bank.names)) == bank.channels
    assert {name.split()[0] for name in bank.names} == set(FEATURES)
    assert {name.split()[2] for name in bank.names if " 0.7 " in name} == {"R", "G", "B"}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("taps", [5, 6])
def test_taps_pass_low_frequencies_as_the_gaussian_does(order: int, taps: int) -> None:
    variance = 0.6
    offsets = np.arange(taps) - (taps - 1) / 2
    for frequency in (0.1, 0.5, 1.0, 1.5):
        found = (gaussian_taps(order, variance, taps).numpy() * np.exp(1j * frequency * offsets)).sum()
        wanted = (1j * frequency) ** order * np.exp(-variance * frequency**2 / 2)
        assert abs(found - wanted) < 0.08 * frequency**order


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of itself
def test_the_exported_bank_computes_the_same_at_free_sizes(bank: FilterBank, tmp_path: Path) -> None:
    file = tmp_path / "filters.onnx"
    torch.onnx.export(
        bank, (torch.zeros(1, 3, 96, 128),), file, input_names=["image"], output_names=["filters"], opset_version=18,
        dynamic_axes={"image": {0: "batch", 2: "height", 3: "width"}, "filters": {0: "batch", 2: "h", 3: "w"}},
        dynamo=False,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for size in ((1, 3, 32, 32), (2, 3, 64, 160), (1, 3, 384, 480)):
        image = torch.rand(size, generator=torch.Generator().manual_seed(size[2])) * 2 - 1
        (found,) = session.run(None, {"image": image.numpy()})
        np.testing.assert_allclose(found, bank(image).numpy(), atol=2e-4)


def test_colors_of_the_input_are_not_mixed_up(bank: FilterBank) -> None:
    image = torch.full((1, 3, 32, 32), -1.0)
    image[:, 1] = 1
    found = dict(zip(bank.names, F.adaptive_avg_pool2d(bank(image), 1).flatten().tolist(), strict=True))
    assert [round(found[f"gaussian 1.6 {color}"], 2) for color in "RGB"] == [0, 1, 0]
    assert found["gaussian 1.6 a"] < -0.8
    assert found["gaussian 1.6 b"] > 0.8
