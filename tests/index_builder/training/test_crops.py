"""Crops: each pixel keeps its label at every size and position, and padding is unlabelled."""

from typing import Any

import numpy as np
import pytest
import torch

from index_builder.datasets import IGNORE, Photograph, Sample
from index_builder.training.crops import Augment, Crops, WithClasses, WithRegions
from index_builder.training.recipe import Recipe
from tests.conftest import BLOCK_CLASSES, Blocks

PAINT = np.array([info.color for info in BLOCK_CLASSES] + [(0, 0, 0)] * (IGNORE - 3) + [(255, 255, 255)])


class Flat(Blocks):
    """Blocks, each pixel in exactly the colour of its class, unlabelled ones white."""

    def __getitem__(self, i: int) -> Sample:
        sample = super().__getitem__(i)
        return sample._replace(image=PAINT[sample.labels].astype(np.uint8))


def crops(**changed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, H, W, 3] and labels [B, H, W] of some batches."""
    values = {"datasets": ["folder"], "working_size": 96, "crop": (64, 96), "batch_per_domain": 4, **changed}
    stream = iter(Crops([WithClasses(Flat())], Recipe.model_validate(values)))
    batches = [next(stream) for _ in range(5)]
    images, labels = (torch.cat([getattr(b, name) for b in batches]).numpy() for name in ("images", "labels"))
    return images.transpose(0, 2, 3, 1), labels


def test_at_the_images_own_size_every_pixel_keeps_its_colour_and_label() -> None:
    images, labels = crops(scale=(1, 1))
    np.testing.assert_array_equal(images, PAINT[labels])
    assert images.shape == (20, 64, 96, 3)
    assert len({image.tobytes() for image in images}) > 12, "at 9 places of 6 images, flipped or not"


@pytest.mark.parametrize("scale", [(0.6, 0.6), (1.7, 1.7), (0.6, 1.6)])
def test_resized_pixels_are_labelled_by_the_colour_they_show(scale: tuple[float, float]) -> None:
    images, labels = crops(scale=scale)
    known = labels >= 0
    nearest = np.linalg.norm(images[:, :, :, None] - PAINT[:3], axis=-1).argmin(axis=-1)
    assert (nearest == labels)[known].mean() > 0.95, "all but where two colours meet"


def test_what_lies_outside_the_image_is_grey_and_unlabelled() -> None:
    images, labels = crops(scale=(0.5, 0.5))  # 36x48 pixels of the image in 64x96
    grey = (images == 127).all(axis=-1)
    assert 0.6 < grey.mean() < 0.75, "but for the 28 percent that the image fills"
    assert (labels[grey] == -1).all()
    assert set(np.unique(labels[~grey])) == {-1, 0, 1, 2}


def test_augmentation_changes_the_colours_and_normalises_them() -> None:
    torch.manual_seed(0)
    augment = Augment((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
    given = torch.from_numpy(crops()[0].transpose(0, 3, 1, 2).copy())
    first, second = augment(given), augment(given)
    assert first.shape == given.shape
    assert first.dtype == torch.float32
    assert first.min() >= -1
    assert first.max() <= 1
    assert not torch.equal(first, second)
    plain = (given.float() - 127.5) / 127.5
    assert torch.corrcoef(torch.stack([first.flatten(), plain.flatten()]))[0, 1] > 0.8, "what is shown stays the same"


class Columns:
    """Images of 96x72 pixels whose colour is the column number. Their regions are stripes of 8 columns."""

    name = "columns"

    def __len__(self) -> int:
        return 3

    def photograph(self, i: int) -> Photograph:
        return Photograph(np.repeat(np.arange(96, dtype=np.uint8)[None, :, None], 72, axis=0).repeat(3, axis=2), str(i))

    def __call__(self, image: np.ndarray, source: str) -> np.ndarray:
        column = image[:, :, 0].astype(np.int32)
        return np.where(column < 8, -1, column // 8)


def test_views_of_an_image_number_its_regions_alike() -> None:
    values = {"datasets": ["images"], "objective": "vmf", "working_size": 96, "crop": (64, 64), "scale": (1, 1)}
    recipe = Recipe.model_validate({**values, "views": 2, "batch_per_domain": 4})
    batch = next(iter(Crops([WithRegions(Columns(), Columns())], recipe)))
    assert batch.image_of.tolist() == [0, 0, 1, 1]
    stripes = batch.images[:, 0].long() // 8
    for first in (0, 2):
        views, labels = stripes[first : first + 2], batch.labels[first : first + 2]
        assert (labels[views == 0] == -1).all(), "the first stripe is no region"
        pairs = set(zip(views[views > 0].tolist(), labels[views > 0].tolist(), strict=True))
        assert len(pairs) == len({stripe for stripe, _ in pairs}) == len({label for _, label in pairs})
        assert {label for _, label in pairs} == set(range(len(pairs)))


def test_of_more_regions_than_allowed_the_largest_take_part() -> None:
    values = {"datasets": ["images"], "objective": "vmf", "working_size": 96, "crop": (64, 96), "scale": (1, 1)}
    recipe = Recipe.model_validate({**values, "max_regions": 3, "batch_per_domain": 1})
    batch = next(iter(Crops([WithRegions(Columns(), Columns())], recipe)))
    assert set(batch.labels.unique().tolist()) == {-1, 0, 1, 2}
    assert int((batch.labels >= 0).sum()) == 3 * 8 * 64
