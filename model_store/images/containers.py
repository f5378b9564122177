"""The parts of TIFF, GIF, WebP, JPEG 2000, AVIF and HEIC files, counted without decoding them."""

import struct

_TIFFS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip  # bytes of a value, by type
_MOST_READ = 10_000  # entries
_STRIPS, _TILES = 273, 324  # tags of a TIFF: offsets
_CODESTREAM = b"\xff\x4f\xff\x51"
_COD = b"\xff\x52"


def values_of_directory(content: bytes) -> tuple[int, int, int]:
    """The entries of the first directory of a TIFF, or of EXIF: their number, all their values in bytes, and the number
    of strips or tiles. The values of a small file may overlap, so that they are many times as large.
    """
    order, big = _TIFFS.get(content[:4], ("", False))
    if not order:
        return 0, 0, 0
    values = strips = 0
    try:
        [at] = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
        [number] = struct.unpack_from(order + ("Q" if big else "H"), content, at)
        number = min(number, len(content) // (20 if big else 12))
        entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
        for n in range(min(number, _MOST_READ)):
            tag, kind, count, place = entry.unpack_from(content, at + (8 if big else 2) + n * entry.size)
            size = _SIZES.get(kind, 0) * count
            if size > (8 if big else 4):
                values += max(min(size, len(content) - place), 0)
            if tag in (_STRIPS, _TILES):
                strips = max(strips, count)
    except (struct.error, OverflowError):  # an offset that is outside of the file
        return 0, values, strips
    return number, values, strips


def blocks_before_pixels(content: bytes, most: int) -> int:
    """The blocks of extensions in a GIF before its first image, such as those of comments; `most` + 1 if more."""
    flags = content[10] if len(content) > 10 else 0
    at, blocks = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while content[at : at + 1] == b"!" and blocks <= most:
        at += 2
        while at < len(content) and blocks <= most:
            length = content[at]
            at += 1 + length
            blocks += 1
            if not length:
                break
    return blocks


def frames_of_webp(content: bytes, most: int) -> int:
    """The chunks of a WebP, which has one or more for each frame; `most` + 1 if more."""
    at, chunks = 12, 0
    while at + 8 <= len(content) and chunks <= most:
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        at += at % 2
        chunks += 1
    return chunks


def tiles_of_jpeg2000(content: bytes) -> tuple[int, int, int]:
    """Tiles, components and layers of a JPEG 2000; zeros if it has no header that can be read."""
    start = content.find(_CODESTREAM)
    try:
        sizes = struct.unpack_from(">8IH", content, start + 8) if start >= 0 else (0,) * 9
    except struct.error:
        return 0, 0, 0
    x, y, left, top, width, height, tile_left, tile_top, components = sizes
    tiles = -(-(x - tile_left) // width) * -(-(y - tile_top) // height) if width and height else 0
    coding = content.find(_COD, start, start + 100_000)
    layers = int.from_bytes(content[coding + 6 : coding + 8], "big") if coding >= 0 else 0
    del left, top
    return tiles, components, layers


def boxes_of(content: bytes, most: int) -> tuple[int, int]:
    """The boxes of an AVIF or HEIC at the top, `most` + 1 if more, and the bytes of the largest that has no pixels."""
    at, boxes, described = 0, 0, 0
    while at + 8 <= len(content) and boxes <= most:
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        if length == 1:
            length = int.from_bytes(content[at + 8 : at + 16], "big")
        if kind in (b"meta", b"moov"):
            described = max(described, min(length or len(content), len(content)))
        boxes += 1
        if length < 8:
            break
        at += length
    return boxes, described
