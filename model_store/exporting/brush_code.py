"""Run lengths of the brush of Label Studio, the packing of @thi.ng/rle-pack."""

import numpy as np

from model_store.exporting.outlines import run_lengths

_SIZES = np.array([3, 4, 8, 16])  # bits of a run's length, of which each run chooses one
_LONGEST = 1 << 16
_CHANNELS = 4  # of a pixel: red, green, blue and opacity, all 0 or 255
_MOST_VALUES = 1 << 32


def brush_rle(mask: np.ndarray) -> list[int]:
    """Encode a mask.

    Bits, the highest first: 32 for the number of values, 5 for the bits of a value - 1, 4 for each of the four sizes
    - 1; then for each run 1 bit that says it is one, 2 for the size, the length - 1 in so many bits, and the value in
    8. Zeros fill the last byte.

    Args:
        mask: [H, W] bool.

    Returns:
        Bytes.

    Raises:
        ValueError: if the image has 2**30 pixels or more.
    """
    if mask.size * _CHANNELS >= _MOST_VALUES:
        raise ValueError(f"a mask of {mask.size} pixels is too large for Label Studio's brush; export polygons")
    lengths = run_lengths(mask) * _CHANNELS
    values = np.arange(len(lengths)) % 2 * 255
    pieces = -(-lengths // _LONGEST)
    whole = np.repeat(lengths, pieces)
    last = np.cumsum(pieces) - 1  # the last piece of each run has what remains
    lengths, values = np.full(len(whole), _LONGEST), np.repeat(values, pieces)
    lengths[last[pieces > 0]] = whole[last[pieces > 0]] - (pieces[pieces > 0] - 1) * _LONGEST
    kind = np.searchsorted(1 << _SIZES, lengths)
    width = 3 + _SIZES[kind] + 8
    codes = ((4 | kind) << (width - 3)) | ((lengths - 1) << 8) | values
    head = [(mask.size * _CHANNELS, 32), (7, 5), *((size - 1, 4) for size in _SIZES.tolist())]
    numbers = np.concatenate([[number for number, _ in head], codes])
    widths = np.concatenate([[width for _, width in head], width])
    packed: list[int] = _packed(numbers, widths).tolist()
    return packed


def _packed(numbers: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Bytes of numbers [N] int64 that have `widths` bits each."""
    starts = np.cumsum(widths) - widths
    bits = np.zeros(int(widths.sum()), dtype=np.uint8)
    for width in np.unique(widths).tolist():
        chosen = widths == width
        places = np.arange(width)
        bits[starts[chosen][:, None] + places] = (numbers[chosen][:, None] >> (width - 1 - places)) & 1
    return np.packbits(bits)
