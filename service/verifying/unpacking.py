"""Unpacking of every answer: finds parts whose checksum fits and whose content does not."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from model_store.release import Release, ReleaseError, read_digest
from model_store.store import kept_releases, open_store
from service.problems import DamageError
from service.records.packing.shapes import PackedShapes
from service.records.packing.votes import PackedVotes
from service.records.tables import ExemplarRow
from service.verifying.findings import Report
from service.verifying.raw_rows import RawDatabase, Row, Unreadable

ReleaseOf = Callable[[str], Release | None]  # a release, or a copy of what explanations need of it, by its digest

_T = TypeVar("_T")
_KEPT = 64  # shapes that are not unpacked again: relabelled answers share those of the first one


def releases_in(data_dir: Path) -> ReleaseOf:
    """A function that finds releases in the store and among the kept copies of a data folder."""

    def release_of(digest: str) -> Release | None:
        for stored in open_store(data_dir).list():
            try:
                if stored.problem is None and read_digest(stored.path) == digest:
                    return Release.open(stored.path)
            except ReleaseError:  # a copy may be sound
                continue
        return kept_releases(data_dir).open(digest)

    return release_of


class Unpacking:
    """Unpacks the parts of answers, one answer after the other.

    Args:
        database: holds the parts.
        report: where damage is noted.
        release_of: finds the releases whose exemplars voted. Without one, similarities are not compared.
    """

    def __init__(self, database: RawDatabase, report: Report, release_of: ReleaseOf) -> None:
        self._database, self._report, self._release_of = database, report, release_of
        self._shapes_of = OrderedDict[Any, PackedShapes | None]()  # by part and size; None: damaged
        self._added: dict[str, np.ndarray] | None = None
        self._voters = dict[str, _Voters | None]()  # by digest of the release; None: it is gone

    def check(self, answer: Row) -> None:
        """Unpack the parts of an answer. An answer of an earlier version has none."""
        if not _has_parts(answer):
            return
        votes_part = answer["votes_part"]
        shapes, votes = self._shapes(answer), self._unpacked(votes_part, answer, _votes)
        if shapes is not None and shapes.count != answer["segment_count"]:
            what = f"it has {shapes.count} segments, but the answer states {answer['segment_count']}"
            self._note(answer["shapes_part"], answer, what)
        if shapes is None or votes is None:
            return
        if shapes.count != votes.count:
            what = f"it labels {votes.count} segments, but its masks are {shapes.count}"
            self._note(votes_part, answer, what)
        else:
            self._compare(shapes, votes, answer)

    def _compare(self, shapes: PackedShapes, votes: PackedVotes, answer: Row) -> None:
        """Compare the similarities with those that the exemplars give."""
        digest = answer["release_digest"]
        voters = None if digest is None else self._voters_of(digest)
        if voters is None:
            self._report.uncompared += 1
        elif votes.released not in (0, voters.released) or votes.neighbours(shapes.prototypes, voters) is None:
            what = "its similarities are not those of the exemplars that voted"
            self._note(answer["votes_part"], answer, what)

    def _voters_of(self, digest: str) -> "_Voters | None":
        if digest not in self._voters:
            release = self._release_of(digest)
            if self._added is None:
                self._added = {
                    row["exemplar_id"]: np.frombuffer(row["prototype"], np.float32)
                    for row in self._database.rows(ExemplarRow.__table__)  # type: ignore[arg-type]
                    if not isinstance(row, Unreadable) and isinstance(row["prototype"], bytes)
                }
            self._voters[digest] = None if release is None else _Voters(release, self._added)
        return self._voters[digest]

    def _shapes(self, answer: Row) -> PackedShapes | None:
        key = answer["shapes_part"], answer["width"], answer["height"]
        if key not in self._shapes_of:
            self._shapes_of[key] = self._unpacked(answer["shapes_part"], answer, _shapes)
            if len(self._shapes_of) > _KEPT:
                self._shapes_of.popitem(last=False)
        return self._shapes_of[key]

    def _unpacked(self, part_id: int, answer: Row, unpack: Callable[[bytes, Row], _T]) -> _T | None:
        """Unpack a part; None if it is damaged, which is noted, or missing, which others note."""
        content = self._database.part(part_id)
        if not isinstance(content, bytes):
            return None
        try:
            return unpack(content, answer)
        except DamageError as error:
            self._note(part_id, answer, error.what)
        except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
            self._note(part_id, answer, f"it cannot be unpacked: {error or type(error).__name__}")
        return None

    def _note(self, part_id: int, answer: Row, what: str) -> None:
        self._report.add("answer_parts", part_id, f"{what} (of answer {answer['segmentation_id']})")


class _Voters:
    """The exemplars of a release, and after them all that edits added to any; see `Exemplars` of the packed votes."""

    def __init__(self, release: Release, added: dict[str, np.ndarray]) -> None:
        self._release, self.released = release, len(release.exemplars)
        dimension = release.exemplars.prototypes.shape[1]
        names = [name for name, values in added.items() if values.shape == (dimension,)]
        self._rows = {name: self.released + n for n, name in enumerate(names)}
        new = np.array([added[name] for name in names], dtype=np.float32).reshape(len(names), dimension)
        self._prototypes = np.concatenate([release.exemplars.prototypes, new])
        self._names = [*release.exemplars.ids, *names]

    def ids(self, rows: Sequence[int]) -> list[str]:
        """Ids of exemplars by rows."""
        return [self._names[row] for row in rows]

    def row(self, exemplar_id: str) -> int | None:
        """Row of an exemplar; None if there is none."""
        return self._release.rows.get(exemplar_id, self._rows.get(exemplar_id))

    def prototypes(self, rows: np.ndarray) -> np.ndarray:
        """[n, D] float32, by rows [n]."""
        return np.asarray(self._prototypes[rows])


def _shapes(content: bytes, answer: Row) -> PackedShapes:
    shapes = PackedShapes(content, (answer["height"], answer["width"]))
    shapes.check()
    return shapes


def _votes(content: bytes, answer: Row) -> PackedVotes:
    votes = PackedVotes(content)
    votes.check()
    return votes


def _has_parts(answer: Row) -> bool:
    """Whether the columns that name the parts are there and sound."""
    names = ("shapes_part", "votes_part", "width", "height")
    return all(type(answer.get(name)) is int for name in names)
