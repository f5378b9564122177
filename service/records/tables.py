"""Tables of the service, and the opening of a database that holds them, made new or by a version before."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Index, LargeBinary, create_engine, event, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.dml import Insert


class Base(DeclarativeBase):
    """Tables of the service."""


class SegmentationRow(Base):
    """One answered image: one row, since its segments are written together and their arrays lie best side by side.

    segments: JSON, one object each with class_id, share, confidence, known, area, bbox and the mask's counts;
    prototypes: [S, D] float32; neighbours: [S, R] int32, places in exemplar_ids, best first, those past the k-th did
    not vote; similarities: [S, R] float32; exemplar_ids: the exemplars that occur, with blanks between;
    image_id: SHA-256 of the picture as it came, None in answers of versions that kept none; author: whose answer it is.
    """

    __tablename__ = "segmentations"
    __table_args__ = (Index("segmentations_by_age", "created"),)

    segmentation_id: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]
    width: Mapped[int]
    height: Mapped[int]
    release: Mapped[str]
    release_path: Mapped[str]
    index_revision: Mapped[int]
    k: Mapped[int]
    kappa: Mapped[float]
    image_similarity: Mapped[float]
    segments: Mapped[bytes] = mapped_column(LargeBinary)
    prototypes: Mapped[bytes] = mapped_column(LargeBinary)
    exemplar_ids: Mapped[str]
    neighbours: Mapped[bytes] = mapped_column(LargeBinary)
    similarities: Mapped[bytes] = mapped_column(LargeBinary)
    image_id: Mapped[str | None]
    author: Mapped[str | None]


class ImageRow(Base):
    """A picture as it came; width and height are of the upright image, size is in bytes.

    The content comes last, so that SQLite reads the others without it.
    """

    __tablename__ = "images"
    __table_args__ = (Index("images_by_age", "created", "size", "image_id"),)

    image_id: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int]
    created: Mapped[datetime]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class RevisionRow(Base):
    """One row: the number of the last edit. Whoever edits counts it up first, and so waits for whoever else does."""

    __tablename__ = "revisions"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]


class EditRow(Base):
    """One edit; payload is JSON, see `service.records.edit_log`."""

    __tablename__ = "edits"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    release: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    author: Mapped[str]
    reason: Mapped[str | None]
    created: Mapped[datetime]


class ExemplarRow(Base):
    """An exemplar that an edit added, on the release that the edit was made on; it stays when it is removed.

    revision: of that edit; prototype: [D] float32; bbox: JSON x, y, width, height; mask: COCO compressed run lengths.
    """

    __tablename__ = "exemplars"
    __table_args__ = (Index("exemplars_by_revision", "revision"), Index("exemplars_by_image", "image_id"))

    release: Mapped[str] = mapped_column(primary_key=True)
    exemplar_id: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]
    place: Mapped[int]
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


def now() -> datetime:
    """The time in UTC, without a zone, as every table holds it."""
    return datetime.now(UTC).replace(tzinfo=None)


def iso(time: datetime) -> str:
    """A time of a table as ISO 8601."""
    return time.isoformat(timespec="milliseconds") + "Z"


def open_database(url: str) -> Engine:
    """Connect, and make what is missing: tables, columns that versions before did not have, indexes, revision 0.

    Args:
        url: SQLAlchemy URL.

    Raises:
        ValueError: if the database cannot be opened.
    """
    try:
        engine = _connect(url)
        for others_may_do_so_too in (True, True, False):  # replicas that start at once make the tables at once
            try:
                _prepare(engine)
                break
            except DBAPIError:
                if not others_may_do_so_too:
                    raise
                time.sleep(0.2)
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise ValueError(
            f"the database {make_url(url).render_as_string()} cannot be opened: {error}; "
            "check SEGSORT_DATABASE_URL and SEGSORT_DATA_DIR, and that the folder may be written"
        ) from error
    return engine


def insert_new(connection: Connection, table: type[Base]) -> Insert:
    """An INSERT that leaves a row as it is where its key is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


@contextmanager
def durable_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that outlives a power cut once it is committed; answers of POST /segment outlive a kill only.

    It is committed when the block ends, unless the block rolled it back or raised.
    """
    with engine.connect() as connection:
        _synchronous(connection, "FULL")
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            _synchronous(connection, "NORMAL")


def _synchronous(connection: Connection, level: str) -> None:
    if connection.dialect.name == "sqlite" and not connection.invalidated:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.commit()


def last_revision(connection: Connection) -> int:
    """The number of the last edit that is committed."""
    return int(connection.execute(select(RevisionRow.number)).scalar_one())


def _connect(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    options: dict[str, Any] = {"connect_args": {"timeout": 10, "check_same_thread": False}}
    if not parsed.database or parsed.database == ":memory:":
        options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}  # one connection, or each had its own
    else:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, **options)

    @event.listens_for(engine, "connect")
    def write_ahead(connection: Any, _: Any) -> None:
        # a committed answer survives the death of the process; only a power cut may take the last ones
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def _prepare(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    _add_missing(engine)
    with engine.begin() as connection:
        connection.execute(insert_new(connection, RevisionRow), {"id": 1, "number": 0})


def _add_missing(engine: Engine) -> None:
    """Columns and indexes that tables of a version before lack; new columns may be empty, so old rows stay valid."""
    with engine.begin() as connection:
        found = inspect(connection)
        for table in Base.metadata.sorted_tables:
            columns = {column["name"] for column in found.get_columns(table.name)}
            for column in table.columns:
                if column.name not in columns:
                    kind = column.type.compile(engine.dialect)
                    connection.execute(text(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}'))
            for index in table.indexes:
                index.create(connection, checkfirst=True)
