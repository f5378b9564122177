"""Every way to store an image: the same content gives the same pixels, and what was converted is said."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from model_store.images import SUFFIXES, ImageFault, decode, decode_reduced, pixels_of, read_image

random = np.random.default_rng(3)
COLOURS = random.integers(0, 256, (9, 14, 3), dtype=np.uint8)
GREY = COLOURS[:, :, 0].copy()
COLOURS[0, 0] = GREY[0, 0] = 255  # the largest value is there, so that the depth is known by it


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)  # type: ignore[arg-type]
    return file.getvalue()


def png16(values: np.ndarray) -> bytes:
    """A PNG of sixteen bits: [H, W] grey, or [H, W, 2..4] grey and alpha, RGB, RGBA."""
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if values.ndim == 2 else values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep(values: np.ndarray, bits: int) -> np.ndarray:
    """Values of eight bits as the nearest of more bits."""
    return np.rint(values.astype(float) * ((1 << bits) - 1) / 255).astype(np.uint16)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM"])
def test_formats_without_loss_give_the_pixels(form: str) -> None:
    found = decode(saved(Image.fromarray(COLOURS), form))
    np.testing.assert_array_equal(found.pixels, COLOURS)
    assert found.conversion is None
    assert found.size == (9, 14)


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "JPEG2000"])
def test_newer_formats_are_decoded(form: str) -> None:
    options = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        "JPEG2000": {"irreversible": False},
    }
    found = decode(saved(Image.fromarray(COLOURS), form, **options[form]))
    assert np.abs(found.pixels.astype(int) - COLOURS).mean() < (8 if form == "AVIF" else 1)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "encode",
    [
        png16,
        tiff,
        lambda values: tiff(values, byteorder=">"),
        lambda values: tiff(values, compression="deflate"),
        lambda values: tiff(values.astype(np.int32)),
        lambda values: saved(Image.fromarray(values), "PNG"),
    ],
)
def test_grey_of_more_bits_is_that_of_eight(bits: int, encode: Callable[[np.ndarray], bytes]) -> None:
    found = decode(encode(deep(GREY, bits)))
    np.testing.assert_array_equal(found.pixels, np.repeat(GREY[:, :, None], 3, axis=2))
    assert found.conversion == f"whole numbers up to {(1 << bits) - 1}: as {bits} bits, 0..255"


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize(
    "encode",
    [
        png16,
        lambda values: tiff(values, photometric="rgb"),
        lambda values: tiff(np.moveaxis(values, 2, 0), photometric="rgb", planarconfig="separate"),
        lambda values: tiff(values, photometric="minisblack", planarconfig="contig"),
        lambda values: tiff(values, photometric="rgb", compression="deflate", tile=(16, 16)),
    ],
)
def test_colours_of_more_bits_are_those_of_eight(bits: int, encode: Callable[[np.ndarray], bytes]) -> None:
    found = decode(encode(deep(COLOURS, bits)))
    np.testing.assert_array_equal(found.pixels, COLOURS)
    assert found.conversion is not None
    assert f"as {bits} bits" in found.conversion


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("scale", "said"), [(1 / 255, "floats from 0 to 1"), (1.0, "floats from 0 to 255")])
@pytest.mark.parametrize("values", [GREY, COLOURS])
def test_floats_are_scaled_by_what_they_hold(values: np.ndarray, scale: float, said: str, dtype: type) -> None:
    photometric = "minisblack" if values.ndim == 2 else "rgb"
    found = decode(tiff((values * scale).astype(dtype), photometric=photometric))
    expected = values if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)
    assert np.abs(found.pixels.astype(int) - expected).max() <= (1 if dtype == np.float16 else 0)
    assert found.conversion is not None
    assert found.conversion.startswith(said)


def test_other_ranges_are_stretched_and_values_that_are_no_number_are_black() -> None:
    values = np.array([[-2.0, 0.0, 2.0, np.nan, np.inf]], np.float32)
    found = decode(tiff(values))
    assert found.pixels[0, :, 0].tolist() in ([0, 127, 255, 0, 255], [0, 128, 255, 0, 255])
    assert found.conversion == "floats from -2 to 2: their range as 0..255"
    signed = decode(tiff(np.array([[-100, 0, 100]], np.int16)))
    assert signed.pixels[0, :, 0].tolist() in ([0, 127, 255], [0, 128, 255])
    assert signed.conversion == "whole numbers from -100 to 100: their range as 0..255"
    assert decode(tiff(np.full((2, 2), np.nan, np.float32))).pixels.max() == 0


def test_transparent_pixels_are_blended_with_white_in_any_depth() -> None:
    alpha = np.zeros((9, 14), np.uint8)
    alpha[:, :7] = 255
    rgba = np.concatenate([COLOURS, alpha[:, :, None]], axis=2)
    expected = np.where(alpha[:, :, None] == 255, COLOURS, 255)
    contents = [
        saved(Image.fromarray(rgba), "PNG"),
        saved(Image.fromarray(rgba), "TIFF"),
        png16(deep(rgba, 16)),
        tiff(deep(rgba, 16), photometric="rgb", extrasamples=["unassalpha"]),
    ]
    for content in contents:
        found = decode(content)
        np.testing.assert_array_equal(found.pixels, expected)
        assert "transparent pixels over white" in str(found.conversion)
    assert decode(saved(Image.fromarray(COLOURS).convert("RGBA"), "PNG")).conversion is None


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        (
            np.stack([GREY] * 5),
            {"photometric": "minisblack", "planarconfig": "separate"},
            "first three of 5 channels",
        ),
        (np.stack([GREY] * 4, axis=2), {"photometric": "minisblack", "planarconfig": "contig"}, "three of 4 channels"),
        (
            np.stack([deep(GREY, 16)] * 2, axis=2),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "the first one of 2",
        ),
    ],
)
def test_channels_that_are_no_colours_are_dropped_and_it_is_said(
    values: np.ndarray, options: dict[str, object], said: str
) -> None:
    found = decode(tiff(values, **options))
    np.testing.assert_array_equal(found.pixels, np.repeat(GREY[:, :, None], 3, axis=2))
    assert said in str(found.conversion)


def test_inverted_grey_is_turned_over() -> None:
    np.testing.assert_array_equal(decode(tiff(GREY, photometric="miniswhite")).pixels[:, :, 0], 255 - GREY)
    np.testing.assert_array_equal(decode(tiff(deep(GREY, 16), photometric="miniswhite")).pixels[:, :, 0], 255 - GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_images_are_turned_as_others_are(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = decode(saved(Image.fromarray(COLOURS), "PNG", exif=exif)).pixels
    turned = decode(tiff(deep(COLOURS, 16), photometric="rgb", extratags=[(274, 3, 1, orientation, True)])).pixels
    np.testing.assert_array_equal(turned, plain)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB"])
def test_common_modes_are_no_conversion(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    found = decode(saved(image, "PNG"))
    np.testing.assert_array_equal(found.pixels, np.asarray(image.convert("RGB")))
    assert found.conversion is None


def test_print_colours_are_converted_and_it_is_said() -> None:
    assert decode(saved(Image.fromarray(COLOURS).convert("CMYK"), "TIFF")).conversion == "CMYK as RGB"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty"),
        (b"no image", "unsupported"),
        (tiff(deep(COLOURS, 16), photometric="rgb")[:-200], "damaged"),
        (tiff(np.zeros((3, 5), np.float64))[:60], "damaged"),
        (b"II*\0\xff\xff\xff\xff", "damaged"),
        (png16(deep(COLOURS, 16))[:90], "damaged"),
    ],
)
def test_what_cannot_be_decoded_says_why(content: bytes, fault: str) -> None:
    with pytest.raises(ImageFault) as raised:
        decode(content)
    assert raised.value.fault == fault
    assert raised.value.fix in str(raised.value)


@pytest.mark.parametrize(
    "content", [tiff(np.zeros((40, 50))), tiff(np.zeros((40, 50, 3), np.uint16), photometric="rgb")]
)
def test_limits_hold_for_deep_images(content: bytes) -> None:
    assert pixels_of(content, 2000) == 2000
    for limited in (decode, pixels_of, lambda content, most: decode_reduced(content, most, 640)):
        with pytest.raises(ImageFault, match="50x40 = 2000 pixels") as raised:
            limited(content, 1999)
        assert raised.value.fault == "too large"


def test_a_deep_image_for_the_network_is_the_whole_image() -> None:
    np.testing.assert_array_equal(decode_reduced(tiff(deep(GREY, 12)), 10**6, 640).pixels[:, :, 0], GREY)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(ValueError, match=r"bad\.png cannot be read as an image"):
        read_image(tmp_path / "bad.png")
    with pytest.raises(ValueError, match=r"none\.png cannot be read \("):
        read_image(tmp_path / "none.png")


def test_suffixes_are_those_of_the_formats() -> None:
    known = {
        suffix for suffix, form in Image.registered_extensions().items() if form in {"JPEG", "PNG", "AVIF", "TIFF"}
    }
    assert known <= {*SUFFIXES, ".apng", ".avifs"}
