"""Pictures as they came: kept so that an answer can be looked at again and its segments can become exemplars."""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.records.tables import ExemplarRow, ImageRow, RevisionRow, now

_BEGINNINGS = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"RIFF", "image/webp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"GIF8", "image/gif"),
)


@dataclass(frozen=True)
class Picture:
    """A picture as it came; image_id: SHA-256 of content, hexadecimal; width, height: of the upright image."""

    image_id: str
    media_type: str
    width: int
    height: int
    content: bytes

    @classmethod
    def of(cls, content: bytes, size: tuple[int, int]) -> "Picture":
        """A file that has been decoded to an upright image of size (H, W)."""
        media_type = next((kind for start, kind in _BEGINNINGS if content.startswith(start)), _UNKNOWN)
        return cls(hashlib.sha256(content).hexdigest(), media_type, size[1], size[0], content)


_UNKNOWN = "application/octet-stream"


def _insert(dialect: Any) -> Any:
    statement = dialect.insert(ImageRow.__table__)
    return statement.on_conflict_do_update(index_elements=["image_id"], set_={"created": statement.excluded.created})


_INSERTS = {"postgresql": _insert(postgresql), "sqlite": _insert(sqlite)}


def insert_image(connection: Connection, picture: Picture) -> None:
    """Keep a picture; one that is there already is the newest again."""
    row = vars(picture) | {"size": len(picture.content), "created": now()}
    connection.execute(_INSERTS[connection.dialect.name], row)


def image_is_kept(connection: Connection, image_id: str | None) -> bool:
    """Whether a picture is there."""
    return connection.execute(select(ImageRow.image_id).where(ImageRow.image_id == image_id)).first() is not None


class KeptImages:
    """The pictures in the database, as many as the operator wants to keep.

    Args:
        database: where they are.
        budget: bytes of pictures that are no exemplars'; 0: such are not kept at all.
    """

    def __init__(self, database: Engine, budget: int) -> None:
        self._database, self.budget = database, budget
        self._unseen = budget + 1  # bytes that came since the last look; before the first one nobody knows

    def insert(self, connection: Connection, picture: Picture) -> None:
        """Keep the picture of an answer, in the transaction that records the answer."""
        if self.budget:
            insert_image(connection, picture)
            self._unseen += len(picture.content)

    def get(self, image_id: str | None) -> Picture | None:
        """A picture, None if it is not kept."""
        with self._database.connect() as connection:
            row = connection.execute(select(ImageRow.__table__).where(ImageRow.image_id == image_id)).mappings().first()
        if row is None:
            return None
        return Picture(row["image_id"], row["media_type"], row["width"], row["height"], bytes(row["content"]))

    def has(self, image_id: str | None) -> bool:
        """Whether a picture is kept."""
        with self._database.connect() as connection:
            return image_is_kept(connection, image_id)

    def which(self, image_ids: set[str]) -> set[str]:
        """Those of some pictures that are kept."""
        with self._database.connect() as connection:
            return set(connection.execute(select(ImageRow.image_id).where(ImageRow.image_id.in_(image_ids))).scalars())

    def trim(self) -> None:
        """Let the oldest pictures go that are past the budget and no exemplar's, if enough came since the last look.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if self._unseen <= self.budget // 50:
            return
        self._unseen = 0
        used = exists().where(ExemplarRow.image_id == ImageRow.image_id)
        query = (
            select(ImageRow.image_id, ImageRow.size).where(~used).order_by(ImageRow.created.desc(), ImageRow.image_id)
        )
        with self._database.connect() as connection:
            total, old = 0, []
            for image_id, size in connection.execute(query):
                total += size
                if total > self.budget:
                    old.append(image_id)
        for image_id in old:
            with self._database.begin() as connection:
                # counted as an edit of nothing: no picture goes while another process makes an exemplar of it
                connection.execute(update(RevisionRow).values(number=RevisionRow.number))
                connection.execute(delete(ImageRow).where(ImageRow.image_id == image_id, ~used))
