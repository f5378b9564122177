"""What all tables have in common: their base class, their times, and the sequences that number their rows."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Double, FromClause, func, select
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base class of the tables."""

    type_annotation_map = {float: Double}  # noqa: RUF012  # read by SQLAlchemy


def next_in_sequence(table: FromClause, dialect: str) -> ColumnElement[int]:
    """The next value of the column `sequence` of a table, for an INSERT.

    On SQLite, whoever inserts has the database for itself. PostgreSQL has a sequence for it.
    """
    if dialect == "postgresql":
        return func.nextval(f"{table.name}_sequence")  # type: ignore[attr-defined]  # of a table
    return (select(func.coalesce(func.max(table.c.sequence), 0) + 1)).scalar_subquery()


def now() -> datetime:
    """The time in UTC, without a time zone, as all tables hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


def iso(time: datetime) -> str:
    """A time as in answers: RFC 3339 in UTC, with milliseconds. A time without a zone, as in tables, is in UTC."""
    utc = time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"
