"""The run-length code of brush strokes: as Label Studio's own programs write and read it."""

import numpy as np
import pytest

from model_store.labelled.brush import decode_brush, unpack

# The test of label-studio-converter (tests/test_brush.py, test_rle_encoding): values and their code.
VALUES = [1, 1, 1, 1, 2, 3, 5, 6, 7, 8, 4, 4, 4, 4, 4, 4, 4, 4]
CODE = bytes([0, 0, 0, 18, 57, 27, 252, 96, 32, 1, 0, 6, 0, 40, 0, 192, 3, 128, 17, 56, 32])


def packed(runs, count, width=8, lengths=(3, 4, 8, 16)):
    """The code of runs of (whether one value is repeated, which size of lengths, values), by text of bits."""
    bits = f"{count:032b}{width - 1:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    for repeats, size, values in runs:
        bits += f"{int(repeats)}{size:02b}{len(values) - 1:0{lengths[size]}b}"
        for value in values[:1] if repeats else values:
            bits += f"{value:0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def brush_code(mask, alpha=255):
    """The code of a painted mask: a repeating run of each stretch of equal values, as the browser writes it."""
    values = np.repeat(mask.ravel().astype(int) * alpha, 4).tolist()
    runs, start = [], 0
    for end in range(1, len(values) + 1):
        if end == len(values) or values[end] != values[start] or end - start == 65536:
            size = next(i for i, bits in enumerate((3, 4, 8, 16)) if end - start <= 1 << bits)
            runs.append((True, size, values[start:end]))
            start = end
    return packed(runs, len(values))


def test_the_code_of_label_studios_own_test():
    assert unpack(CODE, 18).tolist() == VALUES


@pytest.mark.parametrize("width", [1, 5, 8, 12, 32])
def test_repeating_and_literal_runs_of_all_sizes(width):
    random = np.random.default_rng(width)
    runs, values = [], []
    for _ in range(60):
        repeats, size = bool(random.integers(2)), int(random.integers(4))
        length = int(random.integers(1, 1 + (1 << (2, 4, 7, 9)[size])))
        part = random.integers(0, 1 << width, 1 if repeats else length).tolist()
        part = part * length if repeats else part
        runs.append((repeats, size, part))
        values += part

    assert unpack(packed(runs, len(values), width, (2, 4, 7, 9)), len(values)).tolist() == values


@pytest.mark.parametrize("alpha", [255, 100, 1])
def test_a_pixel_is_painted_if_its_alpha_is_not_zero(alpha):
    mask = np.random.default_rng(0).random((9, 13)) > 0.6

    assert (decode_brush(brush_code(mask, alpha), (9, 13)) == mask).all()


def test_the_other_channels_do_not_count():
    pixels = np.zeros((2, 2, 4), dtype=int)
    pixels[0, 0] = (200, 100, 50, 0)
    pixels[1, 1] = (0, 0, 0, 9)
    code = packed([(False, 3, pixels.ravel().tolist())], 16)

    assert decode_brush(code, (2, 2)).tolist() == [[False, False], [False, True]]


def test_a_large_image_with_many_runs():
    mask = np.zeros((1500, 2000), dtype=bool)
    mask[100:1400:2, 300:1700] = True

    assert (decode_brush(brush_code_fast(mask), mask.shape) == mask).all()


def brush_code_fast(mask):
    """As `brush_code`, in runs of whole rows."""
    ends = np.flatnonzero(np.diff(mask.ravel().astype(int), append=-1)) + 1
    runs, start = [], 0
    for end in ends.tolist():
        value, count = int(mask.ravel()[start]) * 255, 4 * (end - start)
        for length in [65536] * (count // 65536) + [count % 65536] * (count % 65536 > 0):
            runs.append((True, 3, [value] * length))
        start = end
    return packed(runs, 4 * mask.size)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (CODE[:-2], "end after 19 bytes"),
        (CODE[:3], "end after 3 bytes"),
        (b"", "end after 0 bytes"),
        (packed([(True, 3, [1] * 30)], 18), "a run of 30 values, and 18 are left"),
        (packed([(True, 3, [1] * 30)], 30), "have 30 values, and 18 are needed"),
        (packed([(False, 3, [1] * 18)], 18)[:-4], "within a run"),
    ],
)
def test_damaged_codes_are_refused(code, message):
    with pytest.raises(ValueError, match=message):
        unpack(code, 18)
