"""Moves the content of stored images from the database to the object store, or back, also while the service runs."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, func, select, update

from service.records.objects.rows import attach, detach, has_content, key_of, new_key, reserve
from service.records.objects.store import ObjectStore
from service.records.tables import ImageObjectRow, ImageRow

_AT_ONCE = 200  # ids of one query
_EMPTY = func.length(ImageRow.content) == 0


class Moved(NamedTuple):
    """An image that was moved. fault: why it was not; None: it was."""

    image_id: str
    size: int
    fault: str | None = None


def to_store(database: Engine, store: ObjectStore) -> Iterator[Moved]:
    """Move the content of each image from its row to a file. What is moved stays moved if this ends early.

    Raises:
        Problem: 503 if the store does not answer.
    """
    for image_id in _ids(database, in_database=True):
        with database.connect() as connection:
            content = connection.execute(_content_of(image_id)).scalar()
        if not content:
            continue  # it was deleted, or moved by another process
        fault = _fault(image_id, content)
        if fault is None:
            key = new_key(image_id)
            reserve(database, key, len(content))
            store.put(key, content)
            with database.begin() as connection:
                _empty(connection, image_id, key)
        yield Moved(image_id, len(content), fault)


def to_database(database: Engine, store: ObjectStore) -> Iterator[Moved]:
    """Move the content of each image from its file to its row. The files are deleted later.

    Raises:
        Problem: 503 if the store does not answer.
    """
    for image_id in _ids(database, in_database=False):
        with database.connect() as connection:
            key = key_of(connection, image_id)
        if key is None:
            continue
        content = store.get(key)
        fault = f"the image store has no file {key}" if content is None else _fault(image_id, content)
        if fault is None:
            with database.begin() as connection:
                fill = update(ImageRow).where(ImageRow.image_id == image_id, _EMPTY).values(content=content)
                if connection.execute(fill).rowcount:
                    detach(connection, [image_id])
        yield Moved(image_id, len(content or b""), fault)


def _ids(database: Engine, in_database: bool) -> Iterator[str]:
    """Ids of images by where their content is, in their order, those that are stored meanwhile left out."""
    where, after = ~_EMPTY if in_database else ImageRow.image_id.in_(select(ImageObjectRow.image_id)), ""
    while True:
        query = select(ImageRow.image_id).where(where, ImageRow.image_id > after).order_by(ImageRow.image_id)
        with database.connect() as connection:
            found = connection.execute(query.limit(_AT_ONCE)).scalars().all()
        if not found:
            return
        yield from found
        after = found[-1]


def _content_of(image_id: str) -> Select[Any]:
    return select(ImageRow.content).where(ImageRow.image_id == image_id)


def _fault(image_id: str, content: bytes) -> str | None:
    return None if hashlib.sha256(content).hexdigest() == image_id else "its content was altered; see `segsort verify`"


def _empty(connection: Connection, image_id: str, key: str) -> None:
    """Take the content out of a row, and name its file, unless the image was deleted meanwhile."""
    emptied = update(ImageRow).where(ImageRow.image_id == image_id, ~_EMPTY).values(content=b"")
    if (
        connection.execute(emptied).rowcount
        and not attach(connection, key, image_id)
        and not has_content(connection, image_id)
    ):
        raise ValueError(f"the file {key} was deleted while it was written; run the command again")
