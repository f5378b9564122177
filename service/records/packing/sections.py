"""Arrays as sections of bytes, compressed in the little time that an answer has.

Of the values of an array, the first bytes are compressed by themselves, then the second bytes, and so on: the low
bytes of a float32 are random, the high ones are not. Random bytes only get Huffman codes, which takes a third of the
time of a search for repetitions and finds as much. A reader needs not know which way was taken.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.problems import DamageError

_LENGTH = struct.Struct("<I")
_WINDOW, _MEMORY = 12, 7  # bits, as zlib has them; a larger memory takes more time to clear than it saves
WIDTHS = frozenset({1, 2, 4, 8})  # bytes of a whole number
_SMALL = 1000  # values of an array below which its bytes are compressed together


class Damaged(DamageError):
    """Packed bytes are damaged, or are those of something else, such as of another version."""

    def __init__(self, what: str) -> None:
        super().__init__("answer_parts", None, what, status=410)


class Repetitive(NamedTuple):
    """An array of bytes whose sequences occur again and again."""

    values: np.ndarray


def pack(header: bytes, sections: Sequence[np.ndarray | Repetitive]) -> bytes:
    """A header and arrays, one after the other.

    Args:
        header: of a length that the reader knows.
        sections: arrays of whole or floating-point numbers, of a length that the reader can work out.
    """
    parts = [header]
    for section in sections:
        if isinstance(section, Repetitive):
            squeezed = [_compressed(section.values.tobytes(), zlib.Z_DEFAULT_STRATEGY)]
        else:
            planes = _planes(section)
            whole = [b"".join(planes)] if section.size < _SMALL else planes
            last = len(whole) - 1
            squeezed = [
                _stored(one)
                if number < last - 1
                else _compressed(one, zlib.Z_RLE if len(planes) > 1 and number == last else zlib.Z_HUFFMAN_ONLY)
                for number, one in enumerate(whole)
            ]
        for one in squeezed:
            parts += [_LENGTH.pack(len(one)), one]
    return b"".join(parts)


class Sections:
    """Reads sections in the order in which they were packed.

    Args:
        packed: what `pack` returned.
        start: length of its header.
    """

    def __init__(self, packed: bytes, start: int) -> None:
        self._packed, self._at = packed, start

    def skip(self, dtype: str, count: int) -> None:
        """Leave out the next section, of so many values of a type, without unpacking it."""
        for _ in range(1 if count < _SMALL else np.dtype(dtype).itemsize):
            self._at = self._bounds()[1]

    def take(self, dtype: str, count: int) -> np.ndarray:
        """The next section: [count] of a type such as "<u2".

        Raises:
            Damaged: if it does not hold so many values.
        """
        kind = np.dtype(dtype)
        if count < _SMALL:
            planes = self._plane(count * kind.itemsize).reshape(kind.itemsize, count)
            return np.ascontiguousarray(planes.T).view(kind).reshape(count)
        found = [self._plane(count) for _ in range(kind.itemsize)]  # a wrong count fails here, before it takes memory
        values = np.empty((count, kind.itemsize), dtype=np.uint8)
        for place, plane in enumerate(found):
            values[:, place] = plane
        return values.view(kind).reshape(count)

    def _plane(self, count: int) -> np.ndarray:
        start, self._at = self._bounds()
        unpacker = zlib.decompressobj()
        try:
            plane = unpacker.decompress(self._packed[start : self._at], count + 1)
        except zlib.error as error:
            raise Damaged(f"a section of a packed answer cannot be unpacked ({error})") from error
        if len(plane) != count or not unpacker.eof:
            raise Damaged(f"a section of a packed answer does not hold {count} values")
        return np.frombuffer(plane, np.uint8)

    def _bounds(self) -> tuple[int, int]:
        start = self._at + _LENGTH.size
        if start > len(self._packed):
            raise Damaged("a packed answer is too short")
        stop = start + _LENGTH.unpack_from(self._packed, self._at)[0]
        if stop > len(self._packed):
            raise Damaged("a packed answer is too short")
        return start, stop


def narrowest(values: np.ndarray, signed: bool = False) -> np.ndarray:
    """Whole numbers in the narrowest little-endian type of 1, 2, 4 or 8 bytes that holds all of them."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for size in sorted(WIDTHS):
        kind = np.dtype(f"<{'i' if signed else 'u'}{size}")
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    raise ValueError(f"values from {low} to {high} do not fit in 64 bits")


def _compressed(plane: bytes, strategy: int) -> bytes:
    packer = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, _WINDOW, _MEMORY, strategy)
    return packer.compress(plane) + packer.flush()


def _stored(plane: bytes) -> bytes:
    """The low bytes of long values, which are random, as they are."""
    return zlib.compress(plane, 0)


def _planes(section: np.ndarray) -> list[bytes]:
    """The first bytes of all values, then the second bytes, and so on."""
    flat = np.ascontiguousarray(section).ravel()
    rows = flat.view(np.uint8).reshape(len(flat), flat.dtype.itemsize).T
    return [row.tobytes() for row in rows]
