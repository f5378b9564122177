"""A recorded answer, unpacked part by part when it is first used.

Answers of versions before the schema revision 0008 have their content in columns of their row:

- segments: JSON list, one object a segment: class_id, share, confidence, known, area, bbox and mask counts. class_id
  and share are null if no exemplar voted; confidence also if the release is not calibrated.
- prototypes: [S, D] float32.
- exemplar_ids: ids of the neighbours, separated by spaces.
- neighbours: [S, R] int32, positions in exemplar_ids, best first. Those after the k-th did not vote.
- similarities: [S, R] float32, cosines to the neighbours.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson

from model_store.live import LiveExemplars
from segsort.masks import decode_rle
from segsort.retrieval import NO_CLASS
from service.problems import Problem
from service.records.packing.shapes import PackedShapes, pack_masks
from service.records.packing.votes import Labels, Neighbours, PackedVotes, pack_votes
from service.records.tables import SegmentationRow

LoadParts = Callable[[Collection[int]], Mapping[int, bytes]]
LoadColumns = Callable[[str], "Columns | None"]


class RecordedNeighbours(NamedTuple):
    """The arrays of an answer.

    prototypes: [S, D] float32; exemplar_ids: every neighbour once; neighbours: [S, R] int32, positions in
    exemplar_ids, best first; similarities: [S, R] float32, cosines to the neighbours; rows: of exemplar_ids in
    `exemplars`, those that voted. None: they are recorded by their ids, which takes more space.
    """

    prototypes: np.ndarray
    exemplar_ids: Sequence[str]
    neighbours: np.ndarray
    similarities: np.ndarray
    rows: np.ndarray | None = None
    exemplars: LiveExemplars | None = None


class SharedShapes(NamedTuple):
    """The shapes of a recorded answer, which another one shares: the id of the part, and its content."""

    part_id: int
    packed: bytes


class SegmentLabel(NamedTuple):
    """The label of a segment as it was answered.

    class_id, share: None if no exemplar voted; confidence: None if it was not measured.
    """

    class_id: int | None
    share: float | None
    confidence: float | None
    known: bool


class Content(NamedTuple):
    """The content of an answer as bytes. shapes: packed, or the part that holds them."""

    shapes: bytes | SharedShapes
    votes: bytes


class Columns(NamedTuple):
    """The content of an answer of an earlier version, see the module."""

    segments: bytes
    prototypes: bytes
    exemplar_ids: str
    neighbours: bytes
    similarities: bytes


def pack(
    segments: Sequence[Mapping[str, Any]],
    size: tuple[int, int],
    retrieved: RecordedNeighbours,
    shapes: bytes | SharedShapes | None,
) -> Content:
    """Pack an answer.

    Args:
        segments: class_id, share, confidence, known and mask counts of each segment.
        size: (H, W) of the image.
        retrieved: its arrays.
        shapes: its shapes, if they are packed already.

    Raises:
        ValueError: if two segments share a pixel.
    """
    columns = {name: [one[name] for one in segments] for name in ("class_id", "known", "confidence", "share")}
    labels = Labels(
        np.array([NO_CLASS if one is None else one for one in columns["class_id"]], dtype=np.int64),
        np.array(columns["known"], dtype=bool),
        *(np.array(columns[name], dtype=np.float64) for name in ("confidence", "share")),  # None: NaN
    )
    neighbours = Neighbours(retrieved.exemplar_ids, retrieved.neighbours, retrieved.similarities, retrieved.rows)
    if shapes is None:
        shapes = pack_masks([one["counts"] for one in segments], size, retrieved.prototypes)
    if shapes is None:
        raise ValueError(f"segments of an answer of {len(segments)} segments overlap; a pixel belongs to one of them")
    return Content(shapes, pack_votes(labels, neighbours, retrieved.prototypes, retrieved.exemplars))


class Answered:
    """An answer as it was recorded.

    Args:
        row: its row, without its content.
        load_parts: reads parts by their ids.
        load_columns: reads the content of an answer of an earlier version.
        parts: those that are read already.

    Attributes:
        facts: its row.
    """

    def __init__(
        self, row: SegmentationRow, load_parts: LoadParts, load_columns: LoadColumns, parts: Mapping[int, bytes] = {}
    ) -> None:
        self.facts, self._load_parts, self._load_columns = row, load_parts, load_columns
        self._parts = dict(parts)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.facts.height, self.facts.width

    @property
    def shared_shapes(self) -> SharedShapes | None:
        """Its shapes, for an answer that shares them; None in an answer of an earlier version."""
        part = self.facts.shapes_part
        return None if part is None else SharedShapes(part, self._part(part))

    @cached_property
    def prototypes(self) -> np.ndarray:
        """[S, D] float32."""
        if self.facts.shapes_part is not None:
            return self._shapes.prototypes
        return np.frombuffer(self._columns.prototypes, np.float32).reshape(len(self._json), -1)

    @cached_property
    def areas(self) -> np.ndarray:
        """[S] int64, pixels of each segment."""
        if self.facts.shapes_part is not None:
            return self._shapes.areas
        return np.array([one["area"] for one in self._json], dtype=np.int64)

    @cached_property
    def labels(self) -> list[SegmentLabel]:
        """The label of each segment. No mask is unpacked for it."""
        if self.facts.shapes_part is None:
            return [SegmentLabel(*(one[name] for name in SegmentLabel._fields)) for one in self._json]
        labels = self._votes.labels
        columns = (
            [None if class_id == NO_CLASS else class_id for class_id in labels.class_ids.tolist()],
            [None if share != share else share for share in labels.share.tolist()],
            [None if confidence != confidence else confidence for confidence in labels.confidence.tolist()],
            labels.known.tolist(),
        )
        return [SegmentLabel(*values) for values in zip(*columns, strict=True)]

    @cached_property
    def segments(self) -> list[dict[str, Any]]:
        """One object a segment: class_id, share, confidence, known, area, bbox and mask counts, see the module."""
        if self.facts.shapes_part is None:
            return self._json
        columns = (self.labels, self.areas.tolist(), *reversed(self._shapes.masks))
        return [
            label._asdict() | {"area": area, "bbox": box, "counts": counts}
            for label, area, box, counts in zip(*columns, strict=True)
        ]

    def neighbours(self, exemplars: LiveExemplars | None) -> Neighbours:
        """The neighbours of its segments.

        Args:
            exemplars: of the release that answered, at its revision or later; None: that release is gone.

        Raises:
            Problem: 410 if the release no longer has one of them.
        """
        if self.facts.votes_part is None:
            return self._recorded_neighbours()
        found = self._votes.neighbours(self.prototypes, exemplars)
        if found is None:
            raise gone(self.facts.release, self.facts.segmentation_id)
        return found

    def segment_id(self, n: int) -> str:
        return f"{self.facts.segmentation_id}-{n}"

    def record(self, n: int) -> "Record":
        """Its n-th segment. The masks of the others are not unpacked for it."""
        if self.facts.shapes_part is None:
            area, box, counts = (self._json[n][name] for name in ("area", "bbox", "counts"))
        else:
            area, (counts, box) = int(self.areas[n]), self._shapes.mask(n)
        shape = {"area": area, "bbox": tuple(box), "counts": counts}
        own = self.labels[n]._asdict()
        return Record(self, self.facts, n, self.segment_id(n), **own, **shape, prototype=self.prototypes[n])

    @cached_property
    def _shapes(self) -> PackedShapes:
        if self.facts.shapes_part is None:
            raise RuntimeError("an answer of an earlier version has no packed shapes")
        return PackedShapes(self._part(self.facts.shapes_part), self.size)

    @cached_property
    def _votes(self) -> PackedVotes:
        if self.facts.votes_part is None:
            raise RuntimeError("an answer of an earlier version has no packed votes")
        return PackedVotes(self._part(self.facts.votes_part))

    @cached_property
    def _json(self) -> list[dict[str, Any]]:
        segments: list[dict[str, Any]] = orjson.loads(self._columns.segments)
        return segments

    @cached_property
    def _columns(self) -> Columns:
        found = self._load_columns(self.facts.segmentation_id)
        if found is None:
            raise _deleted(self.facts.segmentation_id)
        return found

    def _recorded_neighbours(self) -> Neighbours:
        columns, S = self._columns, len(self._json)
        places, similarities = (
            np.frombuffer(values, kind).reshape(S, -1)
            for values, kind in ((columns.neighbours, np.int32), (columns.similarities, np.float32))
        )
        return Neighbours(columns.exemplar_ids.split(), places, similarities)

    def _part(self, part_id: int) -> bytes:
        if part_id not in self._parts:
            both = {self.facts.shapes_part, self.facts.votes_part} - {None, *self._parts}
            self._parts |= self._load_parts([one for one in both if one is not None])
        if part_id not in self._parts:
            raise _deleted(self.facts.segmentation_id)
        return self._parts[part_id]


@dataclass(frozen=True)
class Record:
    """A segment as it was answered.

    class_id, share: None if no exemplar voted; confidence: None if it was not measured; prototype: [D] float32;
    bbox: x, y, width, height; counts: compressed run lengths of the mask.
    """

    answered: Answered
    segmentation: SegmentationRow
    number: int
    segment_id: str
    class_id: int | None
    share: float | None
    confidence: float | None
    known: bool
    area: int
    bbox: tuple[int, int, int, int]
    counts: str
    prototype: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.answered.size

    @property
    def mask(self) -> np.ndarray:
        """[H, W] bool, true on the pixels of the segment."""
        return decode_rle(self.counts, self.size)

    def neighbours(self, exemplars: LiveExemplars | None) -> tuple[list[str], np.ndarray]:
        """Ids of the nearest exemplars, best first, and the cosines to them [R] float32.

        Args:
            exemplars: of the release that answered, at the answer's revision or later; None: that release is gone.

        Raises:
            Problem: 410 if the release no longer has one of the answer's neighbours.
        """
        found = self.answered.neighbours(exemplars)
        return [found.exemplar_ids[place] for place in found.places[self.number].tolist()], found.cosines[self.number]


def gone(release: str, received: str) -> Problem:
    """410: a release no longer has the exemplars of an answer; received: the id in the request."""
    return Problem(
        410, f"The release {release!r} no longer holds every exemplar of this answer.",
        received=received, fix="Restore the release and the database as they were when it answered.",
    )  # fmt: skip


def _deleted(segmentation_id: str) -> Problem:
    return Problem(
        404, "The answer was deleted while it was read.", received=segmentation_id,
        allowed="the segmentation_id of an answer", fix="Segment the image again.",
    )  # fmt: skip
