"""Checksums of rows that are not part of the log: answers, images, jobs.

A row that an earlier version wrote has none. The checksum is over the columns that are not NULL, with their names, so
that a later version can add columns.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import FromClause

from service.problems import DamageError
from service.records.chain import as_stored

CHECKSUM = "checksum"
_NONE = frozenset[str]()
_UNCHECKED: Mapping[str, frozenset[str]] = {
    # the id is the SHA-256 of the content; an index holds the sequence too
    "images": frozenset({"content", "sequence"}),
    # an index holds what changes without the checksum; the rest is the content of answers of earlier versions
    "segmentations": frozenset(
        {"sequence", "pinned", "size", "segments", "prototypes", "exemplar_ids", "neighbours", "similarities"}
    ),
}


def row_checksum(table: str, row: Mapping[Any, Any]) -> int:
    """The checksum of a row: a signed integer of 64 bits.

    Args:
        table: name of the table.
        row: the columns as they are read from the database; those that are left out count as NULL.
    """
    left_out, parts = _UNCHECKED.get(table, _NONE), [table.encode()]
    for name in sorted(row):
        value = row[name]
        if value is None or name == CHECKSUM or name in left_out:
            continue
        content = value if isinstance(value, bytes) else ascii(value).encode()
        parts.append(b"\n%b %d %b" % (name.encode(), len(content), content))
    digest = hashlib.blake2b(b"".join(parts), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def with_checksum(table: FromClause, row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row to insert, with its checksum. Columns that are left out must be NULL by default."""
    return {**row, CHECKSUM: row_checksum(str(table), as_stored(row, _kinds(table)))}


@cache
def _kinds(table: FromClause) -> dict[str, type]:
    return {name: column.type.python_type for name, column in table.columns.items()}


def check_row(table: str, row: Mapping[Any, Any], name: str) -> None:
    """Check a row that was read with all its columns. Rows of earlier versions have no checksum and pass.

    Args:
        table: its name.
        row: the columns.
        name: names the row for people.

    Raises:
        DamageError: 410, if it was altered.
    """
    expected = row[CHECKSUM]
    if expected is not None and row_checksum(table, row) != expected:
        raise DamageError(table, name, "it was altered: its checksum does not fit", status=410)


def part_checksum(content: bytes) -> int:
    """The checksum of a part of an answer. Its id is in the row of the answer, which has a checksum too."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
