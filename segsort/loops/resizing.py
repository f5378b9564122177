"""Resizing an image, bilinear with antialiasing.

The bytes are those of PyTorch's `interpolate(mode="bilinear", antialias=True)`, which follows Pillow: first along the
rows, then along the columns. A weight is a 16-bit integer, with as many binary digits after the point as the largest
weight allows, and each result is rounded to a byte. Here the weights of a pixel's three channels are multiplied by one
instruction, so that it takes about as long as there.
"""

from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from segsort.loops import threads
from segsort.loops.cache import loop
from segsort.loops.sharing import add, counters

_LARGEST = 1 << 15  # past a 16-bit weight
_DIGITS = 22  # binary digits of a weight after the point, at most
_BYTES_A_THREAD = 3_000_000  # of the image, below which another thread costs more than it saves
_ROWS = 16  # rows that a thread takes at once
_SLACK = 8  # bytes that are read past a row, and have no weight


class Taps(NamedTuple):
    """The pixels along a side that each result is a weighted mean of.

    Attributes:
        first: [n] int64, the first of them.
        number: [n] int64, how many.
        weights: [n, most] int16, an even number of them, zeros past their number.
        digits: [] int32, binary digits of the weights after the point.
    """

    first: np.ndarray
    number: np.ndarray
    weights: np.ndarray
    digits: np.int32


@lru_cache(maxsize=64)  # a service sees few sizes
def taps(length: int, wanted: int) -> Taps:
    """The taps of each of `wanted` results along a side of `length` pixels. Callers must not change them."""
    scale = length / wanted
    reach = max(scale, 1.0)  # in pixels, to either side of a result's centre
    centre = scale * (np.arange(wanted) + 0.5)
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + reach + 0.5).astype(np.int64), length) - first
    most = 2 * ceil(reach) + 1
    tap = np.arange(most + most % 2)
    shares = np.maximum(0, 1 - np.abs((tap + first[:, None] - centre[:, None] + 0.5) * (1 / reach)))
    shares[tap >= count[:, None]] = 0
    total = np.zeros(wanted)
    for column in shares.T:  # one after the other, because the order changes the last digit
        total += column
    shares /= total[:, None]
    digits = 0
    while digits < _DIGITS and int(0.5 + shares.max() * (1 << (digits + 1))) < _LARGEST:
        digits += 1
    return Taps(first, count, (0.5 + shares * (1 << digits)).astype(np.int16), np.int32(digits))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image [H, W, 3] uint8, contiguous -> [3, *size] uint8."""
    (H, W, _), (h, w) = image.shape, size
    if (h, w) == (H, W):
        return split(image)
    down, across = taps(H, h), taps(W, w)
    top, bottom = int(down.first[0]), int(down.first[-1] + down.number[-1])  # the rows that results need
    rows, planes = image.reshape(H, 3 * W)[top:bottom], np.empty((3, h, w), dtype=np.uint8)
    several = threads.useful(rows.size, _BYTES_A_THREAD)
    narrow = np.empty((len(rows), w), dtype=np.int32)  # four bytes a pixel: its channels and a rest
    taken = counters(2)
    threads.together(lambda _: along_rows(rows, *across, narrow, taken), several)
    four = narrow.view(np.uint8)
    threads.together(lambda _: along_columns(four, down.first - top, *down[1:], planes, taken), several)
    return planes


def _generate_pixel(context: Any, row: Any, at: Any, weights: Any, begin: Any, count: Any, digits: Any) -> Any:
    """LLVM's code for one pixel of a resized row, two taps at a time: its three channels and a rest, in four bytes.

    No sum exceeds 255.5, because rounded weights add up to less than 1/510 over 1 wherever memory holds the image.
    """
    byte, half, word, i64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
    four, eight = ir.VectorType(word, 4), ir.VectorType(word, 8)

    def lanes(*numbers: int) -> Any:
        return ir.Constant(ir.VectorType(word, len(numbers)), list(numbers))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        b, (_, at, _, begin, count, digits) = builder, args
        pixels, factors = (context.make_array(signature.args[n])(context, b, args[n]).data for n in (0, 2))

        def spread(value: Any) -> Any:
            one = b.insert_element(ir.Constant(four, ir.Undefined), value, ir.Constant(word, 0))
            return b.shuffle_vector(one, ir.Constant(four, ir.Undefined), lanes(0, 0, 0, 0))

        def load(pointer: Any, kind: Any, order: Any) -> Any:
            found = b.load(b.bitcast(pointer, kind.as_pointer()), align=1)
            return b.shuffle_vector(found, ir.Constant(kind, ir.Undefined), order)

        rounding = spread(b.shl(ir.Constant(word, 1), b.sub(digits, ir.Constant(word, 1))))
        before, body, end = b.block, b.append_basic_block("taps"), b.append_basic_block("end")
        b.branch(body)
        b.position_at_end(body)
        tap, total = b.phi(i64), b.phi(four)
        tap.add_incoming(ir.Constant(i64, 0), before)
        total.add_incoming(rounding, before)
        place = b.gep(pixels, [b.add(at, b.mul(tap, ir.Constant(i64, 3)))])
        values = load(place, ir.VectorType(byte, 8), lanes(0, 3, 1, 4, 2, 5, 6, 7))  # each channel of both pixels
        both = load(b.gep(factors, [b.add(begin, tap)]), ir.VectorType(half, 2), lanes(0, 1, 0, 1, 0, 1, 0, 1))
        products = b.mul(b.zext(values, eight), b.sext(both, eight))
        even, odd = (
            b.shuffle_vector(products, ir.Constant(eight, ir.Undefined), lanes(n, n + 2, n + 4, n + 6)) for n in (0, 1)
        )
        after, following = b.add(total, b.add(even, odd)), b.add(tap, ir.Constant(i64, 2))
        tap.add_incoming(following, body)
        total.add_incoming(after, body)
        b.cbranch(b.icmp_signed("<", following, count), body, end)
        b.position_at_end(end)
        return b.bitcast(b.trunc(b.ashr(after, spread(digits)), ir.VectorType(byte, 4)), word)

    return types.int32(row, at, weights, begin, count, digits), generate


_pixel: Any = intrinsic(_generate_pixel)


@loop()
def split(image: np.ndarray) -> np.ndarray:
    """The planes [3, H, W] of an image [H, W, 3] uint8."""
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    for y in range(len(image)):
        row, red, green, blue = image[y], planes[0, y], planes[1, y], planes[2, y]
        for x in range(len(row)):
            red[x], green[x], blue[x] = row[x, 0], row[x, 1], row[x, 2]
    return planes


@loop()
def along_rows(
    image: np.ndarray, first: np.ndarray, count: np.ndarray, weights: np.ndarray, digits: np.int32,
    narrow: np.ndarray, taken: np.ndarray,
) -> None:  # fmt: skip
    """Resize rows of pixels [n, 3 * W] uint8 into `narrow` [n, w] int32, by `Taps`; threads share them by counter 0."""
    W3, most, factors = image.shape[1], weights.shape[1], weights.ravel()
    row = np.zeros(W3 + _SLACK, np.uint8)
    while True:
        start = add(taken, 0, _ROWS)
        if start >= len(image):
            return
        for y in range(start, min(start + _ROWS, len(image))):
            row[:W3] = image[y]
            for x in range(len(first)):
                narrow[y, x] = _pixel(row, first[x] * 3, factors, x * most, count[x], digits)


@loop()
def along_columns(
    rows: np.ndarray, first: np.ndarray, count: np.ndarray, weights: np.ndarray, digits: np.int32,
    planes: np.ndarray, taken: np.ndarray,
) -> None:  # fmt: skip
    """Resize columns of rows [n, 4 * w] uint8 into `planes` [3, h, w] uint8, by `Taps`; threads share by counter 1."""
    sums, rounding = np.empty(rows.shape[1], np.int32), np.int32(1 << (digits - 1))
    while True:
        start = add(taken, 1, _ROWS)
        if start >= len(first):
            return
        for y in range(start, min(start + _ROWS, len(first))):
            sums[:] = rounding
            for tap in range(count[y]):
                weight, row = np.int32(weights[y, tap]), rows[first[y] + tap]
                for x in range(len(sums)):
                    sums[x] += weight * np.int32(row[x])
            red, green, blue = planes[0, y], planes[1, y], planes[2, y]
            for x in range(len(red)):
                red[x] = sums[4 * x] >> digits
                green[x] = sums[4 * x + 1] >> digits
                blue[x] = sums[4 * x + 2] >> digits
