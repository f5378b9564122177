"""Rows of a database as they are stored, also of a damaged one. Nothing is written.

Of an SQLite database, rows are read by their number in the file, so that a damaged page costs only the rows in it.
"""

import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from sqlalchemy import Connection, Table, create_engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from service.problems import DamageError

_CHUNK = 200  # rows that are read at once
_PROBES = 4000  # row numbers that are tried one by one around a damaged page

Row = Mapping[str, Any]


class Unreadable(NamedTuple):
    """Rows that cannot be read: the numbers of the first and the last one, and why."""

    first: int
    last: int | None
    why: str

    def __str__(self) -> str:
        return f"rows after {self.first - 1}" if self.last is None else f"rows {self.first} to {self.last} of the file"


class Undecodable(NamedTuple):
    """A text that is not UTF-8."""

    content: bytes


class RawDatabase(Protocol):
    """A database, read in one state that does not change meanwhile."""

    kind: str

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table; empty if there is no such table."""
        ...

    def rows(self, table: Table) -> Iterator[Row | Unreadable]:
        """The rows of a table, in the order in which they were written or by primary key."""
        ...

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The result of a statement that reads.

        Raises:
            ValueError: if it cannot be read.
        """
        ...

    def part(self, part_id: int) -> Any:
        """The content of a part of an answer; None if it is missing or cannot be read."""
        ...


@contextmanager
def open_raw(url: str) -> Iterator[RawDatabase]:
    """Open a database for reading.

    Raises:
        ValueError: if it cannot be opened.
        DamageError: if it is damaged so that nothing can be read.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(str(parsed.database or ""))
        if not parsed.database or not file.is_file():
            raise ValueError(f"the database {parsed.render_as_string()} does not exist; name the file of a database")
        with closing(open_file(file)) as connection:
            yield SQLiteRows(connection)
        return
    engine = create_engine(parsed, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("SELECT set_config('statement_timeout', '0', true)"))
            yield PostgreSQLRows(connection)
    except SQLAlchemyError as error:
        raise ValueError(f"the database {parsed.render_as_string()} cannot be read: {error}") from error
    finally:
        engine.dispose()


def open_file(file: Path, mode: str = "ro") -> sqlite3.Connection:
    """Open an SQLite file in one state. A damaged one may only fail when it is read.

    Raises:
        DamageError: if it is no database.
    """
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode={mode}", uri=True, isolation_level=None, timeout=10)
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA mmap_size=0")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        connection.close()
        table = "sqlite_schema" if "schema" in str(error) else None
        raise DamageError(table, str(file), f"it cannot be read as a database: {error}") from error
    return connection


def _text(content: bytes) -> str | Undecodable:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return Undecodable(content)


class SQLiteRows:
    """The rows of an SQLite file."""

    kind = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table; empty if there is no such table."""
        try:
            return [str(row[1]) for row in self.connection.execute(f"PRAGMA table_info('{table}')")]
        except sqlite3.Error:
            return []

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The result of a statement that reads.

        Raises:
            ValueError: if it cannot be read.
        """
        try:
            return self.connection.execute(statement).fetchall()
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error

    def part(self, part_id: int) -> Any:
        """The content of a part of an answer; None if it is missing or cannot be read."""
        try:
            found = self.connection.execute("SELECT content FROM answer_parts WHERE part_id = ?", (part_id,)).fetchone()
        except sqlite3.Error:
            return None
        return None if found is None else found[0]

    def rows(self, table: Table) -> Iterator[Row | Unreadable]:
        """The rows of a table by their number in the file."""
        present = set(self.columns(table.name))
        names = [column.name for column in table.columns if column.name in present]
        kinds = [column.type.python_type for column in table.columns if column.name in present]
        quoted = ", ".join(f'"{name}"' for name in names)
        query = f'SELECT rowid, {quoted} FROM "{table.name}" WHERE rowid > ? ORDER BY rowid LIMIT ?'
        after: int | None = -(2**63)
        while after is not None:
            try:
                found = self.connection.execute(query, (after, _CHUNK)).fetchall()
            except sqlite3.Error:
                found, after = [], (yield from self._around_damage(query, after, names, kinds))
                continue
            for row in found:
                yield _converted(names, kinds, row[1:])
            after = found[-1][0] if len(found) == _CHUNK else None

    def _around_damage(
        self, query: str, after: int, names: list[str], kinds: list[type]
    ) -> Generator[Row | Unreadable, None, int | None]:
        """Read rows one by one up to a damaged place, and find the next row behind it; returns the row before that."""
        try:
            while True:
                row = self.connection.execute(query, (after, 1)).fetchone()
                if row is None:
                    return None
                yield _converted(names, kinds, row[1:])
                after = row[0]
        except sqlite3.Error as error:
            why = str(error)
        first = max(after, 0) + 1
        following = self._next_readable(query, first)
        yield Unreadable(first, None if following is None else following - 1, why)
        return None if following is None else following - 1

    def _next_readable(self, query: str, first: int) -> int | None:
        """The number of the first row from `first` on that can be read; None if there is none."""
        step, reached = 1, first
        while step < 2**40:
            found = self._try(query, reached + step - 1)
            if found is not None:
                break
            step, reached = step * 2, reached + step
        else:
            return None
        for number in range(first, min(found, first + _PROBES)):  # rows that the steps left out
            row = self._try(query, number - 1)
            if row is not None:
                return row
        return found

    def _try(self, query: str, after: int) -> int | None:
        try:
            row = self.connection.execute(query, (after, 1)).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else int(row[0])


class PostgreSQLRows:
    """The rows of a PostgreSQL database."""

    kind = "postgresql"

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def columns(self, table: str) -> list[str]:
        """Names of the columns of a table; empty if there is no such table."""
        query = text(
            "SELECT column_name FROM information_schema.columns WHERE table_name = :table "
            "AND table_schema = ANY (current_schemas(false))"
        )
        return list(self.connection.execute(query, {"table": table}).scalars())

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The result of a statement that reads.

        Raises:
            ValueError: if it cannot be read.
        """
        try:
            with self.connection.begin_nested():
                return [tuple(row) for row in self.connection.execute(text(statement))]
        except SQLAlchemyError as error:
            raise ValueError(str(getattr(error, "orig", error))) from error

    def part(self, part_id: int) -> Any:
        """The content of a part of an answer; None if it is missing or cannot be read."""
        query = text("SELECT content FROM answer_parts WHERE part_id = :part_id")
        try:
            with self.connection.begin_nested():
                return self.connection.execute(query, {"part_id": part_id}).scalar()
        except SQLAlchemyError:
            return None

    def rows(self, table: Table) -> Iterator[Row | Unreadable]:
        """The rows of a table by primary key. What cannot be read is reported as a whole."""
        present = set(self.columns(table.name))
        columns = [column for column in table.columns if column.name in present]
        query = select(*columns).order_by(*table.primary_key.columns)
        count = 0
        try:
            with self.connection.begin_nested():
                options = {"yield_per": _CHUNK}
                for row in self.connection.execute(query, execution_options=options).mappings():
                    count += 1
                    yield dict(row)
        except (SQLAlchemyError, ValueError) as error:
            yield Unreadable(count + 1, None, str(getattr(error, "orig", error)))


def _converted(names: list[str], kinds: list[type], values: tuple[Any, ...]) -> Row:
    return {name: _value(kind, value) for name, kind, value in zip(names, kinds, values, strict=True)}


def _value(kind: type, value: Any) -> Any:
    """A value as SQLAlchemy reads it. What does not fit the column stays as it is, and then fits no checksum."""
    if kind is datetime and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    if kind is bool and value in (0, 1):
        return bool(value)
    return float(value) if kind is float and type(value) is int else value
