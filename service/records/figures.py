"""What the database holds, and how much space that takes."""

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select, text

from service.records.connection import is_in_memory
from service.records.tables import ImageObjectRow, ImageRow, SegmentationRow

_PER_ROW = 1000  # bytes that PostgreSQL takes for a row and its place in indexes, beside its content


class Figures(NamedTuple):
    """The content of a database, and its space in bytes.

    answers: all of them; pinned: those among them; answer_bytes, pinned_bytes: their content; oldest: when the oldest
    one was recorded, by its time; None: there is none; images: image files; image_bytes: of their content in the
    database; object_bytes: of that in the object store; unused_objects, unused_object_bytes: files there that wait for
    their deletion; used: space that is taken, on
    PostgreSQL estimated from the content; unused: space in the file that the next rows take, of SQLite; free: on the
    disk; None: on another machine, or in memory.
    """

    answers: int = 0
    pinned: int = 0
    answer_bytes: int = 0
    pinned_bytes: int = 0
    oldest: datetime | None = None
    images: int = 0
    image_bytes: int = 0
    object_bytes: int = 0
    unused_objects: int = 0
    unused_object_bytes: int = 0
    used: int = 0
    unused: int = 0
    free: int | None = None


_IN_USE = ImageObjectRow.image_id.is_not(None)
_OBJECTS = select(_IN_USE, func.count(), func.sum(ImageObjectRow.size)).group_by(_IN_USE)


class _Group(NamedTuple):
    """Answers that are pinned, or those that are not. PostgreSQL gives sums as decimal numbers."""

    answers: int = 0
    size: float = 0
    oldest: datetime | None = None


def measure(database: Engine) -> Figures:
    """Count and measure the content of a database. Only indexes are read, without locks.

    Raises:
        SQLAlchemyError: if the database does not answer.
    """
    grouped = select(
        SegmentationRow.pinned, func.count(), func.sum(SegmentationRow.size), func.min(SegmentationRow.created)
    ).group_by(SegmentationRow.pinned)
    with database.connect() as connection:
        groups = {row[0]: _Group(*row[1:]) for row in connection.execute(grouped)}
        images, image_bytes = connection.execute(select(func.count(), func.sum(ImageRow.size))).one()
        objects = {bool(row[0]): (row[1], int(row[2])) for row in connection.execute(_OBJECTS)}
        answers, size = sum(g.answers for g in groups.values()), int(sum(g.size for g in groups.values()))
        pinned = groups.get(True, _Group())
        oldest = min((group.oldest for group in groups.values() if group.oldest is not None), default=None)
        in_store, (waiting, wasted) = objects.get(True, (0, 0))[1], objects.get(False, (0, 0))
        in_database = int(image_bytes or 0) - in_store
        found = Figures(answers, pinned.answers, size, int(pinned.size), oldest, images, in_database, in_store)
        found = found._replace(unused_objects=waiting, unused_object_bytes=wasted)
        used, unused = _space(connection, found)
    return found._replace(used=used, unused=unused, free=free_space(database))


def free_space(database: Engine) -> int | None:
    """Bytes that are free on the disk of an SQLite file; None for other databases."""
    folder = file_of(database)
    return None if folder is None else shutil.disk_usage(folder.parent).free


def file_of(database: Engine) -> Path | None:
    """The file of an SQLite database; None if it has none that is known."""
    name = database.url.database
    if database.dialect.name != "sqlite" or is_in_memory(database.url) or name is None or name.startswith("file:"):
        return None
    return Path(os.path.abspath(name))


def _space(connection: Connection, found: Figures) -> tuple[int, int]:
    if connection.dialect.name == "sqlite":
        pages, unused, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - unused) * size, unused * size
    # The size of its files includes deleted rows, whose space the next ones take: it does not say how much is left.
    others = text("SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(ARRAY['edits', 'exemplars']) AS name")
    rows = found.answers + found.images
    return found.answer_bytes + found.image_bytes + rows * _PER_ROW + int(connection.execute(others).scalar_one()), 0
