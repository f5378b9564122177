"""Decoding of image files to upright images. Limits are checked before any pixel is decoded."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from model_store.images.faults import NO_LIMIT, ImageFault, check_size, too_large
from model_store.images.heic import is_heic, reader_of_heic
from model_store.images.pixels import Decoded, grey, over_white, to_bytes, turned
from model_store.images.structure import check_exif, check_structure
from model_store.images.working_size import working_shape

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".ppm",
    ".pgm", ".pnm", ".j2k", ".heic", ".heif",
)  # fmt: skip
_ALLOWED = "JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, JPEG 2000 or PNM"
_SMALL, _FEW_MARKERS = 64_000, 1024  # bytes; in compressed data one byte in 256 equals the start of a marker
_RATIO_FROM = 1_000_000  # pixels; smaller images are cheap to decode at any ratio
JPEG_SCALES = (1, 2, 4, 8)  # divisors of the size that the JPEG decoder can produce
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_BITS_PER_SAMPLE = 258  # tag of a TIFF


def decode(content: bytes, max_pixels: int = NO_LIMIT) -> Decoded:
    """Decode an image.

    The EXIF orientation is applied. An animation or a stack is decoded to its first frame. Transparent pixels are
    blended with white. Values of more than 8 bits and floats are scaled by `to_bytes`. Of more than three channels that
    are no colours, the first three are taken; a channel that is alone or has one companion is grey.

    Args:
        content: the file; its format is detected from its content.
        max_pixels: largest width times height.

    Raises:
        ImageFault: if it is empty, too large, damaged, or not an image of a supported format.
    """
    with opened(content, FORMATS, max_pixels) as image:
        if image is None:
            from model_store.images.tiff import decode_tiff  # tifffile takes 0.2 s to import

            return decode_tiff(content, max_pixels)
        pixels, conversion = _to_rgb(image, content, max_pixels)
        return Decoded(pixels, (pixels.shape[0], pixels.shape[1]), conversion)


def decode_reduced(content: bytes, max_pixels: int, working_size: int, max_full: int | None = None) -> Decoded:
    """Decode an image for the network. A JPEG much larger than the network's input is decoded at a reduced size.

    The JPEG decoder produces a half, a quarter or an eighth of the size in a fraction of the time. Other formats are
    decoded at full size. Pixels are converted as `decode` describes.

    Args:
        content: the file.
        max_pixels: largest width times height of what is decoded.
        working_size: of the network. A reduced image is at least as large as the network's input.
        max_full: largest width times height of the whole image, of which a JPEG is decoded at a fraction; None:
            `max_pixels`.

    Raises:
        ImageFault: as `decode`.
    """
    with opened(content, FORMATS, _largest(max_pixels, max_full)) as image:
        if image is None:
            from model_store.images.tiff import decode_tiff  # tifffile takes 0.2 s to import

            return decode_tiff(content, max_pixels)
        size = image.size
        _reduce(image, working_size, max_pixels)
        return _reduced(image, size, content, max_pixels)


def decode_within(content: bytes, max_pixels: int, max_full: int) -> Decoded:
    """Decode an image at full size if it has at most `max_pixels`, and a larger JPEG at the largest fraction that has.

    Args:
        content: the file.
        max_pixels: largest width times height of what is decoded.
        max_full: largest width times height of the whole image.

    Raises:
        ImageFault: as `decode`.
    """
    return decode_for_view(content, NO_LIMIT, max_pixels, max_full)


def decode_for_view(content: bytes, longest: int, max_pixels: int, max_full: int) -> Decoded:
    """Decode an image whose longer side is shown with at most `longest` pixels.

    A JPEG is decoded at the smallest fraction that has as many, or at the largest that has at most `max_pixels`.
    Other formats are decoded at full size.

    Args:
        content: the file.
        longest: pixels.
        max_pixels: largest width times height of what is decoded.
        max_full: largest width times height of the whole image.

    Raises:
        ImageFault: as `decode`.
    """
    with opened(content, FORMATS, _largest(max_pixels, max_full)) as image:
        if image is None:
            from model_store.images.tiff import decode_tiff  # tifffile takes 0.2 s to import

            return decode_tiff(content, max_pixels)
        size = image.size
        fits = [scale for scale in JPEG_SCALES if -(-size[0] // scale) * -(-size[1] // scale) <= max_pixels]
        enough = [scale for scale in JPEG_SCALES if max(size) // scale >= min(longest, max(size))]
        scale = max(fits[0] if fits else JPEG_SCALES[-1], enough[-1])
        if scale > 1:
            image.draft(None, (max(size[0] // scale, 1), max(size[1] // scale, 1)))  # only affects a JPEG
        check_size(image.width, image.height, max_pixels)
        return _reduced(image, size, content, max_pixels)


def read_image(file: Path) -> Decoded:
    """Decode an image file, see `decode`.

    Raises:
        ValueError: if the file cannot be read or decoded. The message names it.
    """
    try:
        return decode(file.read_bytes())
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error})") from error
    except ImageFault as fault:
        raise ValueError(f"{file} cannot be read as an image. {fault}") from fault


def pixels_of(
    content: bytes,
    max_pixels: int,
    max_ratio: float | None = None,
    working_size: int | None = None,
    max_full: int | None = None,
) -> int:
    """Count the pixels of an image by its header, without decoding it.

    Args:
        content: the file.
        max_pixels: largest width times height of what is decoded.
        max_ratio: largest ratio of decoded bytes, in the image's own mode, to bytes of the file; None: any. Images of
            at most a million pixels are not checked.
        working_size: of the network that the image is decoded for by `decode_reduced`; None: it is decoded in full.
        max_full: largest width times height of the whole image; None: `max_pixels`.

    Raises:
        ImageFault: if it is empty, too large or not an image of a supported format, if the compression ratio is too
            high, or the header is damaged.
    """
    with opened(content, FORMATS, _largest(max_pixels, max_full)) as image:
        if image is None:
            from model_store.images.tiff import tiff_shape  # tifffile takes 0.2 s to import

            height, width, channels = tiff_shape(content, max_pixels)
        else:
            (width, height), channels = image.size, len(image.getbands())
            _reduce(image, working_size, max_pixels)
        ratio = width * height * channels / len(content)
        if max_ratio is not None and width * height > _RATIO_FROM and ratio > max_ratio:
            raise ImageFault(
                "too large", "The image has a suspicious compression ratio.",
                received=f"{width}x{height} from {len(content)} bytes: a ratio of {ratio:.0f}",
                allowed=f"a ratio of at most {max_ratio:g} above {_RATIO_FROM} pixels",
                fix="Scale the image down, or ask the operator to raise SEGSORT_MAX_RATIO.",
            )  # fmt: skip
        return width * height


def has_cheap_header(content: bytes) -> bool:
    """Check whether `pixels_of` takes a fraction of a millisecond: for a small JPEG without very many markers."""
    return content[:3] == b"\xff\xd8\xff" and len(content) <= _SMALL and content.count(b"\xff") <= _FEW_MARKERS


@contextmanager
def opened(content: bytes, formats: tuple[str, ...], max_pixels: int) -> Iterator[Image.Image | None]:
    """An image whose header has been read and checked; None: a TIFF that Pillow does not know.

    Raises:
        ImageFault: also for whatever the block raises.
    """
    if not content:
        raise ImageFault("empty", "There is no image.", received="0 bytes", allowed=_ALLOWED, fix="Send the file.")
    check_structure(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images, which `_check_size` limits
            image = _identified(content, formats)
            if image is None:
                yield None
                return
            with image:
                check_size(image.width, image.height, max_pixels)
                yield image
    except UnidentifiedImageError as error:
        raise ImageFault(
            "unsupported", "The content is not an image of a supported format.",
            received=f"{len(content)} bytes that begin with {content[:8].hex(' ')}",
            allowed=_ALLOWED if formats == FORMATS else " or ".join(formats),
            fix="Convert the image to one of these formats.",
        ) from error  # fmt: skip
    except Image.DecompressionBombError as error:
        raise too_large(str(error), max_pixels) from error
    except (ImageFault, MemoryError):
        raise
    except Exception as error:  # decoders raise exceptions of many types on damaged files
        raise ImageFault(
            "damaged", "The image is damaged and cannot be decoded.",
            received=f"{len(content)} bytes: {str(error)[:200]}", allowed=f"a complete {_ALLOWED} file",
            fix="Send the file again, or save it with another program.",
        ) from error  # fmt: skip


def _largest(max_pixels: int, max_full: int | None) -> int:
    return max_pixels if max_full is None else max(max_pixels, max_full)


def _reduce(image: Image.Image, working_size: int | None, max_pixels: int) -> None:
    """Let an open JPEG be decoded at a fraction that is enough for the network, and check the size of the result."""
    if working_size is not None:
        width, height = image.size
        image.draft(None, working_shape(height, width, working_size)[::-1])  # only affects a JPEG
    check_size(image.width, image.height, max_pixels)


def _reduced(image: Image.Image, size: tuple[int, int], content: bytes, max_pixels: int) -> Decoded:
    """Decode an open image that may be reduced from `size`, (width, height) of the stored image."""
    before = image.size
    pixels, conversion = _to_rgb(image, content, max_pixels)
    square = before[0] == before[1]  # the reduced image, while the full one may be a pixel longer on a side
    swapped = _is_rotated_by_quarter(content) if square else (pixels.shape[1], pixels.shape[0]) != before
    return Decoded(pixels, size if swapped else size[::-1], conversion)


def _identified(content: bytes, formats: tuple[str, ...]) -> Image.Image | None:
    if formats == FORMATS and is_heic(content):
        formats = reader_of_heic()
    try:
        return Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        if "TIFF" in formats and content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return None
        raise


def _to_rgb(image: Image.Image, content: bytes, max_pixels: int) -> tuple[np.ndarray, str | None]:
    """Pixels [H, W, 3] uint8 of an open image, and what was converted."""
    if image.format == "TIFF" and max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) > 8:  # type: ignore[attr-defined]
        from model_store.images.tiff import decode_tiff  # tifffile takes 0.2 s to import

        found = decode_tiff(content, max_pixels)
        return found.pixels, found.conversion
    tile = getattr(image, "tile", None)
    if image.format == "PNG" and tile and tile[0].args in ("RGB;16B", "RGBA;16B"):
        return _deep_png(image, content)
    image.load()
    _apply_orientation(image)
    if image.mode == "RGB":
        return np.asarray(image), None
    if image.mode.startswith(("I", "F")):
        scaled = to_bytes(np.asarray(image))
        return grey(scaled.values), scaled.conversion
    if image.mode in _ALPHA or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        return over_white(rgba, None)
    return np.asarray(image.convert("RGB")), None if image.mode in ("L", "P", "1") else f"{image.mode} as RGB"


def _deep_png(image: Image.Image, content: bytes) -> tuple[np.ndarray, str | None]:
    """Colours of 16 bits, of which Pillow keeps the upper eight: the lower eight are decoded in another pass."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as again:
        tile = again.tile[0]
        again.tile = [tile._replace(args=str(tile.args).replace("16B", "16L"))]
        lower = np.asarray(again, dtype=np.uint16)
    values = (np.asarray(image, dtype=np.uint16) << 8) | lower
    scaled = to_bytes(values[:, :, :3])
    pixels, conversion = scaled.values, scaled.conversion
    if values.shape[2] == 4:
        alpha = (values[:, :, 3:] >> 8).astype(np.uint8)
        pixels, conversion = over_white(np.concatenate([pixels, alpha], axis=2), conversion)  # type: ignore[assignment]
    return turned(pixels, image.getexif().get(ExifTags.Base.Orientation, 1)), conversion


def _apply_orientation(image: Image.Image) -> None:
    """Rotate and flip an image by its EXIF orientation. A damaged EXIF is ignored."""
    check_exif(image.info.get("exif"))
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
