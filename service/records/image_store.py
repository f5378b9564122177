"""Image files in the database. An answer can be shown again, and its segments can become exemplars."""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.records.tables import ExemplarRow, ImageRow, RevisionRow, now

_SIGNATURES = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"RIFF", "image/webp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"GIF8", "image/gif"),
)
_UNKNOWN = "application/octet-stream"


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
        return cls(hashlib.sha256(content).hexdigest(), media_type, size[1], size[0], content)


def _upsert(dialect: Any) -> Any:
    statement = dialect.insert(ImageRow.__table__)
    return statement.on_conflict_do_update(index_elements=["image_id"], set_={"created": statement.excluded.created})


_UPSERTS = {"postgresql": _upsert(postgresql), "sqlite": _upsert(sqlite)}


def insert_image(connection: Connection, image: ImageFile) -> None:
    """Store an image. An image that is already stored becomes the newest one."""
    row = vars(image) | {"size": len(image.content), "created": now()}
    connection.execute(_UPSERTS[connection.dialect.name], row)


def image_is_stored(connection: Connection, image_id: str | None) -> bool:
    """Check whether an image is in the database."""
    return connection.execute(select(ImageRow.image_id).where(ImageRow.image_id == image_id)).first() is not None


class ImageStore:
    """The images in the database. The oldest ones are removed when they exceed a budget.

    Args:
        database: the database.
        budget: largest total size of the images without exemplars, bytes; 0 stores no such image.
    """

    def __init__(self, database: Engine, budget: int) -> None:
        self._database, self.budget = database, budget
        self._unchecked = budget + 1  # bytes stored since the last `trim`; unknown at the start, so above the budget

    def insert(self, connection: Connection, image: ImageFile) -> None:
        """Store the image of an answer, in the transaction that records the answer."""
        if self.budget:
            insert_image(connection, image)
            self._unchecked += len(image.content)

    def get(self, image_id: str | None) -> ImageFile | None:
        """Read an image; None if it is not stored."""
        with self._database.connect() as connection:
            row = connection.execute(select(ImageRow.__table__).where(ImageRow.image_id == image_id)).mappings().first()
        if row is None:
            return None
        return ImageFile(row["image_id"], row["media_type"], row["width"], row["height"], bytes(row["content"]))

    def has(self, image_id: str | None) -> bool:
        """Check whether an image is stored."""
        with self._database.connect() as connection:
            return image_is_stored(connection, image_id)

    def which(self, image_ids: set[str]) -> set[str]:
        """Select the ids of stored images."""
        with self._database.connect() as connection:
            return set(connection.execute(select(ImageRow.image_id).where(ImageRow.image_id.in_(image_ids))).scalars())

    def trim(self) -> None:
        """Remove the oldest images without exemplars that exceed the budget.

        The database is searched only after images of 2 % of the budget were stored.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if self._unchecked <= self.budget // 50:
            return
        self._unchecked = 0
        has_exemplars = exists().where(ExemplarRow.image_id == ImageRow.image_id)
        for image_id in self._past_budget(has_exemplars):
            with self._database.begin() as connection:
                # This locks the row that every edit locks: no process can make an exemplar of the image meanwhile.
                connection.execute(update(RevisionRow).values(number=RevisionRow.number))
                connection.execute(delete(ImageRow).where(ImageRow.image_id == image_id, ~has_exemplars))

    def _past_budget(self, has_exemplars: Any) -> list[str]:
        columns = select(ImageRow.image_id, ImageRow.size)
        query = columns.where(~has_exemplars).order_by(ImageRow.created.desc(), ImageRow.image_id)
        total, old = 0, []
        with self._database.connect() as connection:
            for image_id, size in connection.execute(query):
                total += size
                if total > self.budget:
                    old.append(image_id)
        return old
