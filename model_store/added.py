"""Exemplars that edits add to a served release: columns that only grow, shared by all snapshots."""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Scope = Literal["all", "image"]

_FIRST_CAPACITY = 64  # rows; doubled whenever they are full


@dataclass(frozen=True)
class AddedExemplar:
    """A labelled segment that an edit adds.

    Attributes:
        exemplar_id: digest of its content (see `exemplar_id` in `model_store.exemplar_table`).
        prototype: [D] float32 unit vector.
        class_id: its class.
        strength: weight in the vote, as a number of exemplars, above 0; 1 unless it corrects a label.
        image_id: SHA-256 of its image's content, in hexadecimal digits.
        source: name of the image.
        width, height: of the upright image, pixels.
        bbox: (x, y, width, height), in pixels of that image.
        area: pixels of that image.
        mask: COCO compressed run lengths, in pixels of that image.
        scope: "all": it votes for segments of every image; "image": only for those of images with its `image_id`.
    """

    exemplar_id: str
    prototype: np.ndarray
    class_id: int
    strength: float
    image_id: str
    source: str
    width: int
    height: int
    bbox: tuple[int, int, int, int]
    area: int
    mask: str
    scope: Scope = "all"

    def same_as(self, other: "AddedExemplar") -> bool:
        """Whether both have the same class, strength, scope and prototype."""
        equal = (self.class_id, np.float32(self.strength)) == (other.class_id, np.float32(other.strength))
        return equal and self.scope == other.scope and np.array_equal(self.prototype, other.prototype)


class _Columns:
    """Arrays with spare capacity, shared by several `AddedRows`. Hold `lock` while writing."""

    def __init__(self, dimension: int) -> None:
        self.prototypes = np.empty((_FIRST_CAPACITY, dimension), dtype=np.float32)
        self.class_ids = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self.strengths = np.empty(_FIRST_CAPACITY, dtype=np.float32)
        self.exemplars: list[AddedExemplar] = []
        self.rows: dict[str, int] = {}
        self.of_image: dict[str, list[int]] = {}  # rows in ascending order
        self.of_one_image: list[int] = []  # rows with the scope "image", in ascending order
        self.lock = threading.Lock()

    def append(self, exemplars: Sequence[AddedExemplar]) -> None:
        start, stop = len(self.exemplars), len(self.exemplars) + len(exemplars)
        capacity = len(self.class_ids)
        while capacity < stop:
            capacity *= 2
        if capacity > len(self.class_ids):
            self.prototypes = _grown(self.prototypes, capacity)
            self.class_ids, self.strengths = _grown(self.class_ids, capacity), _grown(self.strengths, capacity)
        for row, exemplar in enumerate(exemplars, start):
            self.prototypes[row] = exemplar.prototype
            self.class_ids[row], self.strengths[row] = exemplar.class_id, exemplar.strength
            self._note(row, exemplar)
        self.exemplars.extend(exemplars)

    def copy(self, count: int) -> "_Columns":
        """A copy of the first rows."""
        copied = _Columns(self.prototypes.shape[1])
        capacity = max(count, _FIRST_CAPACITY)
        copied.prototypes = _grown(self.prototypes[:count], capacity)
        copied.class_ids, copied.strengths = (_grown(one[:count], capacity) for one in (self.class_ids, self.strengths))
        copied.exemplars = self.exemplars[:count]
        for row, exemplar in enumerate(copied.exemplars):
            copied._note(row, exemplar)
        return copied

    def _note(self, row: int, exemplar: AddedExemplar) -> None:
        self.rows[exemplar.exemplar_id] = row
        self.of_image.setdefault(exemplar.image_id, []).append(row)
        if exemplar.scope == "image":
            self.of_one_image.append(row)


class AddedRows:
    """The first rows of shared columns. It never changes: rows that are appended later are not part of it.

    Attributes:
        prototypes: [n, D] float32; class_ids: [n] int64; strengths: [n] float32.
    """

    def __init__(self, columns: _Columns, count: int) -> None:
        self._columns, self._count = columns, count
        self.prototypes = columns.prototypes[:count]
        self.class_ids, self.strengths = columns.class_ids[:count], columns.strengths[:count]

    @classmethod
    def none(cls, dimension: int) -> "AddedRows":
        """No rows yet."""
        return cls(_Columns(dimension), 0)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> AddedExemplar:
        if not 0 <= row < self._count:
            raise IndexError(f"row {row}; there are {self._count}")
        return self._columns.exemplars[row]

    def row(self, exemplar_id: str) -> int | None:
        """Row of an exemplar, None if it is not among these."""
        row = self._columns.rows.get(exemplar_id)
        return row if row is not None and row < self._count else None

    def of_image(self, image_id: str) -> list[int]:
        """Rows of the exemplars of an image, in ascending order."""
        return self._included(self._columns.of_image.get(image_id, ()))

    @property
    def of_one_image(self) -> list[int]:
        """Rows of the exemplars with the scope "image", in ascending order."""
        return self._included(self._columns.of_one_image)

    def extended(self, exemplars: Sequence[AddedExemplar]) -> "AddedRows":
        """These rows with more behind them. This object stays unchanged.

        The new rows are appended in place. If another caller has appended rows there already, the columns are copied.
        """
        columns = self._columns
        with columns.lock:
            if len(columns.exemplars) == self._count:
                columns.append(exemplars)
                return AddedRows(columns, len(columns.exemplars))
        copied = columns.copy(self._count)
        copied.append(exemplars)
        return AddedRows(copied, len(copied.exemplars))

    def _included(self, rows: Sequence[int]) -> list[int]:
        """Those of ascending rows that are among these."""
        return list(rows[: bisect_left(rows, self._count)])


def _grown(column: np.ndarray, capacity: int) -> np.ndarray:
    grown = np.empty((capacity, *column.shape[1:]), dtype=column.dtype)
    grown[: len(column)] = column
    return grown
