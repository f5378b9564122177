"""Image files that are made to be slow to decode. Each is small, valid as far as its header goes, and quick to make."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
COMMENT = b"#" + b"a" * 19_000_000 + b"\n"  # Pillow reads it byte by byte: seconds


def encoded(side: int, form: str, mode: str = "RGB", **options: object) -> bytes:
    """A square image without content."""
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, form, **options)
    return file.getvalue()


def jpeg_of_scans(scans: int, side: int = 1448) -> bytes:
    """A grey progressive JPEG in which scans that change nothing visit every coefficient: 0.7 ms each, in 12 bytes."""
    file = io.BytesIO()
    Image.new("L", (side, side), 128).save(file, "JPEG", progressive=True, quality=10)
    content = file.getvalue()
    head, at = b"\xff\xd8", 2
    while content[at + 1] != 0xDA:
        length = 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        head, at = head + content[at : at + length], at + length
    blocks = (-(-side // 8)) ** 2
    runs = ""
    while blocks >= 1 << 14:  # code "0": the end of a band in 2^14 blocks and as many as 14 bits say
        run = min(blocks, (1 << 15) - 1)
        runs, blocks = runs + "0" + format(run - (1 << 14), "014b"), blocks - run
    runs += "1" * (-len(runs) % 8)
    data = int(runs, 2).to_bytes(len(runs) // 8, "big").replace(b"\xff", b"\xff\0")
    tables = _codes(0x00, 0) + _codes(0x10, 0xE0)
    first = _scan(0, 0, 0x01) + bytes((-(-side // 8)) ** 2 // 8 + 1)
    return head + tables + first + (_scan(1, 63, 0x10) + data) * scans + b"\xff\xd9"


def png_of_chunks(kind: bytes, data: bytes, count: int, side: int = 64) -> bytes:
    """A PNG with chunks before its pixels."""
    pixels = zlib.compress((b"\0" + b"\1\2\3" * side) * side)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = _chunk(kind, data) * count
    return _SIGNATURE + _chunk(b"IHDR", header) + chunks + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def gif_of_blocks(count: int) -> bytes:
    """A GIF with a comment of many blocks."""
    content = encoded(64, "GIF")
    start = 13 + (3 << (content[10] & 7) + 1)
    return content[:start] + b"!\xfe" + (b"\xff" + b"a" * 255) * count + b"\0" + content[start:]


def webp_of_chunks(count: int) -> bytes:
    """A WebP with empty chunks after its image."""
    content = encoded(64, "WEBP") + (b"JUNK" + bytes(4)) * count
    return b"RIFF" + struct.pack("<I", len(content) - 8) + content[8:]


def tiff(entries: Sequence[tuple[int, int, int, int]], more: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory: entries (tag, type, count, value)."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<I", following) + more


def tiff_of_strips(strips: int) -> bytes:
    """A TIFF of 64 pixels a strip, all of which are the same bytes of the file."""
    entries = [
        (256, 4, 1, 64), (257, 4, 1, strips), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1),
        (278, 4, 1, 1), (273, 4, strips, 200), (279, 4, strips, 200 + 4 * strips),
    ]  # fmt: skip
    return tiff(entries, bytes(200) + struct.pack("<I", 16) * strips + struct.pack("<I", 64) * strips)


def tiff_of_directories(count: int) -> bytes:
    """A TIFF of empty directories, the last of which names the first."""
    links = [14 + 6 * n for n in range(count - 1)] + [8]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(struct.pack("<HI", 0, link) for link in links)


def exif_of_overlaps(values: int, size: int = 60_000) -> bytes:
    """EXIF whose values all are the same bytes."""
    entries = [(700 + n, 1, size - 10, 8) for n in range(values)]
    return tiff(entries, bytes(size))


def jpeg_with_exif(exif: bytes) -> bytes:
    """A JPEG with EXIF in as many segments as it needs, which Pillow joins."""
    parts = [exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)
    return b"\xff\xd8" + segments + encoded(64, "JPEG")[2:]


def jpeg2000_of_tiles(side: int, tile: int) -> bytes:
    """A JPEG 2000 of many tiles, of which it has none."""
    content = bytearray(encoded(64, "JPEG2000"))
    start = content.find(b"\xff\x4f\xff\x51")
    content[start + 8 : start + 40] = struct.pack(">8I", side, side, 0, 0, tile, tile, 0, 0)
    return bytes(content[start:])


def avif_of_boxes(count: int) -> bytes:
    """An AVIF after many empty boxes."""
    content = encoded(64, "AVIF")
    first = int.from_bytes(content[:4], "big")
    return content[:first] + (struct.pack(">I", 8) + b"free") * count + content[first:]


def bmp_of_runs(side: int = 2000) -> bytes:
    """A BMP of run lengths, which Pillow decodes in Python: seconds."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(file, "BMP")
    content = bytearray(file.getvalue()[: 54 + 1024])
    content[18:26], content[30:34] = struct.pack("<ii", side, side), struct.pack("<I", 1)
    return bytes(content) + b"\x01\x05" * (side * side)


def ppm_with_comment(side: int = 64) -> bytes:
    """A PPM whose header takes seconds to read."""
    return b"P6\n" + COMMENT + b"%d %d\n255\n" % (side, side) + bytes(side * side * 3)


def _scan(first: int, last: int, bits: int) -> bytes:
    return b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, first, last, bits])


def _codes(place: int, symbol: int) -> bytes:
    """A Huffman table in which one bit stands for one symbol."""
    return b"\xff\xc4" + struct.pack(">H", 20) + bytes([place, 1, *bytes(15), symbol])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def heic_grid(tile: bytes, rows: int, columns: int) -> bytes:
    """A HEIC that is a grid of tiles, which all have the same bytes of the file.

    Args:
        tile: a HEIC with one item.
        rows: up to 256.
        columns: up to 256.
    """
    configuration, content = _box_of(tile, b"hvcC"), _box_of(tile, b"mdat")[8:]
    side = int.from_bytes(_box_of(tile, b"ispe")[12:16], "big")  # of the coded tile, which is square
    size, tiles = (columns * side, rows * side), range(2, 2 + rows * columns)  # the grid is item 1
    sizes = _box(b"ispe", struct.pack(">III", 0, side, side)) + _box(b"ispe", struct.pack(">III", 0, *size))
    uses = struct.pack(">II", 0, 1 + len(tiles)) + struct.pack(">HBB", 1, 1, 3)
    uses += b"".join(struct.pack(">HBBB", number, 2, 0x81, 2) for number in tiles)
    items = _item(1, b"grid") + b"".join(_item(number, b"hvc1") for number in tiles)
    shown = struct.pack(">HH", 1, len(tiles)) + b"".join(struct.pack(">H", number) for number in tiles)
    grid = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, *size)

    def meta(start: int) -> bytes:
        places = struct.pack(">IBBH HHHHII", 1 << 24, 0x44, 0, 1 + len(tiles), 1, 1, 0, 1, 0, len(grid))  # in idat
        places += b"".join(struct.pack(">HHHHII", number, 0, 0, 1, start, len(content)) for number in tiles)
        parts = _box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"pict")) + _box(b"pitm", struct.pack(">IH", 0, 1))
        parts += _box(b"iloc", places) + _box(b"iinf", struct.pack(">IH", 0, 1 + len(tiles)) + items)
        parts += _box(b"iprp", _box(b"ipco", configuration + sizes) + _box(b"ipma", uses))
        parts += _box(b"iref", bytes(4) + _box(b"dimg", shown)) + _box(b"idat", grid)
        return _box(b"meta", bytes(4) + parts)

    kind = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return kind + meta(len(kind) + len(meta(0)) + 8) + _box(b"mdat", content)


def _item(number: int, kind: bytes) -> bytes:
    return _box(b"infe", struct.pack(">IHH4sx", 2 << 24, number, 0, kind))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _box_of(file: bytes, kind: bytes) -> bytes:
    """The first box of a kind, found by its name."""
    at = file.index(kind) - 4
    return file[at : at + int.from_bytes(file[at : at + 4], "big")]
