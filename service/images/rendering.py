"""Renderings: stored images as files of a limited size that every browser shows."""

import io
from typing import Literal, NamedTuple

from PIL import Image

from model_store.images import JPEG_SCALES
from service.images.decode import decode_for_view

SMALLEST, LARGEST = 64, 4096  # pixels of the longer side
_THUMBNAIL = 512  # pixels; up to this size WebP takes little time and a third fewer bytes than JPEG
_VERSION = 1  # part of the ETag; increase it when renderings of the same image change

MediaType = Literal["image/webp", "image/jpeg", "image/png"]


class Asked(NamedTuple):
    """What is asked for: longer side in pixels at most, and the media type."""

    size: int
    media_type: MediaType

    @classmethod
    def of(cls, size: int, accept: str) -> "Asked":
        """PNG for callers that accept PNG but no WebP; WebP for thumbnails; JPEG for larger ones."""
        if "image/png" in accept and "image/webp" not in accept and "*/*" not in accept:
            return cls(size, "image/png")
        return cls(size, "image/webp" if size <= _THUMBNAIL else "image/jpeg")

    def etag(self, image_id: str) -> str:
        """The ETag of this rendering of an image, which never changes."""
        return f'"{image_id[:32]}-{self.size}-{self.media_type.partition("/")[2]}-{_VERSION}"'


def pixels_to_decode(width: int, height: int, is_jpeg: bool, size: int) -> int:
    """Pixels that a rendering decodes, by which it waits for its turn: of a JPEG, those of a fraction."""
    longer = max(width, height)
    scale = max(one for one in JPEG_SCALES if longer // one >= min(size, longer)) if is_jpeg else 1
    return width * height // scale**2


def render(content: bytes, asked: Asked, max_pixels: int, max_full: int) -> bytes:
    """Decode an image file and encode it at a limited size. It is never enlarged.

    Args:
        content: the file.
        asked: size and media type.
        max_pixels: largest width times height of what is decoded.
        max_full: largest width times height of the whole image.

    Raises:
        Problem: if it cannot be decoded within these limits.
    """
    image = Image.fromarray(decode_for_view(content, asked.size, max_pixels, max_full).pixels)
    image.thumbnail((asked.size, asked.size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    if asked.media_type == "image/webp":
        image.save(file, "WEBP", quality=80, method=2)
    elif asked.media_type == "image/jpeg":
        image.save(file, "JPEG", quality=90, subsampling=0)
    else:
        image.save(file, "PNG", compress_level=3)
    return file.getvalue()
