"""Region maps on disk: a written map is read back, and an error names the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.regions import open_regions
from index_builder.regions.region_maps import UNKNOWN, write_map

IMAGE = np.zeros((3, 4, 3), dtype=np.uint8)
REGIONS = np.array([[0, 0, 1, 1], [2, 2, 1, -1], [2, 2, 3, 3]], dtype=np.int32)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_map(REGIONS, tmp_path / "0001TP.v2.png")
    found = open_regions("folder", folder=tmp_path)(IMAGE, "camvid/train/0001TP.v2")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, REGIONS)


def test_numbers_with_gaps_are_closed_and_unknown_pixels_stay_unknown(tmp_path: Path) -> None:
    values = np.array([[1, 1, 700, 700], [1, 1, 700, UNKNOWN], [65534] * 4], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    found = open_regions("folder", folder=tmp_path)(IMAGE, "a")
    np.testing.assert_array_equal(found, [[0, 0, 1, 1], [0, 0, 1, -1], [2] * 4])


def test_the_largest_number_of_regions_is_written_and_one_more_refused(tmp_path: Path) -> None:
    regions = np.arange(256 * 256, dtype=np.int32).reshape(256, 256) - 1
    write_map(regions, tmp_path / "a.png")
    found = open_regions("folder", folder=tmp_path)(np.zeros((256, 256, 3), dtype=np.uint8), "a")
    np.testing.assert_array_equal(found, regions)
    with pytest.raises(ValueError, match=r"values up to 65535; they must be .* from -1 to 65534"):
        write_map(regions + 1, tmp_path / "a.png")


def colours(file: Path) -> None:
    Image.fromarray(np.arange(36, dtype=np.uint8).reshape(3, 4, 3)).save(file)


def other_size(file: Path) -> None:
    write_map(REGIONS[:, :3], file)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, r"a\.png, the region map of images/a, is missing"),
        (colours, r"a\.png has colours; replace it by a grey PNG"),
        (other_size, r"a\.png has shape \(3, 3\); .* must have shape \(3, 4\)"),
        (lambda file: file.write_bytes(b"no map"), r"a\.png cannot be read as a mask"),
    ],
)
def test_a_map_that_does_not_fit_is_named(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    write_map(REGIONS, tmp_path / "a.png")
    spoil(tmp_path / "a.png")
    with pytest.raises(ValueError, match=said):
        open_regions("folder", folder=tmp_path)(IMAGE, "images/a")


@pytest.mark.parametrize(
    ("regions", "file", "said"),
    [
        (REGIONS - 1, "a.png", "values up to 2"),
        (REGIONS[0], "a.png", r"shape \(4,\)"),
        (REGIONS.astype(float), "a.png", "type float64"),
        (REGIONS[:0], "a.png", "values up to none"),
        (REGIONS, "a.jpg", r"a\.jpg must end in \.png"),
    ],
)
def test_what_is_no_region_map_is_not_written(tmp_path: Path, regions: np.ndarray, file: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write_map(regions, tmp_path / file)
