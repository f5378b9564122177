"""The labels of an answer and the neighbours that voted, as bytes.

Neighbours are exemplars. One of the release is stored as its row, another by its id. The set of a segment's neighbours
is stored in the order of their rows, as differences. Their order in the vote follows from their cosines.

Cosines are not stored but the difference, in units of the last place of float32, to a prediction: the product of both
prototypes in float64, summed dimension by dimension. Every machine computes the same prediction, because the product of
two float32 is exact in float64 and the order of the additions is fixed. The cosine of the search differs from it by two
units at most, depending on the processor. A checksum over the cosines shows whether the exemplars are those of then.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from segsort import loops
from service.records.packing.sections import WIDTHS, Damaged, Sections, narrowest, pack

# format, whether cosines are predicted, bytes of a step and of a difference, segments, neighbours of each, exemplars of
# the release, other exemplars, bytes of their ids, checksum of the cosines
_HEADER = struct.Struct("<BBBBIIIIII")
_FORMAT = 1
_ROUNDING = 1e-6  # above 1 that a share may be
_DIGITS, _HEX = 16, set("0123456789abcdef")  # of the usual id of an exemplar
_TYPES = ("<i2", "u1", "<f8", "<f8")  # of the columns of `Labels`
_MAGNITUDE = np.int64(0x7FFFFFFF)  # bits of a float32 without its sign


class Exemplars(Protocol):
    """The exemplars of a release and those that edits added, by row: `model_store.live.LiveExemplars`."""

    @property
    def released(self) -> int:
        """Number of the release's own exemplars, which have the first rows."""

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Ids of exemplars by rows."""

    def row(self, exemplar_id: str) -> int | None:
        """Row of an exemplar; None if there is none."""

    def prototypes(self, rows: np.ndarray) -> np.ndarray:
        """[n, D] float32, by rows [n]."""


class Labels(NamedTuple):
    """The labels of S segments.

    class_ids: [S] int, -1: none; known: [S] bool; confidence, share: [S] float64, NaN: none.
    """

    class_ids: np.ndarray
    known: np.ndarray
    confidence: np.ndarray
    share: np.ndarray


class Neighbours(NamedTuple):
    """The neighbours of S segments.

    exemplar_ids: every neighbour once; places: [S, R] int, in exemplar_ids, best first; cosines: [S, R] float32; rows:
    rows of exemplar_ids among the exemplars; None: not known.
    """

    exemplar_ids: Sequence[str]
    places: np.ndarray
    cosines: np.ndarray
    rows: np.ndarray | None = None


def pack_votes(labels: Labels, neighbours: Neighbours, prototypes: np.ndarray, exemplars: Exemplars | None) -> bytes:
    """Pack the labels and neighbours of an answer.

    Args:
        labels: of the segments.
        neighbours: of the segments.
        prototypes: [S, D] float32, of the segments.
        exemplars: those that voted. None: ids and cosines are stored in full, which takes three times the space.
    """
    numbers_of, references = _numbered(neighbours, exemplars)
    places = np.asarray(neighbours.places, dtype=np.int64)
    numbers = numbers_of[places]
    cosines = np.ascontiguousarray(neighbours.cosines, dtype="<f4")
    predicted = exemplars is not None and _is_ordered(numbers, cosines)
    if exemplars is not None and predicted:
        order = np.argsort(numbers, axis=1)
        numbers = np.take_along_axis(numbers, order, axis=1)
        vectors = exemplars.prototypes(references.rows(exemplars, numbers_of))
        prediction = _predicted(vectors, np.take_along_axis(places, order, axis=1), prototypes)
        steps = np.diff(numbers, axis=1, prepend=0)
        differences = _units(np.take_along_axis(cosines, order, axis=1)) - _units(prediction)
    else:
        steps, differences = numbers, _units(cosines)
    steps, differences = narrowest(steps), narrowest(differences, signed=True)
    names = np.frombuffer(_encoded(references.others), np.uint8)
    sizes = (*cosines.shape, references.released, len(references.others), len(names), zlib.crc32(cosines.tobytes()))
    header = _HEADER.pack(_FORMAT, predicted, steps.itemsize, differences.itemsize, *sizes)
    return pack(header, [*_columns(labels), steps, differences, names])


class PackedVotes:
    """Packed labels and neighbours.

    Args:
        packed: what `pack_votes` returned.

    Attributes:
        count: number of segments.
        released: number of exemplars of the release that voted; 0: all are stored by id.

    Raises:
        Damaged: here or later, if these are no such bytes.
    """

    def __init__(self, packed: bytes) -> None:
        if len(packed) < _HEADER.size or packed[0] != _FORMAT:
            raise Damaged("the votes of an answer are damaged, or a newer version of segsort packed them")
        self.packed = packed
        _, self._predicted, self._step_bytes, self._difference_bytes, *sizes = _HEADER.unpack_from(packed)
        self.count, self._depth, self.released, self._others, self._names, self._sum = sizes
        if not {self._step_bytes, self._difference_bytes} <= WIDTHS:
            raise Damaged("the header of the votes of an answer is damaged")

    def check(self) -> None:
        """Unpack everything. Predicted cosines are not computed, which takes the exemplars of the release.

        Raises:
            Damaged: if a part of it cannot be unpacked or does not fit the others.
        """
        labels, (steps, differences, references) = self.labels, self._unpacked()
        for column in (labels.confidence, labels.share):
            if not (np.isnan(column) | ((column >= 0) & (column <= 1 + _ROUNDING))).all():
                raise Damaged("the labels of an answer have shares outside of 0 to 1")
        numbers = np.cumsum(steps, axis=1) if self._predicted else steps
        if (numbers >= self.released + len(references.others)).any():
            raise Damaged("an answer has neighbours that it does not name")
        if not self._predicted and zlib.crc32(_values(differences).tobytes()) != self._sum:
            raise Damaged("the similarities of an answer do not fit their checksum")

    @property
    def labels(self) -> Labels:
        """The labels of the segments."""
        sections, S = Sections(self.packed, _HEADER.size), self.count
        class_ids, known = sections.take("<i2", S), sections.take("u1", S).astype(bool)
        return Labels(class_ids, known, sections.take("<f8", S), sections.take("<f8", S))

    def neighbours(self, prototypes: np.ndarray, exemplars: Exemplars | None) -> Neighbours | None:
        """The neighbours of the segments.

        Args:
            prototypes: [S, D] float32, of the segments.
            exemplars: those that voted, perhaps with later ones. None: there are none any more.

        Returns:
            None if these exemplars do not have every neighbour, with the prototype that it had.
        """
        steps, differences, references = self._unpacked()
        if not self._predicted:
            return self._checked(references, exemplars, steps, _values(differences))
        numbers = np.cumsum(steps, axis=1)
        if exemplars is None:
            return None
        present, places = np.unique(numbers, return_inverse=True)
        if present.max(initial=-1) >= self.released + len(references.others):
            raise Damaged("an answer has neighbours that it does not name")
        rows = references.rows(exemplars, present)
        if (rows < 0).any():
            return None
        prediction = _predicted(exemplars.prototypes(rows), places.reshape(steps.shape), prototypes)
        cosines = _values(_units(prediction) + differences)
        order = np.lexsort((numbers, -cosines))
        ranked = (np.take_along_axis(values, order, axis=1) for values in (numbers, cosines))
        return self._checked(references, exemplars, *ranked)

    def _unpacked(self) -> tuple[np.ndarray, np.ndarray, "_References"]:
        """Steps and differences, both [S, R] int64, and what the numbers refer to."""
        sections, shape = Sections(self.packed, _HEADER.size), (self.count, self._depth)
        for kind in _TYPES:
            sections.skip(kind, self.count)
        steps = sections.take(f"<u{self._step_bytes}", self.count * self._depth).reshape(shape).astype(np.int64)
        taken = sections.take(f"<i{self._difference_bytes}", self.count * self._depth)
        names = sections.take("u1", self._names).tobytes()
        return steps, taken.reshape(shape).astype(np.int64), _References(self.released, _decoded(names, self._others))

    def _checked(
        self, references: "_References", exemplars: Exemplars | None, numbers: np.ndarray, cosines: np.ndarray
    ) -> Neighbours | None:
        """The neighbours by their numbers in the vote's order, unless the cosines are not those of then."""
        if zlib.crc32(cosines.tobytes()) != self._sum:
            return None
        found, places = np.unique(numbers, return_inverse=True)
        ids = references.ids(exemplars, found)
        return None if ids is None else Neighbours(ids, places.reshape(numbers.shape), cosines)


class _References(NamedTuple):
    """What numbers of neighbours refer to: first the exemplars of the release, by row, then others, by id."""

    released: int
    others: Sequence[str]

    def rows(self, exemplars: Exemplars, numbers: np.ndarray) -> np.ndarray:
        """[n] int64, the rows of some of them by number [n]; -1: these exemplars do not have it."""
        others = [exemplars.row(name) for name in self.others]
        of_others = np.array([-1 if row is None else row for row in others], dtype=np.int64)
        own = numbers < self.released
        rows = np.where(own & (numbers < exemplars.released), numbers, -1)
        rows[~own] = of_others[numbers[~own] - self.released]
        return rows

    def ids(self, exemplars: Exemplars | None, numbers: np.ndarray) -> list[str] | None:
        """The ids of some of them, by ascending number; None if an exemplar of the release is gone."""
        own = numbers[numbers < self.released]
        others = [self.others[number - self.released] for number in numbers[len(own) :].tolist()]
        if not len(own):
            return others
        if exemplars is None or own[-1] >= exemplars.released:
            return None
        return exemplars.ids(own.tolist()) + others


def _numbered(neighbours: Neighbours, exemplars: Exemplars | None) -> tuple[np.ndarray, _References]:
    """The number of each exemplar [n] int64, and what the numbers refer to."""
    names = neighbours.exemplar_ids
    if exemplars is None:
        return np.arange(len(names)), _References(0, names)
    rows = neighbours.rows
    if rows is None:
        found = [exemplars.row(name) for name in names]
        rows = np.array([exemplars.released if row is None else row for row in found], dtype=np.int64)
    others = np.flatnonzero(rows >= exemplars.released)
    numbers = rows.astype(np.int64)
    numbers[others] = exemplars.released + np.arange(len(others))
    return numbers, _References(exemplars.released, [names[place] for place in others.tolist()])


def _predicted(vectors: np.ndarray, places: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Cosines [S, R] float32 of segments with vectors [n, D] in places [S, R]."""
    vectors, queries = (np.ascontiguousarray(one, dtype=np.float32) for one in (vectors, prototypes))
    return loops.portable_cosines(vectors, queries, np.ascontiguousarray(places))


def _is_ordered(numbers: np.ndarray, cosines: np.ndarray) -> bool:
    """Whether neighbours are in the order of their cosines, and those of equal cosines in that of their numbers."""
    falls, same = cosines[:, 1:] < cosines[:, :-1], cosines[:, 1:] == cosines[:, :-1]
    return bool((falls | (same & (numbers[:, 1:] > numbers[:, :-1]))).all())


def _units(values: np.ndarray) -> np.ndarray:
    """float32 as int64 in the same order: neighbouring values differ by 1, and -0 comes before 0."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -1 - (bits & _MAGNITUDE), bits)


def _values(units: np.ndarray) -> np.ndarray:
    """The float32 of `_units`."""
    bits = np.where(units < 0, (-1 - units) | ~_MAGNITUDE, units)
    return bits.astype(np.int32).view(np.float32)


def _columns(labels: Labels) -> list[np.ndarray]:
    return [np.ascontiguousarray(column, dtype=kind) for column, kind in zip(labels, _TYPES, strict=True)]


def _encoded(names: Sequence[str]) -> bytes:
    """Ids as bytes: half as many as digits, if all have the usual form."""
    whole = "".join(names)
    if len(whole) == _DIGITS * len(names) and all(len(name) == _DIGITS and not set(name) - _HEX for name in names):
        return b"h" + bytes.fromhex(whole)
    return b"t" + " ".join(names).encode()


def _decoded(encoded: bytes, count: int) -> list[str]:
    if encoded[:1] == b"h":
        digits = encoded[1:].hex()
        names = [digits[start : start + _DIGITS] for start in range(0, len(digits), _DIGITS)]
    else:
        names = encoded[1:].decode().split()
    if len(names) != count:
        raise Damaged("the votes of an answer do not have the ids of all exemplars")
    return names
