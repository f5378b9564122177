"""COCO run lengths as arrays: masks are read and written for some pixels, without decoding the whole image.

COCO's runs go down the columns. A position is x * H + y, the number of a pixel in that order. Runs alternate between
outside and inside, and the first is outside.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco


class Encoded(NamedTuple):
    """Masks of S segments. counts: compressed run lengths; boxes: [S, 4] int32 (x, y, width, height); areas: [S] int64.

    A segment without pixels has a box of zeros.
    """

    counts: list[str]
    boxes: np.ndarray
    areas: np.ndarray


class _Runs(NamedTuple):
    """Runs of segments. owner: [R] int64, segment of each; begins, ends: [R] int64, positions, the end excluded."""

    owner: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


def run_ends(counts: str) -> np.ndarray:
    """The position after each run of compressed run lengths: [n] int64; runs 1, 3, 5, ... are inside.

    The text must be valid, as those of answers are.
    """
    digits = np.frombuffer(counts.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((digits & 0x20) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    lengths = np.add.reduceat((digits & 0x1F) << (5 * place), first)
    lengths -= np.where(digits[last] & 0x10, np.int64(1) << (5 * (last - first + 1)), 0)
    lengths[1::2] = np.cumsum(lengths[1::2])  # from the third on, each is written as the difference to the one
    lengths[2::2] = np.cumsum(lengths[2::2])  # before the last
    return np.cumsum(lengths)


def mask_in_box(counts: str, size: tuple[int, int], box: Sequence[int]) -> np.ndarray:
    """The pixels of a mask in a box (x, y, width, height) of an image of size (H, W): [height, width] bool."""
    H, (x, y, width, height) = size[0], box
    ends = np.concatenate([[0], run_ends(counts)])
    lengths = np.diff(ends.clip(x * H, (x + width) * H))
    inside = np.arange(len(lengths)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, lengths).reshape(width, H)[:, y : y + height].T)


def positions_of(counts: str) -> np.ndarray:
    """The positions of the pixels of a mask: [n] int64, ascending."""
    ends = run_ends(counts)
    return _ranges(ends[: len(ends) - 1 : 2], ends[1::2])


def numbers_at(counts: Sequence[str], positions: np.ndarray) -> np.ndarray:
    """The segment of each of some pixels.

    Args:
        counts: masks of S segments, of which no two share a pixel.
        positions: [n] int64, ascending.

    Returns:
        [n] int64, -1 where a pixel belongs to no segment.
    """
    found = np.full(len(positions), -1, dtype=np.int64)
    for number, text in enumerate(counts):
        ends = run_ends(text)
        first, after = np.searchsorted(positions, ends[: len(ends) - 1 : 2]), np.searchsorted(positions, ends[1::2])
        some = np.flatnonzero(first < after)
        found[_ranges(first[some], after[some])] = number
    return found


def encode_positions(positions: np.ndarray, groups: np.ndarray, count: int, size: tuple[int, int]) -> Encoded:
    """The masks of groups of pixels.

    Args:
        positions: [n] int64, ascending, each once.
        groups: [n] int, the group of each, 0..count-1.
        count: number of groups.
        size: (H, W) of the image.
    """
    order = np.argsort(groups, kind="stable")
    owner, at = np.asarray(groups, dtype=np.int64)[order], positions[order]
    breaks = np.concatenate([[True], (np.diff(at) != 1) | (np.diff(owner) != 0)]) if len(at) else np.zeros(0, bool)
    first = np.flatnonzero(breaks)
    after = np.append(first[1:], len(at)) if len(first) else first
    return _encoded(_Runs(owner[first], at[first], at[after - 1] + 1), count, size)


def encode_window(labels: np.ndarray, corner: tuple[int, int], count: int, size: tuple[int, int]) -> Encoded:
    """The masks of segments that lie in a part of an image.

    Args:
        labels: [h, w] int, segment of each pixel of the part, 0..count-1; negative: none.
        corner: row and column of the part.
        count: number of segments.
        size: (H, W) of the image.
    """
    h, w = labels.shape
    columns = np.ascontiguousarray(labels.T).ravel()
    begins = np.empty(len(columns), dtype=bool)
    np.not_equal(columns[1:], columns[:-1], out=begins[1:])
    begins[::h] = True  # at the top of each column
    first = np.flatnonzero(begins)
    owner, after = columns[first].astype(np.int64), np.append(first[1:], len(columns))
    x, y = first // h, first % h
    start = (x + corner[1]) * size[0] + y + corner[0]
    some = np.flatnonzero(owner >= 0)
    some = some[np.argsort(owner[some], kind="stable")]
    return _encoded(_Runs(owner[some], start[some], (start + after - first)[some]), count, size)


def encode_runs(begins: np.ndarray, ends: np.ndarray, size: tuple[int, int]) -> tuple[str, list[int]]:
    """The compressed run lengths of one mask, and its box x, y, width, height.

    Args:
        begins, ends: [n] int64, positions of its runs, ascending, the ends excluded. Runs may touch.
        size: (H, W) of the image.
    """
    found = _encoded(_Runs(np.zeros(len(begins), dtype=np.int64), begins, ends), 1, size)
    box: list[int] = found.boxes[0].tolist()
    return found.counts[0], box


def _encoded(runs: _Runs, count: int, size: tuple[int, int]) -> Encoded:
    """Masks of runs, sorted by their segments and then by position. Runs that touch are joined."""
    H, W = size
    areas = np.bincount(runs.owner, runs.ends - runs.begins, minlength=count).astype(np.int64)
    bounds, texts = np.searchsorted(runs.owner, np.arange(count + 1)), list[str]()
    boxes = np.zeros((count, 4), dtype=np.int32)
    for number in range(count):
        part = slice(int(bounds[number]), int(bounds[number + 1]))
        begins, ends = runs.begins[part], runs.ends[part]
        if len(begins):
            boxes[number] = _box(begins, ends, H)
            apart = begins[1:] != ends[:-1]
            begins, ends = begins[np.append(True, apart)], ends[np.append(apart, True)]
        edges = np.stack([begins, ends], axis=1).ravel()
        lengths = np.diff(np.concatenate([[0], edges, [H * W]]))
        lengths = lengths[:-1] if len(edges) and lengths[-1] == 0 else lengths
        text: bytes = coco.frPyObjects({"size": [H, W], "counts": lengths.tolist()}, H, W)["counts"]
        texts.append(text.decode("ascii"))
    return Encoded(texts, boxes, areas)


def _box(begins: np.ndarray, ends: np.ndarray, height: int) -> tuple[int, int, int, int]:
    """The box around runs; a run over several columns touches top and bottom."""
    left, right = begins // height, (ends - 1) // height
    several = bool((left != right).any())
    top = 0 if several else int((begins % height).min())
    bottom = height - 1 if several else int(((ends - 1) % height).max())
    return int(left.min()), top, int(right.max() - left.min()) + 1, bottom - top + 1


def _ranges(begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """All whole numbers from each begin to its end, which is excluded."""
    lengths = ends - begins
    if not len(lengths):
        return np.zeros(0, dtype=np.int64)
    skipped = np.repeat(begins - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    return np.asarray(skipped + np.arange(len(skipped)))
