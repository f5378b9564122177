"""Reading image files: orientation, colour modes, and damaged files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.datasets import open_image, read_upright

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 13
ORIENTATION = 0x0112  # EXIF tag


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda image: image),
        (2, lambda image: image[:, ::-1]),
        (3, lambda image: image[::-1, ::-1]),
        (6, lambda image: np.rot90(image, -1)),
        (8, lambda image: np.rot90(image, 1)),
    ],
)
def test_the_exif_orientation_is_applied(orientation: int, turn: object, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_upright(tmp_path / "a.png"), turn(PIXELS))  # type: ignore[operator]


def test_grey_and_transparent_images_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[:, :, 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_upright(tmp_path / "grey.png"), np.repeat(PIXELS[:, :, :1], 3, axis=2))
    rgba = np.concatenate([PIXELS, np.full((2, 3, 1), 9, np.uint8)], axis=2)
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_upright(tmp_path / "clear.png"), PIXELS)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\nbroken"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with (
        pytest.raises(ValueError, match=r"bad\.png cannot be read as an image .*; replace it"),
        open_image(tmp_path / "bad.png") as opened,
    ):
        opened.load()


def test_a_truncated_file_is_named_when_its_pixels_are_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(random).save(tmp_path / "cut.png")
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut\.png cannot be read as an image"):
        read_upright(tmp_path / "cut.png")
