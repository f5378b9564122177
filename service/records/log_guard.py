"""Checks that the log of edits is complete and unaltered while it is read and written."""

import threading
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, update

from service.problems import DamageError
from service.records import chain
from service.records.damage import reading
from service.records.head_file import HeadFile, KeptHead, missing_edits
from service.records.tables import EditRow, RevisionRow

_LIGHT = select(EditRow.revision, EditRow.release, EditRow.kind, EditRow.digest, EditRow.chain)


class Head(NamedTuple):
    """The row of `revisions`, see `RevisionRow`; last: revision of the last row of `edits`, 0 if there is none."""

    number: int
    chain: str
    seal: str
    database_id: str
    last: int


def read_head(connection: Connection) -> Head:
    """Read the head of the log and check that it fits itself.

    Raises:
        DamageError: if it was altered, or the table does not have exactly one row.
        SQLAlchemyError: if the database does not answer.
    """
    last = select(func.coalesce(func.max(EditRow.revision), 0)).scalar_subquery()
    columns = (RevisionRow.number, RevisionRow.chain, RevisionRow.seal, RevisionRow.database_id, last)
    with reading("revisions"):
        rows = connection.execute(select(*columns)).all()
    if len(rows) != 1:
        raise DamageError("revisions", None, f"it has {len(rows)} rows and must have one, the head of the log of edits")
    head = Head(*rows[0])
    if head.seal != chain.seal(head.database_id, head.number, head.chain):
        raise DamageError(
            "revisions", "its only row",
            f"it says that the last edit is {head.number!r}, but was not written like this by segsort: its seal does "
            f"not fit; the last row of the table edits is {head.last}. No edit can be made",
        )  # fmt: skip
    if head.last > head.number:
        raise DamageError(
            "revisions", "its only row",
            f"it says that the last edit is {head.number}, but the table edits has rows up to {head.last}. No edit can "
            "be made",
        )  # fmt: skip
    return head


class LogGuard:
    """Checks each edit's place in the chain once, the first time that it is seen.

    Args:
        keeper: the file that knows the head beside the database; None: there is none.
    """

    def __init__(self, keeper: HeadFile | None = None) -> None:
        self._keeper = keeper
        self._revision, self._chain = 0, chain.GENESIS  # of the last row of `edits` that was checked
        self._number, self._started = 0, False
        self._lock = threading.Lock()

    def check(self, connection: Connection) -> Head:
        """Check the edits since the last check.

        Returns:
            The head of the log.

        Raises:
            DamageError: if an edit is missing, inserted or altered, or the head is not that of the log.
            SQLAlchemyError: if the database does not answer.
        """
        with self._lock:
            # the file is read first: another process may make an edit, and writes the database before the file
            kept = self._keeper.read() if self._keeper is not None and not self._started else None
            head = read_head(connection)
            if head.number < self._number:
                raise DamageError(
                    "revisions", "its only row",
                    f"it was set back: edits up to {self._number} were made or read, and it says {head.number}",
                )  # fmt: skip
            if head.number > self._number or not self._started:
                self._follow(connection, head, kept)
            return head

    def append(self, connection: Connection, head: Head, row: dict[str, Any]) -> Head:
        """Write the head of the log after one more edit, in the transaction of the edit.

        Args:
            connection: with the lock on the row of `revisions`.
            head: before the edit.
            row: of the edit, with its hashes.
        """
        number = row["revision"]
        sealed = chain.seal(head.database_id, number, row["chain"])
        connection.execute(update(RevisionRow).values(number=number, chain=row["chain"], seal=sealed))
        return Head(number, row["chain"], sealed, head.database_id, number)

    def committed(self, head: Head) -> None:
        """Note the head after an edit of this process was committed."""
        with self._lock:
            if head.number > self._number:
                self._accept(head)

    def _follow(self, connection: Connection, head: Head, kept: KeptHead | None) -> None:
        after, last = self._revision, self._chain
        fresh = _LIGHT.where(EditRow.revision > after, EditRow.revision <= head.number).order_by(EditRow.revision)
        with reading("edits"):
            rows = connection.execute(fresh).all()
        for revision, release, kind, digest, found in rows:
            if chain.link(last, revision, release, kind, digest) != found:
                raise _broken(after, revision)
            after, last = revision, found
        if last != head.chain:
            raise DamageError(
                "edits", f"after revision {after}",
                f"{missing_edits(after + 1, head.number)} missing, which the table revisions knows"
                if after < head.number
                else "it does not end with the edit that the table revisions names",
            )  # fmt: skip
        if self._keeper is not None and kept is not None:
            self._keeper.compare(kept, connection, head.database_id, head.number)
        self._accept(head._replace(last=after))

    def _accept(self, head: Head) -> None:
        self._revision, self._chain, self._number, self._started = head.last, head.chain, head.number, True
        if self._keeper is not None:
            self._keeper.keep(KeptHead(head.database_id, head.number, head.last, head.chain))


def _broken(before: int, revision: int) -> DamageError:
    if revision > before + 1:
        return DamageError("edits", f"before revision {revision}", f"{missing_edits(before + 1, revision - 1)} missing")
    return DamageError(
        "edits", f"revision {revision}", f"it does not follow edit {before}: one of the two was altered, or moved"
    )
