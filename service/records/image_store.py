"""Image files. An answer can be shown again, and its segments can become exemplars.

The row of an image is in the database, and so is its content, unless there is an object store for it. Every reader and
writer of stored images goes through `ImageStore`.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, FromClause, RowMapping, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.problems import DamageError, Problem
from service.records.checksums import check_row, with_checksum
from service.records.damage import reading
from service.records.deletion import delete_images
from service.records.objects.images import ImageObjects
from service.records.objects.rows import key_of, missing_file, newest_key
from service.records.tables import ExemplarRow, ImageRow, RevisionRow, SegmentationRow, next_in_sequence, now

_SIGNATURES = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"RIFF", "image/webp"),
    (b"\0\0\0\x0cjP  ", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    *((b"P%d" % kind, "image/x-portable-anymap") for kind in (1, 2, 3, 4, 5, 6)),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"GIF8", "image/gif"),
)
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "image/heic"
)
_UNKNOWN = "application/octet-stream"
_DIGITS = 16  # of an image_id that name an image


def unnamed_source(image_id: str) -> str:
    """The source of exemplars of an image that has no name.

    It is part of exemplars' ids. Another wording would make an image that databases already hold a new one.
    """
    return f"picture {image_id[:_DIGITS]}"


@dataclass(frozen=True)
class ImageFacts:
    """What is stored of an image beside its content; width and height are of the upright image."""

    image_id: str
    media_type: str
    width: int
    height: int


@dataclass(frozen=True)
class ImageFile:
    """An image file as it was received.

    Attributes:
        image_id: SHA-256 of the content, hexadecimal.
        media_type: by the first bytes of the content.
        width: pixels of the upright image.
        height: pixels of the upright image.
        content: the file.
    """

    image_id: str
    media_type: str
    width: int
    height: int
    content: bytes

    @classmethod
    def of(cls, content: bytes, size: tuple[int, int]) -> "ImageFile":
        """Describe a file that was decoded to an upright image of size (H, W)."""
        media_type = next((kind for start, kind in _SIGNATURES if content.startswith(start)), _UNKNOWN)
        if content[4:8] == b"ftyp":  # a file of ISO boxes, with its brand in the first one
            media_type = _BRANDS.get(content[8:12], _UNKNOWN)
        return cls(hashlib.sha256(content).hexdigest(), media_type, size[1], size[0], content)


_RENEWED = ("media_type", "width", "height", "size", "created", "sequence", "checksum")


def _upsert(dialect: Any, name: str) -> Any:
    """The row is renewed, apart from the content, which its id names."""
    table: FromClause = ImageRow.__table__
    statement = dialect.insert(table).values(sequence=next_in_sequence(table, name))
    newer = {name: statement.excluded[name] for name in _RENEWED}
    return statement.on_conflict_do_update(index_elements=["image_id"], set_=newer)


_UPSERTS = {name: _upsert(dialect, name) for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))}


def insert_image(connection: Connection, image: ImageFile, content: bytes | None = None) -> None:
    """Store the row of an image. An image that is already stored becomes the newest one.

    Args:
        connection: in a transaction.
        image: the image.
        content: its content in the database; None: that of the image.
    """
    row = vars(image) | {"size": len(image.content), "created": now()}
    if content is not None:
        row["content"] = content
    connection.execute(_UPSERTS[connection.dialect.name], with_checksum(ImageRow.__table__, row))


def image_is_stored(connection: Connection, image_id: str | None) -> bool:
    """Check whether an image is stored, by its row."""
    return connection.execute(select(ImageRow.image_id).where(ImageRow.image_id == image_id)).first() is not None


def is_elsewhere(row: Mapping[Any, Any]) -> bool:
    """Whether the content of a row of `images` is in an object store."""
    return not row["content"] and row["size"] > 0


def check_image(row: Mapping[Any, Any], content: bytes) -> None:
    """Check a row of `images` against its checksum, and the content against its digest, which is the image's id.

    Raises:
        DamageError: 410, if it was altered.
    """
    name = str(row["image_id"])
    check_row("images", row, name)
    if hashlib.sha256(content).hexdigest() != name:
        raise DamageError("images", name, "its content was altered: its SHA-256 is not the image_id", status=410)


_UNPROTECTED = (
    ~exists().where(ExemplarRow.image_id == ImageRow.image_id),
    ~exists().where(SegmentationRow.image_id == ImageRow.image_id, SegmentationRow.pinned),
)


class Kept(NamedTuple):
    """An image whose row is to be stored.

    object_key: of the file that holds its content from now on; None: the content goes into the database, or is there.
    """

    image: ImageFile
    object_key: str | None = None


class ImageStore:
    """The stored images. The oldest ones are removed when they exceed a budget.

    Images of exemplars and of pinned answers stay, and do not count.

    Args:
        database: the database.
        budget: largest total size of the other images, bytes; 0 stores no such image.
        objects: holds the content of new images; None: the database does.
    """

    def __init__(self, database: Engine, budget: int, objects: ImageObjects | None = None) -> None:
        self._database, self.budget, self.objects = database, budget, objects
        self._unchecked = budget + 1  # bytes stored since the last `trim`; unknown at the start, so above the budget

    def check(self) -> None:
        """Check at the start that the content of the images can be read and written.

        Raises:
            ValueError: if not, with what to do.
        """
        if self.objects is not None:
            self.objects.check()
        elif (key := newest_key(self._database)) is not None:
            raise ValueError(
                f"images of the database are in an object store (the file {key}, for example), and SEGSORT_IMAGES_URL "
                "is not set; set it, or run `segsort images move --to database` with it set"
            )

    def keep(self, image: ImageFile) -> Kept:
        """Keep the content of an image, before the transaction that stores its row.

        Raises:
            Problem: 503 if the object store does not answer.
        """
        return Kept(image, None if self.objects is None else self.objects.put(image.image_id, image.content))

    def begin_to_keep(self, content: bytes, size: tuple[int, int]) -> Callable[[], Kept] | None:
        """Keep the content of an image of an answer while the answer is computed.

        Args:
            content: the file.
            size: (H, W) of the upright image.

        Returns:
            A function that waits for it; None: there is nothing to do before the transaction.

        Raises:
            Problem: 503 if it is known that the object store does not answer.
        """
        objects = self.objects
        if objects is None or not self.budget:
            return None
        return objects.in_background(lambda: self.keep(ImageFile.of(content, size)))

    def store(self, connection: Connection, kept: Kept) -> None:
        """Store the row of an image, in a transaction.

        Raises:
            Problem: 503 if its content was deleted meanwhile.
        """
        if self.objects is None:
            insert_image(connection, kept.image)
        else:
            insert_image(connection, kept.image, b"")
            self.objects.attach(connection, kept.image.image_id, kept.object_key)

    def insert(self, connection: Connection, kept: Kept) -> None:
        """Store the row of the image of an answer, in the transaction that records the answer.

        Raises:
            Problem: 503 if its content was deleted meanwhile.
        """
        if self.budget:
            self.store(connection, kept)
            self._unchecked += len(kept.image.content)

    def get(self, image_id: str | None) -> ImageFile | None:
        """Read an image; None if it is not stored.

        Raises:
            DamageError: 410, if its row or its content was altered, or its file is missing.
            Problem: 503 if the object store does not answer.
        """
        with self._database.connect() as connection:
            found = self._row(connection, image_id)
            key = key_of(connection, str(image_id)) if found is not None and is_elsewhere(found) else None
        return self._file(found, key)

    def read(self, connection: Connection, image_id: str | None) -> ImageFile | None:
        """Read an image with a connection that is open already, see `get`."""
        found = self._row(connection, image_id)
        return self._file(
            found, key_of(connection, str(image_id)) if found is not None and is_elsewhere(found) else None
        )

    def _row(self, connection: Connection, image_id: str | None) -> RowMapping | None:
        query = select(ImageRow.__table__).where(ImageRow.image_id == image_id)
        with reading("images", str(image_id), status=410):
            return connection.execute(query).mappings().first()

    def _file(self, row: RowMapping | None, key: str | None) -> ImageFile | None:
        if row is None:
            return None
        content = self._content(str(row["image_id"]), key) if is_elsewhere(row) else bytes(row["content"])
        check_image(row, content)
        return ImageFile(row["image_id"], row["media_type"], row["width"], row["height"], content)

    def _content(self, image_id: str, key: str | None) -> bytes:
        if key is None:
            raise missing_file(image_id, "the database names no file for it")
        if self.objects is None:
            raise Problem(
                503, "The image is in an object store, and none is set.", received=image_id,
                fix="The operator should set SEGSORT_IMAGES_URL to the store that has the images.",
            )  # fmt: skip
        return self.objects.get(image_id, key)

    def facts(self, image_id: str | None) -> ImageFacts | None:
        """Read what is stored of an image beside its content, which is not read; None if it is not stored."""
        columns = select(ImageRow.image_id, ImageRow.media_type, ImageRow.width, ImageRow.height)
        with self._database.connect() as connection:
            row = connection.execute(columns.where(ImageRow.image_id == image_id)).first()
        return None if row is None else ImageFacts(*row)

    def has(self, image_id: str | None) -> bool:
        """Check whether an image is stored."""
        with self._database.connect() as connection:
            return image_is_stored(connection, image_id)

    def which(self, image_ids: set[str]) -> set[str]:
        """Select the ids of stored images."""
        with self._database.connect() as connection:
            return set(connection.execute(select(ImageRow.image_id).where(ImageRow.image_id.in_(image_ids))).scalars())

    def trim(self) -> None:
        """Remove the oldest images that exceed the budget.

        The database is searched only after images of 2 % of the budget were stored.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if self._unchecked <= self.budget // 50:
            return
        self._unchecked = 0
        for image_id in self._past_budget():
            with self._database.begin() as connection:
                # This locks the row that every edit locks: no process can make an exemplar of the image meanwhile.
                connection.execute(update(RevisionRow).values(number=RevisionRow.number))
                delete_images(connection, ImageRow.image_id == image_id, *_UNPROTECTED)

    def _past_budget(self) -> list[str]:
        columns = select(ImageRow.image_id, ImageRow.size)
        query = columns.where(*_UNPROTECTED).order_by(ImageRow.sequence.desc(), ImageRow.image_id)
        total, old = 0, []
        with self._database.connect() as connection:
            for image_id, size in connection.execute(query):
                total += size
                if total > self.budget:
                    old.append(image_id)
        return old
