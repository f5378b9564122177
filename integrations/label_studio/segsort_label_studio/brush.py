"""The run-length code of brush regions in Label Studio: rle-pack of the colours of all pixels.

The code is bits, the highest first: 32 for the number of values, 5 for the bits of a value - 1, 4 for the bits of each
of four lengths - 1; then runs. A run is 1 bit that says whether it repeats one value, 2 that choose the size of its
length, the length - 1, and the value or values. Values are red, green, blue and opacity of each pixel, row by row.
"""

import numpy as np
from numpy.typing import NDArray

_SIZES = np.array([3, 4, 8, 16])  # bits of a length, of which each run of ours chooses one
_LONGEST = 1 << 16
_CHANNELS = 4
_MOST_PIXELS = (1 << 32) // _CHANNELS

Bools = NDArray[np.bool_]


def pack(mask: Bools) -> list[int]:
    """Encode a mask.

    Args:
        mask: [H, W] bool.

    Returns:
        Bytes as numbers, as Label Studio has them in JSON.

    Raises:
        ValueError: if the image is too large for the code.
    """
    if mask.size >= _MOST_PIXELS:
        raise ValueError(
            f"a mask of {mask.size} pixels is too large for a brush region; {_MOST_PIXELS - 1} are allowed"
        )
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * _CHANNELS
    lengths, values = _split(lengths, flat[starts].astype(np.int64) * 255)
    kinds = np.searchsorted(1 << _SIZES, lengths)
    widths = 3 + _SIZES[kinds] + 8
    codes = ((4 | kinds) << (widths - 3)) | ((lengths - 1) << 8) | values
    head = [(mask.size * _CHANNELS, 32), (7, 5), *((int(size) - 1, 4) for size in _SIZES)]
    numbers = np.concatenate([[number for number, _ in head], codes])
    widths = np.concatenate([[width for _, width in head], widths])
    return [int(byte) for byte in _packed(numbers, widths)]


def _split(lengths: NDArray[np.int64], values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide runs that are longer than the code can say."""
    pieces = -(-lengths // _LONGEST)
    divided = np.full(int(pieces.sum()), _LONGEST)
    divided[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST
    return divided, np.repeat(values, pieces)


def _packed(numbers: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bytes of numbers [N] that have `widths` [N] bits each."""
    starts = np.cumsum(widths) - widths
    bits = np.zeros(int(widths.sum()), dtype=np.uint8)
    for width in np.unique(widths).tolist():
        chosen = widths == width
        places = np.arange(width)
        bits[starts[chosen][:, None] + places] = (numbers[chosen][:, None] >> (width - 1 - places)) & 1
    return np.packbits(bits)


def unpack(code: bytes, size: tuple[int, int]) -> Bools:
    """Decode a brush region.

    Args:
        code: the bytes.
        size: (H, W) of the image.

    Returns:
        [H, W] bool: pixels that are not fully transparent.

    Raises:
        ValueError: if the code ends early, or is of an image of another size.
    """
    count = _CHANNELS * size[0] * size[1]
    bits = _Bits(code)
    found, width = bits.read(32), bits.read(5) + 1
    lengths = [bits.read(4) + 1 for _ in range(4)]
    if found != count:
        raise ValueError(f"the brush region has {found} values; {count} are needed, four for each pixel")
    values = np.zeros(count, dtype=bool)
    done = 0
    while done < count:
        repeats, length = bits.read(1), bits.read(lengths[bits.read(2)]) + 1
        if done + length > count:
            raise ValueError(f"the brush region has a run of {length} values where {count - done} are left")
        values[done : done + length] = bits.read(width) != 0 if repeats else bits.are_set(length, width)
        done += length
    return values.reshape(*size, _CHANNELS)[:, :, 3]


class _Bits:
    """Bits of bytes, the highest one of each first."""

    def __init__(self, code: bytes) -> None:
        self.code, self.place = code, 0
        self.bits = np.unpackbits(np.frombuffer(code, dtype=np.uint8))

    def read(self, count: int) -> int:
        """The next `count` bits as a number."""
        start = self._skip(count)
        end = start + count
        chunk = int.from_bytes(self.code[start >> 3 : (end + 7) >> 3], "big")
        return (chunk >> (-end % 8)) & ((1 << count) - 1)

    def are_set(self, length: int, width: int) -> Bools:
        """For each of the next `length` values of `width` bits: whether it is not 0."""
        start = self._skip(length * width)
        values = self.bits[start : start + length * width].reshape(length, width)
        return np.asarray(values.any(axis=1), dtype=np.bool_)

    def _skip(self, count: int) -> int:
        start = self.place
        self.place += count
        if self.place > len(self.bits):
            raise ValueError(f"the brush region ends within a run, after {len(self.code)} bytes")
        return start
