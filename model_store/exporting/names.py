"""File names that are safe on every system, and unique in an export."""

import io
import re
import unicodedata
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from model_store.images import FORMATS, SUFFIXES

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')  # Windows refuses these, besides the separators
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}  # others are their format
_LONGEST, _LONGEST_SUFFIX = (
    180,
    16,
)  # bytes of a stem and of a suffix; file systems allow 255 for both and more suffixes


class FileName(NamedTuple):
    """The name of an image file in an export: stem, and suffix with its dot or ""."""

    stem: str
    suffix: str

    def __str__(self) -> str:
        return self.stem + self.suffix


class Names:
    """Gives each image of an export a file name.

    The name is the image's own, without folders. Characters that some file system refuses become "_". No two stems are
    equal, not even with their case ignored, because the files of labels have the stem of their image: a second a.png,
    or an A.jpg beside it, becomes a_2. An image file without the suffix of an image gets one.

    Attributes:
        renamed: the given name of each image that got another one, by the new name.
    """

    def __init__(self) -> None:
        self.renamed: dict[str, str] = {}
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def add(self, name: str, content: bytes | None = None) -> FileName:
        """The file name of the next image.

        Args:
            name: any text.
            content: of the image file; None: it is not stored under the name.
        """
        wished = safe_name(name)
        if content is not None and wished.suffix.lower() not in SUFFIXES:
            wished = FileName(str(wished), _suffix_of(content))
        stem, key = wished.stem, _key(wished.stem)
        while _key(stem) in self._taken:
            self._next[key] = self._next.get(key, 1) + 1
            stem = f"{wished.stem}_{self._next[key]}"
        self._taken.add(_key(stem))
        given = FileName(stem, wished.suffix)
        if str(given) != name:
            self.renamed[str(given)] = name
        return given


def safe_name(name: str) -> FileName:
    """A file name without folders and without characters, endings or lengths that some file system refuses."""
    last = name.encode("utf-8", "replace").decode().replace("\\", "/").rstrip("/").rpartition("/")[2]
    cleaned = _FORBIDDEN.sub("_", last).strip(". ")  # a leading dot would hide the file
    stem, dot, suffix = cleaned.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX or not suffix.isalnum():
        stem, suffix = cleaned, ""
    stem = stem.encode()[:_LONGEST].decode(errors="ignore") or "image"
    if not suffix:
        stem = stem.rstrip(". ")
    if stem.partition(".")[0].rstrip().upper() in _RESERVED:
        stem = f"_{stem}"
    return FileName(stem, f".{suffix}" if suffix else "")


def _suffix_of(content: bytes) -> str:
    """The usual suffix of an image file, by its content."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            kind = str(image.format)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        kind = "TIFF" if content[:2] in (b"II", b"MM") else "PNG"  # Pillow does not know all TIFFs
    return _SUFFIXES.get(kind, f".{kind.lower()}")


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", stem).casefold())
