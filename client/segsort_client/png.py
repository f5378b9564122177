"""PNG files of arrays, written with zlib alone."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _RGBA = 0, 2, 6
_COLOR_TYPES = {1: _GREY, 3: _RGB, 4: _RGBA}
_UP = 2  # filter: the difference to the row above
_LEVEL = 1  # of zlib: sending is cheap, waiting is not


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """A PNG file of an image.

    Args:
        pixels: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], uint8 or uint16; grey, RGB, or RGB with opacity.
    """
    H, W = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    depth = pixels.dtype.itemsize
    rows = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(H, -1)
    filtered = np.empty((H, rows.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as PNG asks
    header = struct.pack(">IIBBBBB", W, H, 8 * depth, _COLOR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(filtered.data, _LEVEL)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
