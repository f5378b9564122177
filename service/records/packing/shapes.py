"""The shapes of an answer's segments as bytes: one list of runs for all masks, and the prototypes."""

import struct
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from segsort import loops
from segsort.masks import encode_with_boxes
from segsort.runs import encode_runs, run_ends
from service.records.packing.sections import WIDTHS, Damaged, Repetitive, Sections, narrowest, pack

_HEADER = struct.Struct("<BBBIII")  # format, bytes of a segment number, bytes of a length, segments, dimension, runs
_FORMAT = 1


def pack_map(labels: np.ndarray, prototypes: np.ndarray) -> bytes:
    """Pack segments that are given as a label map.

    Args:
        labels: [H, W] int32, number of the segment of each pixel, 0..S-1; negative: none.
        prototypes: [S, D] float32.
    """
    owner, start = loops.column_runs(labels)
    return _pack(np.where(owner < len(prototypes), owner, -1), np.diff(start), prototypes)


def pack_masks(counts: Sequence[str], size: tuple[int, int], prototypes: np.ndarray) -> bytes | None:
    """Pack segments that are given as COCO run lengths.

    Args:
        counts: compressed run lengths of each mask.
        size: (H, W) of the image.
        prototypes: [S, D] float32.

    Returns:
        The bytes; None if two masks share a pixel, which a list of runs cannot express.
    """
    ends = [run_ends(text) for text in counts]
    begins, stops = (
        np.concatenate([np.zeros(0, np.int64), *(one[first:-1:2] if not first else one[first::2] for one in ends)])
        for first in (0, 1)
    )
    owner = np.repeat(np.arange(len(ends)), [len(one) // 2 for one in ends])
    order = np.lexsort((stops, begins))
    begins, stops, owner = begins[order], stops[order], owner[order]
    some = begins < stops
    begins, stops, owner = begins[some], stops[some], owner[some]
    if (begins[1:] < stops[:-1]).any() or (len(stops) and stops[-1] > size[0] * size[1]):
        return None
    # the runs of segments, each after a run of pixels without a segment, which may be empty
    edges = np.concatenate([np.stack([begins, stops], axis=1).ravel(), [size[0] * size[1]]])
    lengths = np.diff(edges, prepend=0)
    owners = np.full(len(edges), -1)
    owners[1::2] = owner
    return _pack(owners[lengths > 0], lengths[lengths > 0], prototypes)


def _pack(owner: np.ndarray, lengths: np.ndarray, prototypes: np.ndarray) -> bytes:
    owners, lengths = narrowest(owner.astype(np.int64) + 1), narrowest(lengths)
    header = _HEADER.pack(_FORMAT, owners.itemsize, lengths.itemsize, *prototypes.shape, len(owners))
    return pack(header, [np.ascontiguousarray(prototypes, dtype="<f4"), _repetitive(owners), lengths])


def _repetitive(owners: np.ndarray) -> np.ndarray | Repetitive:
    """Neighbouring columns cross the same segments; with more than 254 segments numbers have several bytes."""
    return Repetitive(owners) if owners.itemsize == 1 else owners


class PackedShapes:
    """Packed shapes, unpacked part by part when they are first used.

    Args:
        packed: what `pack_map` or `pack_masks` returned.
        size: (H, W) of the image.

    Raises:
        Damaged: here or later, if these are no such bytes.
    """

    def __init__(self, packed: bytes, size: tuple[int, int]) -> None:
        if len(packed) < _HEADER.size or packed[0] != _FORMAT:
            raise Damaged("the shapes of an answer are damaged, or a newer version of segsort packed them")
        self.packed, self.size = packed, size
        _, self._owner_bytes, self._length_bytes, self.count, self.dimension, self._runs_count = _HEADER.unpack_from(
            packed
        )
        if not {self._owner_bytes, self._length_bytes} <= WIDTHS:
            raise Damaged("the header of the shapes of an answer is damaged")

    def check(self) -> None:
        """Unpack everything.

        Raises:
            Damaged: if a part of it cannot be unpacked or does not fit the others.
        """
        if not np.isfinite(self.prototypes).all():
            raise Damaged("the prototypes of an answer are not finite")
        if (self.areas == 0).any():
            raise Damaged("a segment of an answer has no pixels")

    @cached_property
    def prototypes(self) -> np.ndarray:
        """[S, D] float32."""
        values = Sections(self.packed, _HEADER.size).take("<f4", self.count * self.dimension)
        return values.reshape(self.count, self.dimension)

    @cached_property
    def _runs(self) -> tuple[np.ndarray, np.ndarray]:
        sections = Sections(self.packed, _HEADER.size)
        sections.skip("<f4", self.count * self.dimension)
        owner = sections.take(f"<u{self._owner_bytes}", self._runs_count).astype(np.int32) - 1
        lengths = sections.take(f"<u{self._length_bytes}", self._runs_count).astype(np.int64)
        if lengths.sum() != self.size[0] * self.size[1] or owner.max(initial=-1) >= self.count:
            raise Damaged("the masks of an answer do not fit its image")
        return owner, lengths

    @property
    def labels(self) -> np.ndarray:
        """[H, W] int32, number of the segment of each pixel; -1: none."""
        return np.ascontiguousarray(np.repeat(*self._runs).reshape(self.size[1], self.size[0]).T)

    @cached_property
    def areas(self) -> np.ndarray:
        """[S] int64, pixels of each segment."""
        owner, lengths = self._runs
        return np.bincount(owner + 1, lengths, minlength=self.count + 1)[1:].astype(np.int64)

    @cached_property
    def masks(self) -> tuple[list[str], list[list[int]]]:
        """COCO compressed run lengths of each segment, and its box x, y, width, height."""
        counts, boxes = encode_with_boxes(self.labels, self.count)
        return counts, boxes.tolist()

    def mask(self, number: int) -> tuple[str, list[int]]:
        """COCO compressed run lengths and box of one segment. The other masks are not made for it."""
        if "masks" in self.__dict__:
            counts, boxes = self.masks
            return counts[number], boxes[number]
        owner, lengths = self._runs
        ends, own = np.cumsum(lengths), owner == number
        return encode_runs(ends[own] - lengths[own], ends[own], self.size)
