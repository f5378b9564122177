"""Which errors of a database say that what it holds is damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import SQLAlchemyError

from service.problems import DamageError

_TEXTS = (  # of SQLite and its Python driver, which have no code for some of these
    "malformed",
    "not a database",
    "could not decode to utf-8",
    "no such table",
    "no such column",
    "unsupported file format",
    "has no column named",
)
_STATES = ("XX001", "XX002", "42P01", "42703")  # PostgreSQL: data or index corrupted, no such table or column
_LONGEST = 200  # characters of a message of the database


def damage_in(error: BaseException) -> str | None:
    """What an error says about damaged data; None if it is another error, such as a lock.

    ValueError and TypeError come from rows whose values cannot be decoded.
    """
    if isinstance(error, DamageError):
        return None  # says more by itself
    text = str(getattr(error, "orig", None) or error)[:_LONGEST]
    if isinstance(error, SQLAlchemyError):
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        return text if state in _STATES or any(known in text.lower() for known in _TEXTS) else None
    return text if isinstance(error, (ValueError, TypeError, KeyError)) else None


@contextmanager
def reading(table: str, row: str | None = None, status: int = 503) -> Iterator[None]:
    """A block that reads rows. Damage in it is reported with the table and the row.

    Args:
        table: its name.
        row: the row in words; None: several.
        status: HTTP status where a request asked for the row.

    Raises:
        DamageError: if the data is damaged.
    """
    try:
        yield
    except (SQLAlchemyError, ValueError, TypeError, KeyError) as error:
        text = damage_in(error)
        if text is None:
            raise
        raise DamageError(table, row, f"it cannot be read: {text}", status=status) from error


def read_named(connection: Connection, query: Any, key: Any, table: str, row: str) -> list[dict[str, Any]]:
    """Read rows as the columns by name; where one cannot be read, find out which.

    Args:
        connection: to the database.
        query: a select of the rows, in any order.
        key: the column that names a row.
        table: its name.
        row: what the key is, in words: "revision".

    Raises:
        DamageError: if a row cannot be read.
    """
    try:
        return _as_dicts(connection.execute(query))
    except (SQLAlchemyError, ValueError, TypeError) as error:
        if (said := damage_in(error)) is None:
            raise
        if connection.dialect.name != "sqlite":  # an error ends the transaction
            raise DamageError(table, None, f"it cannot be read: {said}") from error
    with reading(table):
        keys = connection.execute(query.with_only_columns(key)).scalars().all()
    for one in dict.fromkeys(keys):
        with reading(table, f"{row} {one}"):
            connection.execute(query.where(key == one)).all()
    with reading(table):
        return _as_dicts(connection.execute(query))


def _as_dicts(result: CursorResult[Any]) -> list[dict[str, Any]]:
    """This takes a fifth of the time that mappings take."""
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]
