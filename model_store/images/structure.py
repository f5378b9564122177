"""Checks of how an image file is built, before it is decoded.

A small file can be built so that decoding it takes minutes: thousands of scans, chunks or directories. The limits here
are many times what programs write.
"""

from model_store.images.containers import (
    blocks_before_pixels,
    boxes_of,
    frames_of_webp,
    tiles_of_jpeg2000,
    values_of_directory,
)
from model_store.images.faults import ImageFault
from model_store.images.jpeg_structure import SEQUENTIAL, parts_of_jpeg
from model_store.images.png_structure import SIGNATURE, parts_of_png

MOST_SCANS = 100  # of a progressive JPEG; programs write about 10
MOST_SEGMENTS = 1000  # of a JPEG before its first scan; profiles and XMP take some
MOST_CHUNKS = 100_000  # of a PNG; the usual ones have 8 kB
MOST_FURTHER_CHUNKS = 1000  # of a PNG without pixels, such as texts
MOST_ENTRIES = 4096  # of a directory of a TIFF or of EXIF
MOST_STRIPS = 200_000  # of a TIFF; 40 million pixels in tiles of 16x16 pixels have 156,250
MOST_BLOCKS = 10_000  # of extensions in a GIF before its first image
MOST_FRAMES = 20_000  # chunks of a WebP
MOST_TILES, MOST_COMPONENTS, MOST_LAYERS = 20_000, 64, 1000  # of a JPEG 2000
MOST_BOXES, MOST_DESCRIPTION = 10_000, 4_000_000  # of an AVIF or HEIC: boxes, and bytes that describe items

_PLAIN_PIXELS = {"JPEG": 16_000_000, "PNG": 4_000_000}
_PLAIN_SEGMENTS, _PLAIN_CHUNKS, _PLAIN_FURTHER = 64, 4096, 64
_PLAIN_HEADER, _PLAIN_ENTRIES = 500_000, 512  # bytes that Python code reads, and entries of EXIF
_OVERLAP = 1_000_000  # bytes of values of a directory beyond twice the file: damaged entries overlap
_JPEG = b"\xff\xd8\xff"


def check_structure(content: bytes) -> None:
    """Refuse an image file that is built so that decoding it would take very long.

    Raises:
        ImageFault: what it has too many of.
    """
    if content.startswith(_JPEG):
        _check_jpeg(content)
    elif content.startswith(SIGNATURE):
        parts = parts_of_png(content, MOST_CHUNKS, MOST_FURTHER_CHUNKS)
        _check(parts.further, MOST_FURTHER_CHUNKS, "chunks without pixels")
        _check(parts.chunks, MOST_CHUNKS, "chunks")
    elif content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_directory(content, len(content))
        _check(values_of_directory(content)[2], MOST_STRIPS, "strips or tiles")
    elif content.startswith(b"GIF8"):
        _check(blocks_before_pixels(content, MOST_BLOCKS), MOST_BLOCKS, "blocks before its first image")
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        _check(frames_of_webp(content, MOST_FRAMES), MOST_FRAMES, "chunks")
    elif content[4:8] == b"jP  " or content.startswith(b"\xff\x4f\xff\x51"):
        counts = zip(tiles_of_jpeg2000(content), (MOST_TILES, MOST_COMPONENTS, MOST_LAYERS), strict=True)
        for (count, most), what in zip(counts, ("tiles", "components", "layers"), strict=True):
            _check(count, most, what)
    elif content[4:8] == b"ftyp":
        boxes, described = boxes_of(content, MOST_BOXES)
        _check(boxes, MOST_BOXES, "boxes")
        _check(described, MOST_DESCRIPTION, "bytes that describe its items")


def check_exif(content: bytes | None) -> None:
    """Refuse EXIF whose values overlap, so that reading them would take many times its size.

    Raises:
        ImageFault: if it has too many values.
    """
    if content:
        start = 6 if content.startswith(b"Exif\0\0") else 0
        _check_directory(content[start:], len(content))


def is_plain(content: bytes) -> bool:
    """Check whether decoding takes a time that the number of pixels bounds: at most some tenths of a second.

    So are a sequential JPEG of one scan and a PNG that is not interlaced, both of usual parts, and neither
    very large. Their decoders visit each pixel a fixed number of times, whatever the file has.
    """
    if content.startswith(_JPEG):
        parts = parts_of_jpeg(content, _PLAIN_SEGMENTS)
        usual = parts.frame in SEQUENTIAL and parts.is_regular and parts.header <= _PLAIN_HEADER
        usual = usual and parts.scans == 1 and parts.segments <= _PLAIN_SEGMENTS
        return usual and _is_small(parts.size, _PLAIN_PIXELS["JPEG"]) and _is_plain_exif(parts.exif)
    if content.startswith(SIGNATURE):
        chunks = parts_of_png(content, _PLAIN_CHUNKS, _PLAIN_FURTHER)
        usual = chunks.is_simple and not chunks.interlaced and chunks.header <= _PLAIN_HEADER
        usual = usual and chunks.chunks <= _PLAIN_CHUNKS and chunks.further <= _PLAIN_FURTHER
        return usual and _is_small(chunks.size, _PLAIN_PIXELS["PNG"]) and _is_plain_exif(chunks.exif)
    return False


def _check_jpeg(content: bytes) -> None:
    parts = parts_of_jpeg(content, MOST_SEGMENTS)
    _check(parts.segments, MOST_SEGMENTS, "segments before its first scan")
    _check(parts.scans, MOST_SCANS, "scans")
    for exif in parts.exif:
        check_exif(exif)


def _check_directory(content: bytes, size: int) -> None:
    entries, values, _ = values_of_directory(content)
    _check(entries, MOST_ENTRIES, "entries in a directory")
    _check(values, 2 * size + _OVERLAP, "bytes in the values of a directory")


def _check(received: int, allowed: int, what: str) -> None:
    if received > allowed:
        raise ImageFault(
            "too complex", "The image has too many parts to be decoded in reasonable time.",
            received=f"at least {received} {what}", allowed=f"at most {allowed} {what}",
            fix="Open the image in another program, and save it as PNG or as JPEG.",
        )  # fmt: skip


def _is_small(size: tuple[int, int], most: int) -> bool:
    return 0 < size[0] * size[1] <= most


def _is_plain_exif(parts: list[bytes]) -> bool:
    """Whether EXIF is read at once: one part with few values."""
    if not parts:
        return True
    entries, values, _ = values_of_directory(parts[0])
    return len(parts) == 1 and entries <= _PLAIN_ENTRIES and values <= 2 * len(parts[0]) + _OVERLAP
