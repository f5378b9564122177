"""Strong photometry: every change stays close to what an image shows, and differs from image to image."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from index_builder.training import photometry
from index_builder.training.photometry import StrongPhotometry

CHANGES = [
    photometry.tone, photometry.uneven_light, photometry.shadow, photometry.haze, photometry.blur,
    photometry.lower_resolution, photometry.noise,
]  # fmt: skip


@pytest.fixture
def images() -> Tensor:
    """Six equal images with large and small structures: [6, 3, 64, 96] in 0..1."""
    torch.manual_seed(0)
    coarse = F.interpolate(torch.rand(1, 3, 4, 6), size=(64, 96))
    fine = F.interpolate(torch.rand(1, 3, 16, 24), size=(64, 96))
    return (0.7 * coarse + 0.3 * fine).expand(6, -1, -1, -1).contiguous()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_differs_from_image_to_image_and_keeps_what_is_shown(
    change: Callable[[Tensor], Tensor], images: Tensor
) -> None:
    before = images.clone()
    changed = change(images)
    torch.testing.assert_close(images, before, msg="the given images stay as they are")
    assert changed.shape == images.shape
    assert changed.isfinite().all()
    assert not torch.equal(changed, images)
    if change is not photometry.lower_resolution:  # one factor for all
        assert len({one.numpy().tobytes() for one in changed}) == 6
    alike = [
        torch.corrcoef(torch.stack([one.mean(dim=0).flatten(), plain.mean(dim=0).flatten()]))[0, 1]
        for one, plain in zip(changed, images, strict=True)
    ]
    assert sum(alike) / len(alike) > 0.4


def test_blur_keeps_the_mean_and_lowers_the_contrast_of_neighbours(images: Tensor) -> None:
    blurred = photometry.blur(images)
    torch.testing.assert_close(blurred.mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=0.01, rtol=0)
    assert blurred.diff(dim=3).abs().mean() < images.diff(dim=3).abs().mean()


def test_noise_is_stronger_where_it_is_dark() -> None:
    torch.manual_seed(0)
    flat = torch.cat([torch.full((64, 3, 16, 16), 0.1), torch.full((64, 3, 16, 16), 0.9)], dim=3)
    added = photometry.noise(flat) - flat
    assert added[..., :16].std() > 2 * added[..., 16:].std()


def test_all_together_stay_within_the_range_and_leave_some_images_unchanged(images: Tensor) -> None:
    torch.manual_seed(1)
    changed = StrongPhotometry()(images.repeat(60, 1, 1, 1))
    assert changed.min() >= 0
    assert changed.max() <= 1
    equal = (changed == images[:1]).flatten(1).all(dim=1).float().mean()
    assert 0 < equal < 0.1
