"""HEIC files: read with the optional package, refused with a reason without it, and never taken for AVIF."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_store.images import ImageFault, decode, pixels_of
from model_store.images.heic import is_heic, reader_of_heic

COLOURS = (Path(__file__).parent / "files" / "colours.heic").read_bytes()  # red above green and blue, 64x48


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    reader_of_heic.cache_clear()
    yield
    reader_of_heic.cache_clear()


def test_colours_are_read_in_their_places() -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    found = decode(COLOURS)
    assert found.size == (48, 64)
    for place, color in (((10, 30), (200, 40, 40)), ((40, 10), (40, 160, 60)), ((40, 55), (50, 60, 200))):
        assert np.abs(found.pixels[place].astype(int) - color).max() < 16
    assert pixels_of(COLOURS, 10**6) == 48 * 64


@pytest.mark.parametrize("length", [30, 200, 500])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    with pytest.raises(ImageFault):
        decode(COLOURS[:length])


def test_a_large_image_is_refused_by_its_header() -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    with pytest.raises(ImageFault, match="too many pixels"):
        decode(COLOURS, 48 * 64 - 1)


def test_without_the_package_the_reason_and_the_fix_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageFault, match=r"HEIC images cannot be read by this installation.*extra `heic`") as refused:
        decode(COLOURS)
    assert refused.value.fault == "unsupported"


def test_an_avif_is_no_heic() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "AVIF")
    assert not is_heic(file.getvalue())
    assert is_heic(COLOURS)
    assert not is_heic(b"")
    assert decode(file.getvalue()).size == (8, 8)
    both = b"\0\0\0\x20ftypmif1\0\0\0\0mif1avif" + bytes(8)
    assert not is_heic(both)
