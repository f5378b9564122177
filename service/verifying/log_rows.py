"""The log of edits as it is stored: which of its rows are proven by their hashes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from service.records import chain
from service.records.tables import EditRow, ExemplarRow
from service.verifying.raw_rows import RawDatabase, Row, Unreadable

_EDIT = chain.edit_format(EditRow.__table__.columns.keys())
_EXEMPLAR = chain.exemplar_format(ExemplarRow.__table__.columns.keys())

Complain = Callable[[str, object, str], None]


class LogEntry(NamedTuple):
    """An edit: its row, and whether the row and its exemplars are as they were written."""

    row: Row
    row_is_sound: bool
    exemplars_are_sound: bool


def read_log(database: RawDatabase, complain: Complain) -> list[LogEntry]:
    """Read all edits and check each for itself; rows that are damaged or belong to no edit are reported."""
    found = _added(database, complain)
    entries = []
    for row in _readable(database.rows(EditRow.__table__), "edits", complain):  # type: ignore[arg-type]
        revision = row["revision"]
        sound = _digest(row) == row["digest"]
        if not sound:
            complain("edits", f"revision {revision!r}", "it was altered: its digest does not fit")
        added = found.pop(revision, None) == row["added"]
        if not added:
            complain(
                "exemplars", f"of revision {revision!r}",
                f"they are not those that edit {revision!r} added: one was altered, removed or inserted",
            )  # fmt: skip
        entries.append(LogEntry(row, sound, added))
    for revision in found:
        complain("exemplars", f"of revision {revision!r}", "there is no such edit")
    return entries


def check_links(entries: Iterable[LogEntry], complain: Complain) -> str:
    """Check that each edit follows the one before it; returns the last chain."""
    last, before = chain.GENESIS, 0
    for row, _, _ in entries:
        revision = row["revision"]
        if chain.link(last, revision, row["release"], row["kind"], row["digest"]) != row["chain"]:
            gap = isinstance(revision, int) and revision > before + 1
            what = (
                f"edits {before + 1} to {revision - 1} are missing before it" if gap
                else f"it does not follow edit {before}: one of the two was altered, or moved"
            )  # fmt: skip
            complain("edits", f"revision {revision!r}", what)
        last, before = row["chain"], revision
    return str(last)


def _digest(row: Row) -> str | None:
    """The digest that a row should have; None if a value of it has another type."""
    try:
        return chain.edit_digest(_EDIT, row, row["added"])
    except TypeError:
        return None


def _added(database: RawDatabase, complain: Complain) -> dict[Any, str | None]:
    """`added` by revision, as it follows from the exemplars."""
    hashed: dict[Any, list[tuple[Any, bytes]]] = {}
    done: dict[Any, str | None] = {}
    for row in _readable(database.rows(ExemplarRow.__table__), "exemplars", complain):  # type: ignore[arg-type]
        revision = row["revision"]
        if revision not in hashed:  # the exemplars of an edit were written together
            _finish(hashed, done)
        try:
            content = _EXEMPLAR.hashed(row)
        except TypeError:
            content = b"damaged"
        hashed.setdefault(revision, []).append((row["place"], content))
    _finish(hashed, done)
    return done


def _finish(hashed: dict[Any, list[tuple[Any, bytes]]], done: dict[Any, str | None]) -> None:
    for revision, rows in hashed.items():
        try:
            rows.sort(key=lambda row: row[0])
        except TypeError:
            done[revision] = "damaged"
            continue
        digest = hashlib.sha256(b"".join(content for _, content in rows)).hexdigest()
        done[revision] = digest if revision not in done else "not written together"
    hashed.clear()


def _readable(rows: Iterable[Row | Unreadable], table: str, complain: Complain) -> Iterator[Row]:
    for row in rows:
        if isinstance(row, Unreadable):
            complain(table, row, f"they cannot be read: {row.why}")
        else:
            yield row
