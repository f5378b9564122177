"""Rows of files in an object store: each is named before it is written, and until it is deleted.

A key is used once. Between a row that names no image and the file nothing can go wrong: whoever deletes files claims
their rows first, and a claimed file does not become that of an image. So no file is lost or left behind, whenever a
process ends, and the store is never listed.
"""

import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Engine, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from service.problems import DamageError
from service.records.tables import ImageObjectRow, ImageRow, now

_LIVE = ImageObjectRow.image_id.is_not(None)


def new_key(image_id: str) -> str:
    """A key that no file has: the digest of the content, and a random part."""
    return f"{image_id[:2]}/{image_id}-{secrets.token_hex(8)}"


def image_of(key: str) -> str:
    """The image whose content a file has, by its key."""
    return key.rpartition("/")[2].partition("-")[0]


def missing_file(image_id: str, why: str) -> DamageError:
    """410: an image is stored, and its file is not."""
    fix = "restore the file from a copy of the image store, and check SEGSORT_IMAGES_URL (docs/storage.md)"
    return DamageError("images", image_id, f"its file is missing: {why}", fix=fix, status=410)


def reserve(database: Engine, key: str, size: int) -> None:
    """Name a file that is written next. It counts as unused from now on, until `attach`."""
    row = {"object_key": key, "image_id": None, "size": size, "unused_since": now(), "deleting": False}
    with database.begin() as connection:
        connection.execute(insert(ImageObjectRow), row)


def attach(connection: Connection, key: str, image_id: str) -> bool:
    """Make a file that of an image, in the transaction that stores the image's row.

    Returns:
        Whether that was done. It is not if the image has its content already, or the file is being deleted.
    """
    other = aliased(ImageObjectRow)
    is_empty = exists().where(ImageRow.image_id == image_id, func.length(ImageRow.content) == 0)
    statement = update(ImageObjectRow).values(image_id=image_id, unused_since=None)
    statement = statement.where(
        ImageObjectRow.object_key == key, ~ImageObjectRow.deleting, ~_LIVE, is_empty,
        ~exists().where(other.image_id == image_id),
    )  # fmt: skip
    return bool(connection.execute(statement, execution_options={"synchronize_session": False}).rowcount)


def detach(connection: Connection, image_ids: Collection[str]) -> None:
    """Count the files of images as unused from now on, in the transaction that deletes the images' rows."""
    statement = update(ImageObjectRow).where(ImageObjectRow.image_id.in_(list(image_ids)))
    connection.execute(statement.values(image_id=None, unused_since=now()))


def key_of(connection: Connection, image_id: str) -> str | None:
    """The key of the file of an image; None if it has none."""
    return connection.execute(select(ImageObjectRow.object_key).where(ImageObjectRow.image_id == image_id)).scalar()


def has_content(connection: Connection, image_id: str) -> bool:
    """Whether an image has its content: in the database, or as a file in the store."""
    in_store = exists().where(ImageObjectRow.image_id == image_id)
    query = select(ImageRow.image_id).where(ImageRow.image_id == image_id)
    return connection.execute(query.where(or_(func.length(ImageRow.content) > 0, in_store))).first() is not None


def claim_unused(database: Engine, grace: float, most: int) -> Sequence[str]:
    """Select files that have been unused for longer than `grace` seconds, and keep them from becoming an image's."""
    old = ImageObjectRow.unused_since < now() - timedelta(seconds=grace)
    query = select(ImageObjectRow.object_key).where(old, ~_LIVE).order_by(ImageObjectRow.unused_since).limit(most)
    with database.connect() as connection:
        keys = connection.execute(query).scalars().all()
    if not keys:
        return []
    with database.begin() as connection:
        claim = update(ImageObjectRow).where(ImageObjectRow.object_key.in_(keys), ~_LIVE, old).values(deleting=True)
        connection.execute(claim)
        deleting = select(ImageObjectRow.object_key).where(ImageObjectRow.object_key.in_(keys), ImageObjectRow.deleting)
        return connection.execute(deleting).scalars().all()


def forget(database: Engine, keys: Collection[str]) -> None:
    """Delete the rows of files that are deleted."""
    with database.begin() as connection:
        own = ImageObjectRow.object_key.in_(list(keys))
        connection.execute(delete(ImageObjectRow).where(own, ImageObjectRow.deleting))


def newest_key(database: Engine) -> str | None:
    """The key of the file of one of the images; None if no image has a file."""
    query = select(ImageObjectRow.object_key).where(_LIVE).limit(1)
    with database.connect() as connection:
        return connection.execute(query).scalar()
