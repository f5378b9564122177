"""The run-length code of brush strokes in Label Studio."""

import numpy as np


def decode_brush(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """Decode the brush strokes of a region: red, green, blue and alpha of the pixels, row by row.

    Args:
        content: the code, see `unpack`.
        size: (H, W) of the image.

    Returns:
        [H, W] bool, the pixels whose alpha is not 0.

    Raises:
        ValueError: if the code ends early, or is of another number of pixels.
    """
    return np.asarray(unpack(content, 4 * size[0] * size[1]).reshape(*size, 4)[:, :, 3] != 0)


def unpack(content: bytes, count: int) -> np.ndarray:
    """Decode rle-pack (https://github.com/thi-ng/umbrella/blob/develop/packages/rle-pack/src/index.ts).

    The code is 32 bits for the number of values, 5 for the bits of a value less 1, four times 4 for the bits of a
    length less 1, and then runs. A run is a bit that says whether it repeats one value, 2 bits that choose one of the
    four sizes of a length, the length less 1, and the value or values.

    Args:
        content: the code.
        count: number of values that is expected.

    Returns:
        [count] uint32.

    Raises:
        ValueError: if the code ends early, or has another number of values.
    """
    bits, code = np.unpackbits(np.frombuffer(content, dtype=np.uint8)), _Bits(content)
    found, width = code.read(32), code.read(5) + 1
    lengths = [code.read(4) + 1 for _ in range(4)]
    if found != count:
        raise ValueError(f"the brush strokes have {found} values, and {count} are needed, four for each pixel")
    values, done = np.empty(count, dtype=np.uint32), 0
    weights = np.uint32(1) << np.arange(width - 1, -1, -1, dtype=np.uint32)
    while done < count:
        repeats, length = code.read(1), code.read(lengths[code.read(2)]) + 1
        if done + length > count:
            raise ValueError(f"the brush strokes have a run of {length} values, and {count - done} are left")
        if repeats:
            values[done : done + length] = code.read(width)
        else:
            start = code.skip(length * width)
            values[done : done + length] = bits[start : start + length * width].reshape(length, width) @ weights
        done += length
    return values


class _Bits:
    """Bits of bytes, the highest one first."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def skip(self, count: int) -> int:
        """Pass `count` bits, and return where they begin."""
        start = self.place
        self.place += count
        if self.place > 8 * len(self.content):
            raise ValueError(f"the brush strokes end after {len(self.content)} bytes, within a run")
        return start

    def read(self, count: int) -> int:
        """The next `count` bits as a number."""
        start = self.skip(count)
        end = start + count
        chunk = int.from_bytes(self.content[start >> 3 : (end + 7) >> 3], "big")
        return (chunk >> (-end % 8)) & ((1 << count) - 1)
