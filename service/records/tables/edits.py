"""Tables of the log of edits, and of the exemplars that edits added."""

from datetime import datetime

from sqlalchemy import Connection, Index, LargeBinary, select
from sqlalchemy.orm import Mapped, mapped_column

from service.records.tables.base import Base


class RevisionRow(Base):
    """A single row: the head of the log. Each edit updates it first, so that edits wait for each other.

    Columns:
        number: of the last edit. It is above the last row of `edits` only where a recovery has lost the last ones.
        chain: of the last row of `edits`, see `service.records.chain`.
        seal: over the other columns.
        database_id: random, made with the database; copies have the same.
    """

    __tablename__ = "revisions"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    chain: Mapped[str]
    seal: Mapped[str]
    database_id: Mapped[str]


class EditRow(Base):
    """One edit; payload is JSON, described in `service.records.edit_log`.

    Columns:
        release: name of the release that it was made on.
        release_digest: identifies that release; None in edits of versions that did not record it, for ever.
        added, digest, chain: hashes, see `service.records.chain`.
    """

    __tablename__ = "edits"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    release: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    author: Mapped[str]
    reason: Mapped[str | None]
    created: Mapped[datetime]
    release_digest: Mapped[str | None]
    added: Mapped[str | None]
    digest: Mapped[str]
    chain: Mapped[str]


class EditFitRow(Base):
    """Whether an edit without a `release_digest` was made on a release, as was found out when that was first opened.

    Edits of versions that did not record a digest are examined once for each release of their name.
    """

    __tablename__ = "edit_fits"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    release_digest: Mapped[str] = mapped_column(primary_key=True)
    fits: Mapped[bool]


class ExemplarRow(Base):
    """An exemplar that an edit added to a release. The row stays when the exemplar is removed.

    Columns:
        revision: of the edit.
        place: position among the exemplars that the edit added.
        prototype: [D] float32.
        bbox: JSON list x, y, width, height.
        mask: COCO compressed run lengths.
        scope: "all", or "image" where it votes only for segments of its own image.
        release_digest: that of the edit.
    """

    __tablename__ = "exemplars"
    __table_args__ = (Index("exemplars_by_image", "image_id"), Index("exemplars_by_id", "exemplar_id"))

    release: Mapped[str]
    exemplar_id: Mapped[str]
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    prototype: Mapped[bytes] = mapped_column(LargeBinary)
    class_id: Mapped[int]
    strength: Mapped[float]
    image_id: Mapped[str]
    source: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bbox: Mapped[bytes] = mapped_column(LargeBinary)
    area: Mapped[int]
    mask: Mapped[str]
    scope: Mapped[str] = mapped_column(server_default="all")
    release_digest: Mapped[str | None]


def last_revision(connection: Connection) -> int:
    """The number of the last committed edit."""
    return int(connection.execute(select(RevisionRow.number)).scalar_one())
