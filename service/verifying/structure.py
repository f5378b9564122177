"""Checks of a database's structure: its pages, its version, its tables, and what does not belong in it."""

import re
import sqlite3
from typing import Any

from sqlalchemy import Table

from service.records.schema_version import CURRENT, VERSION_TABLE
from service.records.tables import Base
from service.verifying.findings import Report
from service.verifying.raw_rows import PostgreSQLRows, RawDatabase, SQLiteRows

_TREE = re.compile(r"(?:Tree|tree page) (\d+)")
_INDEX = re.compile(r"index (\w+)")
_POSTGRES_TRIGGERS = (
    "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
    "WHERE NOT tgisinternal AND relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY "
    "(current_schemas(false)))"
)


def check_structure(database: RawDatabase, report: Report) -> list[Table]:
    """Check the structure of a database.

    Returns:
        The tables whose rows can be read.
    """
    if isinstance(database, SQLiteRows):
        _check_pages(database.connection, report)
    _check_version(database, report)
    readable = [table for table in Base.metadata.sorted_tables if _check_columns(database, table, report)]
    _check_triggers(database, report)
    _check_indexes(database, readable, report)
    return readable


def _check_pages(connection: sqlite3.Connection, report: Report) -> None:
    """Let SQLite check its pages, and that each index has the rows of its table."""
    try:
        lines = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(200)")]
        owners = dict(connection.execute("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0"))
        indexed = dict(connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'"))
    except sqlite3.Error as error:
        return report.add(None, None, f"its pages cannot be checked: {error}")
    for line in lines:
        if line not in ("ok", "*** in database main ***"):
            tree, index = _TREE.search(line), _INDEX.search(line)
            owner = owners.get(int(tree.group(1))) if tree else indexed.get(index.group(1)) if index else None
            report.add(owner, None, f"its pages are damaged: {line.removeprefix('*** in database main ***').strip()}")
    return None


def _check_version(database: RawDatabase, report: Report) -> None:
    try:
        found = [row[0] for row in database.query(f"SELECT version_num FROM {VERSION_TABLE}")]
    except ValueError as error:
        return report.add(VERSION_TABLE, None, f"it cannot be read: {error}")
    if found != [CURRENT]:
        report.add(
            VERSION_TABLE, None,
            f"it says {', '.join(map(repr, found)) or 'nothing'}, and this version of segsort writes {CURRENT!r}; if "
            "an earlier version wrote the database, start the service once to upgrade it, and verify it then",
        )  # fmt: skip
    return None


def _check_columns(database: RawDatabase, table: Table, report: Report) -> bool:
    present = database.columns(table.name)
    missing = [column.name for column in table.columns if column.name not in present]
    if not present:
        report.add(table.name, None, "it does not exist, or its columns cannot be read")
    elif missing:
        report.add(table.name, None, f"it lacks the columns {', '.join(missing)}")
    return not missing


def _check_triggers(database: RawDatabase, report: Report) -> None:
    """Nothing of segsort is a trigger or a view, and either can change what is written or read."""
    schema = "SELECT name, tbl_name FROM sqlite_schema WHERE type IN ('trigger', 'view')"
    try:
        for name, table in database.query(schema if database.kind == "sqlite" else _POSTGRES_TRIGGERS):
            report.add(str(table), None, f"it has the trigger or is the view {name!r}, which segsort did not make")
    except ValueError as error:
        report.add(None, None, f"its triggers cannot be read: {error}")


def _check_indexes(database: RawDatabase, tables: list[Table], report: Report) -> None:
    known = "SELECT name FROM sqlite_schema WHERE type = 'index'"
    if isinstance(database, PostgreSQLRows):
        known = "SELECT indexname FROM pg_indexes WHERE schemaname = ANY (current_schemas(false))"
    try:
        names = {row[0] for row in database.query(known)}
    except ValueError as error:
        return report.add(None, None, f"its indexes cannot be read: {error}")
    for table in tables:
        for index in table.indexes:
            if index.name not in names:
                report.add(table.name, None, f"it lacks the index {index.name}")
        if isinstance(database, SQLiteRows):
            _check_sqlite_columns(database, table, report)
    return None


def _check_sqlite_columns(database: SQLiteRows, table: Table, report: Report) -> None:
    """Check the key, and that the types have the affinity that they were made with."""
    declared: dict[str, Any] = {row[1]: row for row in database.query(f"PRAGMA table_info('{table.name}')")}
    for column in table.columns:
        _, _, kind, not_null, _, key = declared[column.name]
        if bool(key) != column.primary_key or (bool(not_null) == column.nullable and not column.primary_key):
            report.add(table.name, None, f"the column {column.name} was declared otherwise by segsort")
        elif _affinity(str(kind)) != _affinity(str(column.type)):
            report.add(
                table.name, None, f"the column {column.name} has the type {kind!r}, which segsort did not give it"
            )


def _affinity(kind: str) -> str:
    """https://www.sqlite.org/datatype3.html, 3.1."""
    kind = kind.upper()
    for parts, affinity in (
        (("INT",), "integer"),
        (("CHAR", "CLOB", "TEXT"), "text"),
        (("BLOB",), "blob"),
        (("REAL", "FLOA", "DOUB"), "real"),
    ):
        if any(part in kind for part in parts):
            return affinity
    return "numeric" if kind else "blob"
