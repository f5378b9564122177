"""Photographs of other subjects: which files are read, and how well familiarity separates them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.evaluation.foreign_photographs import MOST, SAMPLES, Familiar, Photographs, joined, separation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs in a folder and a subfolder, with a mask beside them."""
    for name in ("b.jpg", "a.jpeg", "deep/c.webp", "a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((3, 4, 3), 128, np.uint8)).save(tmp_path / name)
    return tmp_path


def test_photographs_of_a_folder_and_below_are_read_without_masks(folder: Path) -> None:
    photographs = Photographs(str(folder))
    assert [name for name, _ in photographs] == ["a.jpeg", "b.jpg", "deep/c.webp"]
    assert len(photographs) == 3
    assert photographs.name == "/".join(folder.parts[-2:])
    assert all(image.shape == (3, 4, 3) and image.dtype == np.uint8 for _, image in photographs)
    assert Photographs(f"mine={folder}").name == "mine"


def test_of_many_photographs_a_hundred_are_read(tmp_path: Path) -> None:
    for n in range(MOST + 5):
        (tmp_path / f"{n:03d}.jpg").touch()
    assert len(Photographs(str(tmp_path))) == MOST


def test_the_samples_are_rgb_images(folder: Path) -> None:
    samples = Photographs("samples")
    assert len(samples) == len(SAMPLES)
    name, image = next(iter(samples))
    assert (name, image.ndim, image.shape[2], image.dtype) == (SAMPLES[0], 3, 3, np.uint8)


def test_separation_is_the_share_of_pixel_pairs_in_the_right_order() -> None:
    random = np.random.default_rng(0)

    def segments(count: int, shift: float) -> Familiar:
        values = np.round(random.normal(shift, 1, count), 1)  # rounding makes ties
        return Familiar(values, values > 0, random.integers(1, 6, count))

    ours, others = segments(12, 0.5), segments(9, 0.0)
    pairs = right = 0.0
    for value, area in zip(ours.familiarity, ours.areas, strict=True):
        for other, other_area in zip(others.familiarity, others.areas, strict=True):
            pairs += area * other_area
            right += area * other_area * (1.0 if value > other else 0.5 if value == other else 0.0)
    assert separation(ours, others) == pytest.approx(right / pairs)
    assert separation(ours, others) + separation(others, ours) == pytest.approx(1)


def test_joined_segments_have_the_known_share_of_all_pixels() -> None:
    one = Familiar(np.array([0.5, 0.1]), np.array([True, False]), np.array([30, 10]))
    two = Familiar(np.array([0.9]), np.array([True]), np.array([60]))
    assert joined([one, two]).known_share == pytest.approx(0.9)
    assert one.known_share == pytest.approx(0.75)
