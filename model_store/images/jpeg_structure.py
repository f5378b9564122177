"""The parts of a JPEG, found without decoding it."""

import re
from typing import NamedTuple

_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
_NEXT = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # in compressed data, a zero follows 255
SEQUENTIAL = (0xC0, 0xC1)  # frames whose scans are decoded once, by Huffman codes


class JpegParts(NamedTuple):
    """frame: marker of the frame, 0: there is none; size: (width, height); segments: before the first scan; header:
    their bytes; scans: that are decoded; exif: the content of segments with EXIF; is_regular: nothing lies between the
    segments.
    """

    frame: int
    size: tuple[int, int]
    segments: int
    header: int
    scans: int
    exif: list[bytes]
    is_regular: bool


def parts_of_jpeg(content: bytes, most: int) -> JpegParts:
    """The parts of a JPEG. The search ends after `most` segments, and where no marker follows."""
    frame, size, channels, segments, at, exif = 0, (0, 0), 0, 0, 2, list[bytes]()
    regular = single = False
    while segments <= most and at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _ALONE:
            at += 2
            segments += 1
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in (0, 0xFF, _END) or length < 2:
            break
        segments += 1
        if marker in _FRAMES and not frame:
            frame = marker
            height, width = (int.from_bytes(content[at + n : at + n + 2], "big") for n in (5, 7))
            size, channels = (width, height), content[at + 9] if at + 9 < len(content) else 0
        elif marker == _EXIF and content[at + 4 : at + 10] == b"Exif\0\0":
            exif.append(content[at + 10 : at + 2 + length])
        at += 2 + length
        if marker == _SCAN:  # of all channels of a sequential frame, it is the only scan that libjpeg reads
            regular, single = True, frame in SEQUENTIAL and content[at - length + 2] == channels
            break
    return JpegParts(frame, size, segments, at, 1 if single else _scans(content, at, most), exif, regular)


def _scans(content: bytes, at: int, most: int) -> int:
    """The scans from the first one, whose data begin at a place, to the end of the image; other images may follow.

    The search ends after `most` markers.
    """
    scans = markers = 1
    while markers <= most and (found := _NEXT.search(content, at)) is not None:
        marker, at, markers = content[found.start() + 1], found.end(), markers + 1
        if marker == _END:
            break
        scans += marker == _SCAN
        at += int.from_bytes(content[at : at + 2], "big")
    return scans if markers <= most else max(scans, most)
