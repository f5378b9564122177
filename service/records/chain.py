"""The hash chain over the log of edits.

Three hashes (SHA-256, hexadecimal) stand in the row of each edit:

- added: over the rows of the exemplars that it adds, in the order of their place; None where it adds none.
- digest: over the columns of its own row and `added`.
- chain: over the chain of the edit before it, and its own revision, release, kind and digest.

So an edit that is altered, removed, inserted or moved no longer fits, and `revisions` holds the last chain with a seal
over it and the number of the last edit. The chain can be followed without reading payloads.

The hashed bytes are the same for every database: the values of the columns as Python writes them in ASCII, and binary
columns as they are. A column that a later version adds is hashed with its name where it is not NULL. It is therefore
NULL in rows that are older, or the migration that adds it computes the chain anew.

A chain without a secret finds damage and mistakes. It does not stop someone who may write the database and who
computes the hashes anew.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

GENESIS = "0" * 64  # the chain before the first edit
CHAIN_COLUMNS = ("added", "digest", "chain")

_EDIT = ("revision", "release", "kind", "author", "reason", "created")
_EXEMPLAR = (
    "release", "exemplar_id", "revision", "place", "class_id", "strength", "image_id", "source", "width", "height",
    "area", "mask", "scope",
)  # fmt: skip


class RowFormat:
    """How rows of one table become the bytes that are hashed.

    Args:
        columns: names of all columns that the rows have.
        plain: the columns that are hashed together, in this order.
        binary: the columns of bytes.
    """

    def __init__(self, columns: Iterable[str], plain: Sequence[str], binary: Sequence[str]) -> None:
        known = {*plain, *binary, *CHAIN_COLUMNS}
        self._plain, self._binary = itemgetter(*plain), binary
        self._later = sorted(set(columns) - known)

    def hashed(self, row: Mapping[Any, Any]) -> bytes:
        """The bytes of a row.

        Raises:
            KeyError: if it lacks a column.
            TypeError: if a binary column holds something else than bytes.
        """
        parts = [ascii(self._plain(row)).encode()]
        for name in self._binary:
            parts += (b"%d:" % len(row[name]), row[name])
        for name in self._later:
            if (value := row.get(name)) is not None:
                parts.append(ascii((name, value)).encode())
        return b"\n".join(parts) + b"\n"


def edit_format(columns: Iterable[str]) -> RowFormat:
    """The format of rows of `edits` with these columns."""
    return RowFormat(columns, _EDIT, ("payload",))


def exemplar_format(columns: Iterable[str]) -> RowFormat:
    """The format of rows of `exemplars` with these columns."""
    return RowFormat(columns, _EXEMPLAR, ("prototype", "bbox"))


def added_digest(form: RowFormat, rows: Sequence[Mapping[Any, Any]]) -> str | None:
    """`added` of an edit, of the rows of its exemplars by place; None if there are none."""
    if not rows:
        return None
    return hashlib.sha256(b"".join(map(form.hashed, rows))).hexdigest()


def edit_digest(form: RowFormat, row: Mapping[Any, Any], added: str | None) -> str:
    """`digest` of an edit."""
    return hashlib.sha256(form.hashed(row) + ascii(added).encode()).hexdigest()


def link(before: str, revision: int, release: str, kind: str, digest: str) -> str:
    """`chain` of an edit; before: the chain of the edit before it, or `GENESIS`."""
    return hashlib.sha256(ascii((before, revision, release, kind, digest)).encode()).hexdigest()


def seal(database_id: str, number: int, chain: str) -> str:
    """`seal` of the row of `revisions`."""
    return hashlib.sha256(ascii((database_id, number, chain)).encode()).hexdigest()


def as_stored(row: Mapping[Any, Any], kinds: Mapping[str, type]) -> dict[str, Any]:
    """The values of a row as they are read back after it was written.

    Args:
        row: the values to write.
        kinds: the Python type of each column, by name.
    """
    return {name: _as_stored(value, kinds[name]) for name, value in row.items()}


def _as_stored(value: Any, kind: type) -> Any:
    if value is None or kind is datetime:
        return value
    return float(value) + 0.0 if kind is float else kind(value)  # -0.0 is read back as 0.0
