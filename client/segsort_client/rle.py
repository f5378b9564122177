"""COCO run lengths: masks as the service sends them, decoded and encoded with numpy alone.

Runs go down the columns, from the left column to the right one, and begin with a run of pixels outside. Compressed
counts are characters of six bits each: five bits of value and one that says whether the value goes on. From the fourth
run on, a value is the difference to the run before the last.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from segsort_client.errors import InputError

_OFFSET, _MORE, _SIGN, _BITS = 48, 0x20, 0x10, 5


def run_lengths(counts: str) -> NDArray[np.int64]:
    """The run lengths of compressed counts.

    Raises:
        InputError: if the text is not one of compressed counts.
    """
    codes = np.frombuffer(counts.encode("ascii", "replace"), dtype=np.uint8).astype(np.int64) - _OFFSET
    if not len(codes):
        return np.zeros(0, dtype=np.int64)
    last = codes & _MORE == 0
    if codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise InputError(
            "These are not compressed run lengths of COCO.", received=counts[:100], fix="Use `counts` of an answer."
        )
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    places = np.arange(len(codes)) - np.repeat(starts, sizes)
    values = np.add.reduceat((codes & 0x1F) << (_BITS * places), starts)
    values -= np.where(codes[ends] & _SIGN, np.int64(1) << (_BITS * sizes), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def decode(counts: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of compressed run lengths.

    Args:
        counts: compressed run lengths.
        size: (H, W) of the image.

    Returns:
        [H, W] bool.

    Raises:
        InputError: if the counts do not fit the size.
    """
    return paint([(counts, 1)], size, 0).astype(bool)


def paint(masks: Iterable[tuple[str, int]], size: tuple[int, int], background: int) -> NDArray[np.int32]:
    """Draw masks that do not overlap into one map, in a single pass.

    Args:
        masks: compressed run lengths and the value of each mask.
        size: (H, W) of the image.
        background: value of the pixels of no mask.

    Returns:
        [H, W] int32.

    Raises:
        InputError: if counts do not fit the size.
    """
    H, W = size
    steps = np.zeros(H * W + 1, dtype=np.int32)  # differences of the map to the pixel before, column by column
    for counts, value in masks:
        runs = run_lengths(counts)
        if runs.sum() != H * W or (len(runs) and runs.min() < 0):
            raise InputError(
                "The run lengths do not cover the image.", received=f"{int(runs.sum())} pixels",
                allowed=f"{H * W} pixels, height {H} times width {W}",
            )  # fmt: skip
        edges = np.cumsum(runs)
        begins, ends = edges[:-1:2], edges[1::2]
        inside = begins < ends  # a run of length 0 changes nothing
        steps[begins[inside]] += value - background
        steps[ends[inside]] -= value - background
    steps[0] += background
    return np.cumsum(steps[:-1], dtype=np.int32).reshape(W, H).T


def encode(mask: NDArray[np.bool_]) -> str:
    """Compressed run lengths of a mask [H, W], as pycocotools' `encode` gives them."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    runs = np.diff(edges) if flat.size else np.zeros(0, dtype=np.int64)
    if flat.size and flat[0]:
        runs = np.concatenate([[0], runs])
    values = runs.astype(np.int64)
    values[3:] -= runs[1:-2]
    return _characters(values)


def _characters(values: NDArray[np.int64]) -> str:
    """Numbers as characters of five bits each, the lowest bits first; the last one holds the sign."""
    written = np.zeros((len(values), 13), dtype=np.uint8)
    rest, going = values.copy(), np.ones(len(values), dtype=bool)
    used = np.zeros(written.shape, dtype=bool)
    for place in range(written.shape[1]):
        low = rest & 0x1F
        rest = rest >> _BITS
        more = np.where(low & _SIGN, rest != -1, rest != 0)
        written[:, place] = low + _OFFSET + np.where(more, _MORE, 0)
        used[:, place] = going
        going &= more
        if not going.any():
            break
    return written[used].tobytes().decode("ascii")
