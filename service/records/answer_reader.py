"""Reading of recorded answers: one by its id, the newest ones, or many in turn. Damaged ones are found by checksums."""

import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Engine, Exists, Select, exists, inspect, select
from sqlalchemy.orm import Session, aliased

from service.problems import DamageError
from service.records.answered import Answered, Columns, Record
from service.records.checksums import check_row, part_checksum
from service.records.damage import reading
from service.records.giver import gave, given_by
from service.records.live_release import LiveRelease
from service.records.tables import AnswerPartRow, SegmentationRow

Load = Literal["facts", "prototypes", "all"]
_AT_ONCE = 500  # parts that one query reads
_PART = 32  # answers that `AnswerReader.each` holds at a time
_log = logging.getLogger("segsort.records")


class AnswerReader:
    """Reads the answers of a database.

    Attributes:
        engine: the open database.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get(self, segment_id: str, owner: str | None = None) -> Record | None:
        """Read the record of a segment; None if there is none, or if it is not of this owner (None: of anyone)."""
        found = self.find(segment_id, owner)
        return None if found is None else found[0].record(found[1])

    def find(self, segment_id: str, owner: str | None = None) -> tuple[Answered, int] | None:
        """The answer of a segment and its number in it, see `get`. The content of the answer is not read."""
        segmentation_id, _, number = segment_id.rpartition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            return None
        answered, n = self.answer(segmentation_id, owner), int(number)
        if answered is None or n >= answered.facts.segment_count or segment_id != answered.segment_id(n):
            return None
        return answered, n

    def answer(self, segmentation_id: str, owner: str | None = None) -> Answered | None:
        """Read an answer; None if there is none, or if it is not of this owner (None: of anyone).

        Its content is read when it is first used.

        Raises:
            DamageError: 410, if its row was altered.
        """
        if not is_id(segmentation_id):
            return None
        query = select(SegmentationRow).where(SegmentationRow.segmentation_id == segmentation_id)
        if owner is not None:
            query = query.where(SegmentationRow.author == owner)
        with reading("segmentations", segmentation_id, status=410):
            found = self._rows(query)
        if not found:
            return None
        check_row("segmentations", columns_of(found[0]), segmentation_id)
        return Answered(found[0], self._parts, self._columns)

    def newest(
        self,
        count: int,
        before: SegmentationRow | None = None,
        release: LiveRelease | None = None,
        load: Load = "all",
        owner: str | None = None,
        latest: bool = False,
    ) -> list[Answered]:
        """Read the newest answers, the newest first.

        Args:
            count: largest number.
            before: an answer; only older ones are read.
            release: only answers of this release; None: of all. There may be fewer than `count` where versions that
                recorded no digest wrote answers.
            load: what of their content is read at once: nothing, the shapes, or all. The rest is read when it is used,
                answer by answer.
            owner: only answers of this key; None: of all.
            latest: only the newest answer of each image. An answer without an image is one of its own.
        """
        conditions = [] if release is None else [given_by(release)]
        if owner is not None:
            conditions.append(SegmentationRow.author == owner)
        if latest:
            conditions.append(~_newer_of_the_image(owner, release))
        if before is not None:
            conditions.append(SegmentationRow.sequence < before.sequence)
        query = select(SegmentationRow).where(*conditions).order_by(SegmentationRow.sequence.desc()).limit(count)
        found = self._read(query, load)
        return found if release is None else [one for one in found if gave(release, one)]

    def _read(self, query: Select[SegmentationRow], load: Load) -> list[Answered]:
        """Read answers. Those that are damaged are left out, and named in the log."""
        with reading("segmentations"):
            rows = [row for row in self._rows(query) if _is_sound(row)]
        wanted = {row: _wanted_parts(row, load) for row in rows}
        found, damaged = self._checked_parts([part for of_row in wanted.values() for part in of_row])
        for part in damaged:
            _log.error("answers are left out of lists: %s", _damaged_part(part))
        return [
            Answered(row, self._parts, self._columns, {part: found[part] for part in wanted[row] if part in found})
            for row in rows
            if damaged.isdisjoint(wanted[row])
        ]

    def _rows(self, query: Select[SegmentationRow]) -> Sequence[SegmentationRow]:
        with Session(self.engine, expire_on_commit=False) as session:
            return session.scalars(query).all()

    def _parts(self, part_ids: Collection[int]) -> dict[int, bytes]:
        """The parts of answers that are still there, by id.

        Raises:
            DamageError: 410, if one was altered.
        """
        with reading("answer_parts", ", ".join(map(str, part_ids)), status=410):
            found, damaged = self._checked_parts(part_ids)
        for part in damaged:
            raise _damaged_part(part)
        return found

    def _checked_parts(self, part_ids: Collection[int]) -> tuple[dict[int, bytes], set[int]]:
        """The sound parts that are still there, by id, and the ids of damaged ones."""
        wanted, found, damaged = list(part_ids), dict[int, bytes](), set[int]()
        query = select(AnswerPartRow.part_id, AnswerPartRow.content, AnswerPartRow.checksum)
        with self.engine.connect() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                rows = connection.execute(query.where(AnswerPartRow.part_id.in_(wanted[start : start + _AT_ONCE])))
                for part_id, content, checksum in rows:
                    if checksum is None or part_checksum(content) == checksum:
                        found[part_id] = content
                    else:
                        damaged.add(part_id)
        return found, damaged

    def _columns(self, segmentation_id: str) -> Columns | None:
        """The content of an answer of an earlier version; None if it is gone."""
        columns = [getattr(SegmentationRow, name) for name in Columns._fields]
        with self.engine.connect() as connection:
            row = connection.execute(select(*columns).where(SegmentationRow.segmentation_id == segmentation_id)).first()
        return None if row is None else Columns(*row)

    def each(self, segmentation_ids: Sequence[str], load: Load = "all") -> Iterator[Answered]:
        """Read answers in their order, a few at a time, so that many of them do not fill the memory.

        Args:
            segmentation_ids: of the answers. Those that do not exist are left out.
            load: see `newest`.
        """
        for start in range(0, len(segmentation_ids), _PART):
            part = segmentation_ids[start : start + _PART]
            query = select(SegmentationRow).where(SegmentationRow.segmentation_id.in_(part))
            found = {answered.facts.segmentation_id: answered for answered in self._read(query, load)}
            yield from (found[one] for one in part if one in found)


def is_id(segmentation_id: str) -> bool:
    """Whether a text may be the id of an answer. A database may refuse other characters."""
    return segmentation_id.isascii() and segmentation_id.isalnum()


_CHECKED = [name for name, column in inspect(SegmentationRow).column_attrs.items() if not column.deferred]


def columns_of(row: SegmentationRow) -> dict[str, Any]:
    """The columns of a row by name, without those of earlier versions' content."""
    loaded = vars(row)  # without SQLAlchemy's access to each, which takes three times as long
    return {name: loaded[name] if name in loaded else getattr(row, name) for name in _CHECKED}


def _is_sound(row: SegmentationRow) -> bool:
    try:
        check_row("segmentations", columns_of(row), row.segmentation_id)
    except DamageError as error:
        _log.error("an answer is left out of lists: %s", error)
        return False
    return True


def _wanted_parts(row: SegmentationRow, load: Load) -> list[int]:
    wanted = {"facts": [], "prototypes": [row.shapes_part], "all": [row.shapes_part, row.votes_part]}[load]
    return [part for part in wanted if part is not None]


def _damaged_part(part: int) -> DamageError:
    return DamageError("answer_parts", str(part), "it was altered: its checksum does not fit", status=410)


def _newer_of_the_image(owner: str | None, release: LiveRelease | None) -> Exists:
    """Whether the image of an answer has a newer answer, among those that a list with these conditions shows."""
    newer = aliased(SegmentationRow)
    conditions = [newer.image_id == SegmentationRow.image_id, newer.sequence > SegmentationRow.sequence]
    conditions += [] if owner is None else [newer.author == owner]
    conditions += [] if release is None else [given_by(release, newer)]
    return exists().where(*conditions)
