"""From bytes to the upright image, with limits checked before any pixel is decoded."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from model_store.embedder import working_shape
from service.problems import Problem

_SHORT, _MARKERS = 64_000, 1024  # bytes; of an honest file one in 256 is what a marker begins with
RATIO_FROM = 1_000_000  # pixels; smaller images cost nothing, however small their file
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_ALLOWED = "JPEG, PNG, WebP, TIFF, BMP or GIF"
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")


def decode(content: bytes, max_pixels: int) -> np.ndarray:
    """Decode an image.

    Rotated as its EXIF orientation says. Of an animation the first frame counts. Transparent pixels lie over
    white. Sixteen-bit images are scaled to 0..255 over the range of their type, floats over the values they hold.

    Args:
        content: the file; its own content says which format it is, not a name or header.
        max_pixels: largest width times height.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if no image of an allowed format, 422 if damaged.
    """
    with _opened(content, max_pixels) as image:
        return _to_rgb(image)


def decode_reduced(content: bytes, max_pixels: int, working_size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """As `decode`; a JPEG with far more pixels than are looked at comes out at a half, quarter or eighth of its size.

    Its decoder gives these for a fraction of the time.

    Args:
        content: the file.
        max_pixels: largest width times height.
        working_size: of the network: no side comes out shorter than the network sees it, unless the image's is.

    Returns:
        [h, w, 3] uint8 RGB, and the size (H, W) of the image itself.

    Raises:
        Problem: as `decode` does.
    """
    with _opened(content, max_pixels) as image:
        width, height = image.size
        image.draft(None, working_shape(height, width, working_size)[::-1])  # of a JPEG; others know nothing of it
        before = image.size
        pixels = _to_rgb(image)
        square = before[0] == before[1]  # and yet the image itself may not be
        swapped = _lies_on_its_side(content) if square else (pixels.shape[1], pixels.shape[0]) != before
        return pixels, (width, height) if swapped else (height, width)


def pixels_of(content: bytes, max_pixels: int, max_ratio: float = math.inf) -> int:
    """How many pixels an image has, by its header.

    Args:
        content: the file.
        max_pixels: largest width times height.
        max_ratio: largest ratio of decoded bytes, in the image's own mode, to the file's, past a million pixels.

    Raises:
        Problem: as `decode` does, but for what only decoding shows; 413 past the ratio.
    """
    with _opened(content, max_pixels) as image:
        pixels = image.width * image.height
        ratio = pixels * len(image.getbands()) / len(content)
        if pixels > RATIO_FROM and ratio > max_ratio:
            raise Problem(
                413, "The image is larger than its file lets expect.",
                received=f"{image.width}x{image.height} from {len(content)} bytes: {ratio:.0f} bytes from one",
                allowed=f"{max_ratio:g} from one, past {RATIO_FROM} pixels",
                fix="Scale the image down, or let the operator raise SEGSORT_MAX_RATIO.",
            )  # fmt: skip
        return pixels


def is_quickly_measured(content: bytes) -> bool:
    """Whether `pixels_of` takes a fraction of a millisecond: of a small JPEG, unless it has very many markers."""
    return content[:3] == b"\xff\xd8\xff" and len(content) <= _SHORT and content.count(b"\xff") <= _MARKERS


@contextmanager
def _opened(content: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """An image whose header has been read and checked."""
    if not content:
        raise Problem(
            400, "The request has no image.", received="0 bytes", allowed=_ALLOWED, fix="Send the image as the body."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images; the limit below decides
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(image, max_pixels)
                yield image
    except UnidentifiedImageError as error:
        raise Problem(
            415, "The content is not an image of a known format.",
            received=f"{len(content)} bytes beginning {content[:8]!r}", allowed=_ALLOWED,
            fix="Convert the image to one of these formats.",
        ) from error  # fmt: skip
    except Image.DecompressionBombError as error:
        raise _too_large(str(error), max_pixels) from error
    except Problem:
        raise
    except Exception as error:  # what decoders raise on damaged files is of many types
        raise Problem(
            422, "The image is damaged and cannot be decoded.", received=f"{len(content)} bytes: {str(error)[:200]}",
            allowed=f"a complete {_ALLOWED} file", fix="Send the file again, or save it anew with another program.",
        ) from error  # fmt: skip


def _too_large(received: str, max_pixels: int) -> Problem:
    return Problem(
        413, "The image has too many pixels.", received=received, allowed=f"at most {max_pixels} pixels",
        fix="Scale the image down, or let the operator raise SEGSORT_MAX_PIXELS.",
    )  # fmt: skip


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise _too_large(f"{image.width}x{image.height} = {image.width * image.height} pixels", max_pixels)
    if image.width < 1 or image.height < 1:
        raise Problem(422, "The image has no pixels.", received=f"{image.width}x{image.height}", allowed="1x1 or more")


def _to_rgb(image: Image.Image) -> np.ndarray:
    image.load()
    _turn(image)
    if image.mode == "RGB":
        return np.asarray(image)
    if image.mode.startswith(("I", "F")):
        return _scaled(image)
    if image.mode not in _MODES:
        raise Problem(415, "The image's mode is not known.", received=image.mode, allowed=", ".join(_MODES))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _turn(image: Image.Image) -> None:
    """Turn an image as its EXIF orientation says."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # of many types where the EXIF is damaged, which leaves the pixels as good as they were
        return


def _lies_on_its_side(content: bytes) -> bool:
    """Whether an image's EXIF orientation turns it by a quarter."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except MemoryError:
        raise
    except Exception:  # as above
        return False


def _scaled(image: Image.Image) -> np.ndarray:
    """Grey images of more than eight bits: [H, W, 3] uint8."""
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
        content: a PNG of indices (a palette, or grey of at most eight bits) or of RGB colours.
        max_pixels: largest width times height.

    Returns:
        [H, W] uint8 indices, or [H, W, 3] uint8 colours.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if no such PNG, 422 if damaged.
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
            415, "The mask is no PNG.", received=f"{len(content)} bytes beginning {content[:8]!r}",
            allowed="PNG, indexed or RGB", fix="Save the mask as PNG: JPEG alters the values.",
        ) from error  # fmt: skip
    except Image.DecompressionBombError as error:
        raise _too_large(str(error), max_pixels) from error
    except Problem:
        raise
    except Exception as error:  # as above
        raise Problem(
            422, "The mask is damaged and cannot be decoded.", received=f"{len(content)} bytes: {str(error)[:200]}",
            allowed="a complete PNG file", fix="Send the file again, or save it anew with another program.",
        ) from error  # fmt: skip


def _indices_or_colors(image: Image.Image) -> np.ndarray:
    if image.mode in ("P", "L"):
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image, dtype=np.uint8)
    if image.mode in ("RGB", "RGBA"):
        return np.asarray(image)[:, :, :3]
    raise Problem(
        415, "The mask's mode holds neither indices nor colours.", received=image.mode, allowed="P, L, 1, RGB, RGBA",
        fix="Save the mask as an indexed PNG of eight bits, or as RGB.",
    )  # fmt: skip
