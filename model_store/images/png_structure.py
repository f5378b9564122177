"""The chunks of a PNG, found without decoding it."""

from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DATA, _END = (b"IDAT", b"fdAT", b"fcTL"), b"IEND"
_SIMPLE = {
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"bKGD", b"tIME", b"sBIT", b"hIST",
    b"tEXt", b"iCCP", b"cICP", b"eXIf",
}  # fmt: skip


class PngParts(NamedTuple):
    """size: (width, height); interlaced: whether it is; chunks: all; further: those that hold no pixels; header: bytes
    of those; exif: the content of the chunk with EXIF; is_simple: whether all chunks are of usual kinds.
    """

    size: tuple[int, int]
    interlaced: bool
    chunks: int
    further: int
    header: int
    exif: list[bytes]
    is_simple: bool


def parts_of_png(content: bytes, most: int, most_further: int) -> PngParts:
    """The chunks of a PNG. The search ends after `most` chunks, or after `most_further` that hold no pixels."""
    at, chunks, further, header, simple, exif = 8, 0, 0, 0, True, list[bytes]()
    while at + 8 <= len(content) and chunks <= most and further <= most_further:
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        chunks += 1
        if kind not in _DATA:
            further += 1
            header += length
        simple = simple and kind in _SIMPLE
        if kind == b"eXIf":
            exif.append(content[at + 8 : at + 8 + length])
        if kind == _END:
            break
        at += 12 + length
    width, height = (int.from_bytes(content[n : n + 4], "big") for n in (16, 20))
    return PngParts((width, height), content[28:29] != b"\0", chunks, further, header, exif, simple)
