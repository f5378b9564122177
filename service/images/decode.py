"""Decoding of image files to upright images. Limits are checked before any pixel is decoded."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from model_store.embedder import working_shape
from service.problems import Problem

_SMALL, _FEW_MARKERS = 64_000, 1024  # bytes; in compressed data one byte in 256 equals the start of a marker
RATIO_FROM = 1_000_000  # pixels; smaller images are cheap to decode at any ratio
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_ALLOWED = "JPEG, PNG, WebP, TIFF, BMP or GIF"
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")


def decode(content: bytes, max_pixels: int) -> np.ndarray:
    """Decode an image.

    The EXIF orientation is applied. An animation is decoded to its first frame. Transparent pixels are blended with
    white. Images of sixteen bits are scaled from the range of their type to 0..255, floats from their own range.

    Args:
        content: the file; its format is detected from its content.
        max_pixels: largest width times height.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if not an image of a supported format, 422 if damaged.
    """
    with _opened(content, max_pixels) as image:
        return _to_rgb(image)


def decode_reduced(content: bytes, max_pixels: int, working_size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode an image for the network. A JPEG much larger than the network's input is decoded at a reduced size.

    The JPEG decoder produces a half, a quarter or an eighth of the size in a fraction of the time. Other formats are
    decoded at full size. Pixels are converted as `decode` describes.

    Args:
        content: the file.
        max_pixels: largest width times height.
        working_size: of the network. A reduced image is at least as large as the network's input.

    Returns:
        [h, w, 3] uint8 RGB, and the full size (H, W) of the upright image.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if not an image of a supported format, 422 if damaged.
    """
    with _opened(content, max_pixels) as image:
        width, height = image.size
        image.draft(None, working_shape(height, width, working_size)[::-1])  # only affects a JPEG
        before = image.size
        pixels = _to_rgb(image)
        square = before[0] == before[1]  # the reduced image, while the full one may be a pixel longer on a side
        swapped = _is_rotated_by_quarter(content) if square else (pixels.shape[1], pixels.shape[0]) != before
        return pixels, (width, height) if swapped else (height, width)


def pixels_of(content: bytes, max_pixels: int, max_ratio: float = math.inf) -> int:
    """Count the pixels of an image by its header, without decoding it.

    Args:
        content: the file.
        max_pixels: largest width times height.
        max_ratio: largest ratio of decoded bytes, in the image's own mode, to bytes of the file. Images of at most a
            million pixels are not checked.

    Raises:
        Problem: 400 if empty, 413 if too large or the compression ratio is too high, 415 if not an image of a supported
            format, 422 if its header is damaged.
    """
    with _opened(content, max_pixels) as image:
        pixels = image.width * image.height
        ratio = pixels * len(image.getbands()) / len(content)
        if pixels > RATIO_FROM and ratio > max_ratio:
            raise Problem(
                413, "The image has a suspicious compression ratio.",
                received=f"{image.width}x{image.height} from {len(content)} bytes: a ratio of {ratio:.0f}",
                allowed=f"a ratio of at most {max_ratio:g} above {RATIO_FROM} pixels",
                fix="Scale the image down, or ask the operator to raise SEGSORT_MAX_RATIO.",
            )  # fmt: skip
        return pixels


def has_cheap_header(content: bytes) -> bool:
    """Check whether `pixels_of` takes a fraction of a millisecond: for a small JPEG without very many markers."""
    return content[:3] == b"\xff\xd8\xff" and len(content) <= _SMALL and content.count(b"\xff") <= _FEW_MARKERS


@contextmanager
def _opened(content: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """An image whose header has been read and checked."""
    if not content:
        raise Problem(
            400,
            "The request contains no image.",
            received="0 bytes",
            allowed=_ALLOWED,
            fix="Send the image as the body.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images, which `_check_size` limits
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(image, max_pixels)
                yield image
    except UnidentifiedImageError as error:
        raise Problem(
            415, "The content is not an image of a supported format.",
            received=f"{len(content)} bytes beginning {content[:8]!r}", allowed=_ALLOWED,
            fix="Convert the image to one of these formats.",
        ) from error  # fmt: skip
    except Image.DecompressionBombError as error:
        raise _too_large(str(error), max_pixels) from error
    except Problem:
        raise
    except Exception as error:  # decoders raise exceptions of many types on damaged files
        raise Problem(
            422, "The image is damaged and cannot be decoded.", received=f"{len(content)} bytes: {str(error)[:200]}",
            allowed=f"a complete {_ALLOWED} file", fix="Send the file again, or save it with another program.",
        ) from error  # fmt: skip


def _too_large(received: str, max_pixels: int) -> Problem:
    return Problem(
        413, "The image has too many pixels.", received=received, allowed=f"at most {max_pixels} pixels",
        fix="Scale the image down, or ask the operator to raise SEGSORT_MAX_PIXELS.",
    )  # fmt: skip


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise _too_large(f"{image.width}x{image.height} = {image.width * image.height} pixels", max_pixels)
    if image.width < 1 or image.height < 1:
        raise Problem(422, "The image has no pixels.", received=f"{image.width}x{image.height}", allowed="1x1 or more")


def _to_rgb(image: Image.Image) -> np.ndarray:
    image.load()
    _apply_orientation(image)
    if image.mode == "RGB":
        return np.asarray(image)
    if image.mode.startswith(("I", "F")):
        return _scaled(image)
    if image.mode not in _MODES:
        raise Problem(415, "The image has an unsupported mode.", received=image.mode, allowed=", ".join(_MODES))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _apply_orientation(image: Image.Image) -> None:
    """Rotate and flip an image by its EXIF orientation. A damaged EXIF is ignored."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # Pillow raises exceptions of many types on a damaged EXIF
        return


def _is_rotated_by_quarter(content: bytes) -> bool:
    """Check whether the EXIF orientation swaps width and height."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except MemoryError:
        raise
    except Exception:  # Pillow raises exceptions of many types on a damaged EXIF
        return False


def _scaled(image: Image.Image) -> np.ndarray:
    """Scale a grey image of more than eight bits to [H, W, 3] uint8."""
    values = np.asarray(image, dtype=np.float64)
    if image.mode == "F":
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    else:
        low, high = 0.0, 65535.0
    grey = np.nan_to_num((values - low) / max(high - low, 1e-12)).clip(0, 1) * 255
    return np.repeat(grey.round().astype(np.uint8)[:, :, None], 3, axis=2)


def decode_mask(content: bytes, max_pixels: int) -> np.ndarray:
    """Decode a mask file.

    Args:
        content: a PNG with indices (a palette, or grey of at most eight bits) or with RGB colours.
        max_pixels: largest width times height.

    Returns:
        [H, W] uint8 indices, or [H, W, 3] uint8 colours.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if not such a PNG, 422 if damaged.
    """
    if not content:
        raise Problem(400, "The mask is empty.", received="0 bytes", allowed="PNG", fix="Send the mask as a PNG file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                _check_size(image, max_pixels)
                image.load()
                return _indices_or_colors(image)
    except UnidentifiedImageError as error:
        raise Problem(
            415, "The mask is not a PNG.", received=f"{len(content)} bytes beginning {content[:8]!r}",
            allowed="PNG, indexed or RGB", fix="Save the mask as PNG: JPEG alters the values.",
        ) from error  # fmt: skip
    except Image.DecompressionBombError as error:
        raise _too_large(str(error), max_pixels) from error
    except Problem:
        raise
    except Exception as error:  # decoders raise exceptions of many types on damaged files
        raise Problem(
            422, "The mask is damaged and cannot be decoded.", received=f"{len(content)} bytes: {str(error)[:200]}",
            allowed="a complete PNG file", fix="Send the file again, or save it with another program.",
        ) from error  # fmt: skip


def _indices_or_colors(image: Image.Image) -> np.ndarray:
    if image.mode in ("P", "L"):
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image, dtype=np.uint8)
    if image.mode in ("RGB", "RGBA"):
        return np.asarray(image)[:, :, :3]
    raise Problem(
        415, "The mask has neither indices nor colours.", received=image.mode, allowed="P, L, 1, RGB, RGBA",
        fix="Save the mask as an indexed PNG of eight bits, or as RGB.",
    )  # fmt: skip
