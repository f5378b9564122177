"""Compaction: answers of versions before the schema revision 0008 are written in the space of new ones."""

from collections.abc import Callable

from sqlalchemy import Engine, select, update

from service.records.answered import Answered, RecordedNeighbours, pack
from service.records.database import Records
from service.records.live_release import LiveRelease
from service.records.packing.votes import PackedVotes
from service.records.parts import written
from service.records.tables import SegmentationRow

Find = Callable[[Answered], LiveRelease | None]
_EMPTY = {"segments": b"", "prototypes": b"", "exemplar_ids": "", "neighbours": b"", "similarities": b""}


def compact(records: Records, release_of: Find) -> tuple[int, int]:
    """Rewrite the answers of earlier versions, each in a transaction of its own.

    Args:
        records: the database.
        release_of: finds the release that gave an answer; None: it is gone. Such an answer is left as it is, because
            it would keep the ids and cosines of all its neighbours.

    Returns:
        How many answers were rewritten, and how many were left.

    Raises:
        SQLAlchemyError: if the database does not answer.
    """
    done, left, last = 0, 0, 0
    while (sequence := _next(records.engine, last)) is not None:
        last, (segmentation_id, old) = sequence[0], (sequence[1], records.answer(sequence[1]))
        live = None if old is None else release_of(old)
        if old is not None and live is not None and _rewrite(records.engine, old, live):
            done += 1
        elif old is not None or records.answer(segmentation_id) is not None:
            left += 1
    return done, left


def _next(database: Engine, last: int) -> tuple[int, str] | None:
    columns = (SegmentationRow.sequence, SegmentationRow.segmentation_id)
    query = select(*columns).where(SegmentationRow.votes_part.is_(None), SegmentationRow.sequence > last)
    with database.connect() as connection:
        found = connection.execute(query.order_by(SegmentationRow.sequence).limit(1)).first()
    return None if found is None else (int(found[0]), str(found[1]))


def _rewrite(database: Engine, old: Answered, live: LiveRelease) -> bool:
    """Rewrite one answer if it is read back as it was; whether it was. From now on it names its release's digest."""
    found, exemplars = old.neighbours(None), live.state
    rows = [exemplars.row(name) for name in found.exemplar_ids]
    if None in rows:
        return False
    arrays = RecordedNeighbours(old.prototypes, found.exemplar_ids, found.places, found.cosines, None, exemplars)
    content = pack(old.segments, old.size, arrays, None)
    again = PackedVotes(content.votes).neighbours(old.prototypes, exemplars)
    if again is None or again.cosines.tobytes() != found.cosines.tobytes():
        return False
    which = SegmentationRow.segmentation_id == old.facts.segmentation_id
    with database.begin() as connection:
        columns = _EMPTY | {"release_digest": live.digest} | written(connection, content)
        return bool(connection.execute(update(SegmentationRow).where(which).values(**columns)).rowcount)
