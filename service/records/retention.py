"""Retention: the oldest answers are deleted in small steps, so that the database does not grow for ever.

Answers are ordered by their sequence. Times decide only how old the oldest ones are: a clock that was set back does not
make new answers old, and one that was set forward deletes nothing.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, false, func, not_, select, update

from service.records.deletion import delete_answers, delete_unused_images, lock_images
from service.records.tables import ImageRow, RevisionRow, SegmentationRow, now

_MOST, _FIRST, _FEWEST = 500, 8, 4  # answers of one step
_MOST_BYTES = 16_000_000  # of their images
_LONG, _SHORT = 0.03, 0.01  # seconds of a step above which the next one is smaller, and below which it is larger
_ROUND = 0.5  # seconds of steps and the pauses between them in one round
_PAUSE, _SHARE = 2.0, 50  # seconds between two measurements, and at least so many times the duration of one
_UNPINNED = SegmentationRow.pinned == false()


class Retention(NamedTuple):
    """Which answers are kept beside the pinned ones. days: those younger; answers, size: so many, and so many bytes of
    content, the newest. None: no limit."""

    days: float | None = None
    answers: int | None = None
    size: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether there is any limit."""
        return self != Retention()


class Pruner:
    """Deletes answers past the retention. Several processes may do so over one database at the same time.

    What is past the retention is known as a place in the sequence, never as a number of answers: of two processes that
    counted the same surplus, each would delete it, and the newest answers would go.

    Args:
        database: an open database.
        retention: what is kept.
        clock: seconds that go on evenly, also while the machine sleeps.

    Attributes:
        pruned: number of answers that were deleted by this process.
    """

    def __init__(self, database: Engine, retention: Retention, clock: Callable[[], float] | None = None) -> None:
        self._database, self.retention = database, retention
        self._clock = clock if clock is not None else _boot_time
        self._began, self._at = now(), self._clock()
        self.pruned = 0
        self._before = 0  # every answer before this place in the sequence is past the retention; 0: none is
        self._next = self._at
        self._batch = _FIRST

    def round(self) -> int:
        """Delete some of what is past the retention, for half a second at most.

        Between two steps, each of one short transaction, other writers have as much time as a step took.

        Returns:
            How many answers were deleted.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if not self.retention.is_set:
            return 0
        begun, deleted = self._clock(), 0
        if begun >= self._next:
            self._before = self._measured()
            ended = self._clock()
            self._next = ended + max(_PAUSE, _SHARE * (ended - begun))
        while (done := self.step()) and self._clock() < begun + _ROUND:
            deleted += done
        return deleted + done

    def all(self) -> int:
        """Delete everything that is past the retention, and return how many answers that were."""
        deleted = 0
        while True:
            self._next = 0.0
            found = self.round()
            deleted += found
            if not found:
                return deleted

    def step(self) -> int:
        """Delete the oldest answers in one transaction of some tens of milliseconds, and return how many."""
        victims = self._victims() if self._before else []
        if not victims:
            self._before = 0
            return 0
        with self._database.begin() as connection:
            connection.execute(update(RevisionRow).values(number=RevisionRow.number))
            begun = time.monotonic()  # others wait from here on; what this step waited for them does not count
            deleted = _delete(connection, victims)
        self.pruned += deleted
        took = time.monotonic() - begun
        if took > _LONG:
            self._batch = max(_FEWEST, self._batch // 2)
        elif took < _SHORT:
            self._batch = min(_MOST, self._batch * 2)
        time.sleep(max(took, 0.005))
        return deleted

    def _measured(self) -> int:
        """The place in the sequence before which every answer is past the retention; 0: none is."""
        kept, own = self.retention, SegmentationRow.sequence
        newest = select(own).where(_UNPINNED).order_by(own.desc()).limit(1)
        queries = []
        if kept.answers is not None:
            queries.append(newest.offset(kept.answers))
        if kept.size is not None:
            total = func.sum(SegmentationRow.size).over(order_by=own.desc())
            sums = select(own, total.label("total")).where(_UNPINNED).subquery()
            queries.append(
                select(sums.c.sequence).where(sums.c.total > kept.size).order_by(sums.c.sequence.desc()).limit(1)
            )
        places = [0 if kept.days is None else self._before_days(kept.days)]
        with self._database.connect() as connection:
            found = [connection.execute(query).scalar() for query in queries]
        return max(places + [int(one) + 1 for one in found if one is not None])

    def _before_days(self, days: float) -> int:
        """The place in the sequence before which every answer is too old.

        It is that of the first answer that is young. If there is none, it is the place after the last old one.
        """
        present = min(now(), self._began + timedelta(seconds=self._clock() - self._at))
        limit = present - timedelta(days=min(days, 1e6))
        is_young = and_(SegmentationRow.created >= limit, SegmentationRow.created <= max(now(), present))
        with self._database.connect() as connection:
            first = select(SegmentationRow.sequence).where(_UNPINNED, is_young).order_by(SegmentationRow.sequence)
            found = connection.execute(first.limit(1)).scalar()
            if found is None:
                last = select(func.max(SegmentationRow.sequence)).where(_UNPINNED, SegmentationRow.created < limit)
                found = (connection.execute(last).scalar() or 0) + 1
        return int(found)

    def _victims(self) -> list[int]:
        """The places in the sequence of the next answers to delete."""
        query = select(SegmentationRow.sequence, ImageRow.size)
        query = query.outerjoin(ImageRow, ImageRow.image_id == SegmentationRow.image_id)
        query = query.where(_UNPINNED, SegmentationRow.sequence < self._before).order_by(SegmentationRow.sequence)
        with self._database.connect() as connection:
            oldest = connection.execute(query.limit(self._batch)).all()
        victims, images = list[int](), 0
        for sequence, image in oldest:
            images += image or 0
            if victims and images > _MOST_BYTES:
                break
            victims.append(int(sequence))
        return victims


def _delete(connection: Connection, victims: list[int]) -> int:
    """Delete answers, unless they were pinned meanwhile, and the images that nothing else uses."""
    which: ColumnElement[bool] = and_(SegmentationRow.sequence.in_(victims), not_(SegmentationRow.pinned))
    images = select(SegmentationRow.image_id).where(which, SegmentationRow.image_id.is_not(None)).distinct()
    image_ids = [str(one) for one in connection.execute(images).scalars()]
    if image_ids:
        lock_images(connection, image_ids)
    deleted = delete_answers(connection, which)
    if image_ids:
        delete_unused_images(connection, image_ids)
    return deleted


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
