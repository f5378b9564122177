"""Recorded answers: everything that an explanation needs, kept over restarts."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Engine, FromClause, and_, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from service.logs import note_touched
from service.problems import AGAIN, Problem
from service.records import parts
from service.records.answer_reader import AnswerReader
from service.records.answered import Answered, Record, RecordedNeighbours, SharedShapes, pack
from service.records.checksums import with_checksum
from service.records.connection import Waits, connect, durable_transaction, is_in_memory
from service.records.deletion import delete_answers, delete_images, delete_unused_images, lock_images
from service.records.image_store import ImageFile, ImageStore, Kept, insert_image
from service.records.objects.images import ImageObjects
from service.records.objects.store import ObjectStore
from service.records.retention import Pruner, Retention
from service.records.room import Limits, Room
from service.records.schema_version import open_database
from service.records.tables import ImageRow, RevisionRow, SegmentationRow, next_in_sequence, now
from service.records.vacuum import give_back
from service.settings import Settings

__all__ = ["Answered", "Record", "RecordedNeighbours", "Records"]

_MEGABYTE = 1_000_000
_ROW: FromClause = SegmentationRow.__table__
_INSERTS = {
    name: insert(_ROW).values(sequence=next_in_sequence(_ROW, name))  # type: ignore[arg-type]  # declared as any FROM clause
    for name in ("sqlite", "postgresql")
}
_OLD_COLUMNS = {"segments": b"", "prototypes": b"", "exemplar_ids": "", "neighbours": b"", "similarities": b""}


class Records(AnswerReader):
    """The database of recorded answers: answers are recorded, read, deleted and pinned.

    Args:
        url: SQLAlchemy URL of an SQLite or PostgreSQL database.
        keep_images: largest total size of the images that are kept for answers, bytes.
        waits: how long statements may wait.
        limits: how much space it may take.
        retention: which answers are kept.
        objects: makes what holds the content of images, from the open database; None: the database does.

    Attributes:
        images: the images in it.
        room: the space that is left.
        pruner: deletes answers past the retention.
        trouble: why the last answer could not be recorded; None if it was recorded.

    Raises:
        ValueError: if the database cannot be opened.
    """

    def __init__(
        self,
        url: str,
        keep_images: int = 0,
        waits: Waits = Waits(),  # noqa: B008  # immutable
        limits: Limits = Limits(),  # noqa: B008
        retention: Retention = Retention(),  # noqa: B008
        objects: Callable[[Engine], ImageObjects] | None = None,
    ) -> None:
        super().__init__(open_database(url, waits))
        # Health checks have a connection of their own, because others may hold all of the pool.
        self._health = self.engine if is_in_memory(self.engine.url) else connect(url, waits._replace(connections=1))
        self.images = ImageStore(self.engine, keep_images, None if objects is None else objects(self.engine))
        self.room, self.pruner = Room(self.engine, limits), Pruner(self.engine, retention)
        self.room.look()
        self.trouble: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Records":
        """The database that the settings name."""
        waits = Waits(settings.lock_timeout_s, settings.statement_timeout_s, settings.database_connections)
        limits = Limits(_bytes(settings.quota_mb), settings.reserve_mb * _MEGABYTE)
        days, answers, size = settings.retention_days, settings.retention_answers, _bytes(settings.retention_mb)
        kept = settings.keep_images_mb * _MEGABYTE
        return cls(settings.database, kept, waits, limits, Retention(days, answers, size), image_objects(settings))

    @property
    def chores(self) -> list[Callable[[], object]]:
        """What keeps the database within its limits, step by step; see `service.records.housekeeping`."""
        return [self.room.look, self.pruner.round, self.images.trim, partial(give_back, self.engine)]

    def add(
        self,
        segmentation: dict[str, Any],
        segments: list[dict[str, Any]],
        retrieved: RecordedNeighbours,
        image: ImageFile | None = None,
        shapes: bytes | SharedShapes | None = None,
        keeping: Callable[[], Kept] | None = None,
    ) -> None:
        """Record one answer in one transaction.

        Args:
            segmentation: the columns of `SegmentationRow` that hold plain values, without those that are set here.
            segments: class_id, share, confidence, known and mask counts of each segment.
            retrieved: its arrays.
            image: the image file that was segmented.
            shapes: its shapes, if they are packed already or another answer has the same; None: they are packed here.
            keeping: of the content of the image, which began already, see `ImageStore.begin_to_keep`.

        Raises:
            Problem: 503 if the database refuses the answer, or the object store its image; 507 if there is no room.
        """
        self.room.check_answer()
        size = (segmentation["height"], segmentation["width"])
        content = pack(segments, size, retrieved, shapes)
        kept = self._kept(image, keeping)
        note_touched(segmentation["segmentation_id"])
        row = segmentation | _OLD_COLUMNS | {"created": now(), "segment_count": len(segments)}
        try:
            with self.engine.begin() as connection:
                written = parts.written(connection, content)
                whole = with_checksum(_ROW, row | written)
                connection.execute(_INSERTS[connection.dialect.name], whole)
                if kept is not None:
                    self.images.insert(connection, kept)
            self.trouble = None
            in_database = 0 if image is None or self.images.objects is not None else len(image.content)
            self.room.note(written["size"] + in_database)
        except SQLAlchemyError as error:
            self.trouble = str(getattr(error, "orig", error))[:200]
            raise Problem(
                503, "The answer could not be recorded in the database. Only recorded answers are sent.",
                received=str(getattr(error, "orig", error)),
                fix="Try again. If it fails again, the operator should check the database and the disk.", headers=AGAIN,
            ) from error  # fmt: skip

    def _kept(self, image: ImageFile | None, keeping: Callable[[], Kept] | None) -> Kept | None:
        if image is None or not self.images.budget:
            return None
        return self.images.keep(image) if keeping is None else keeping()

    def remove(self, answered: Answered, owner: str | None = None, all_of_image: bool = False) -> int:
        """Delete an answer. Its image goes too, unless another answer or an exemplar uses it.

        Args:
            answered: the answer.
            owner: with `all_of_image`, only answers of this key; None: of all.
            all_of_image: delete every answer of the image.

        Returns:
            How many answers were deleted.

        Raises:
            Problem: 503 if the database refuses; nothing is deleted then.
        """
        facts = answered.facts
        which = SegmentationRow.segmentation_id == facts.segmentation_id
        if all_of_image and facts.image_id is not None:
            of_owner = [] if owner is None else [SegmentationRow.author == owner]
            which = or_(which, and_(SegmentationRow.image_id == facts.image_id, *of_owner))
        try:
            with durable_transaction(self.engine) as connection:
                if facts.image_id is not None:
                    lock_images(connection, [facts.image_id])
                deleted = delete_answers(connection, which)
                if facts.image_id is not None:
                    delete_unused_images(connection, [facts.image_id])
        except SQLAlchemyError as error:
            raise Problem(
                503, "The answer could not be deleted from the database.", received=str(getattr(error, "orig", error)),
                fix="Try again. If it fails again, the operator should check the database and the disk.",
            ) from error  # fmt: skip
        return deleted

    def pin(self, answered: Answered, pinned: bool) -> None:
        """Keep an answer whatever the retention, or no longer, and all that updates made of the same first answer.

        Raises:
            Problem: 503 if the database refuses.
        """
        facts = answered.facts
        first = facts.lineage or facts.segmentation_id
        which = or_(SegmentationRow.segmentation_id == first, SegmentationRow.lineage == first)
        if facts.image_id is not None:  # an index finds all answers of the image
            which = and_(SegmentationRow.image_id == facts.image_id, which)
        try:
            with durable_transaction(self.engine) as connection:
                connection.execute(update(SegmentationRow).where(which).values(pinned=pinned))
        except SQLAlchemyError as error:
            raise Problem(
                503, "The database did not confirm it.", received=str(getattr(error, "orig", error)),
                fix="Try again. If it fails again, the operator should check the database and the disk.",
            ) from error  # fmt: skip

    def ping(self) -> None:
        """Raise SQLAlchemyError if the database does not answer."""
        with self._health.connect() as connection:
            connection.execute(select(1))

    def try_to_write(self) -> None:
        """Raise SQLAlchemyError if the database cannot be written. The rows of the trial are removed again."""
        probe = ImageFile("probe", "image/png", 1, 1, bytes(100_000))
        with self.engine.begin() as connection:
            connection.execute(update(RevisionRow).values(number=RevisionRow.number))
            insert_image(connection, probe)
            delete_images(connection, ImageRow.image_id == probe.image_id)
        self.trouble = None

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self._health.dispose()
        if self.images.objects is not None:
            self.images.objects.close()


def image_objects(settings: Settings) -> Callable[[Engine], ImageObjects] | None:
    """Makes what holds the content of images outside the database, as the settings say; None: the database holds it.

    Raises:
        ValueError: if the URL of the store cannot be used.
    """
    if not settings.images_url:  # a compose file sets variables without a value to ""
        return None
    store, cache = ObjectStore(settings.images_url, settings.images_timeout_s), settings.images_cache_mb * _MEGABYTE
    return lambda database: ImageObjects(database, store, settings.images_grace_s, cache)


def _bytes(megabytes: int | None) -> int | None:
    return None if megabytes is None else megabytes * _MEGABYTE
