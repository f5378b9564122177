"""Following the log of edits: all processes over one database reach the same state within a second."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import SQLAlchemyError

from model_store.live import AddedExemplar
from service.problems import Problem
from service.records.connection import durable_transaction
from service.records.edit_log import Edit, Kind
from service.records.edit_rows import read_edits_and_exemplars, write_edit
from service.records.live_release import LiveRelease
from service.records.tables import RevisionRow, last_revision, now

POLL = 0.25  # seconds between two reads of the last revision
PATIENCE = 2.0  # seconds that a request waits for a revision

_log = logging.getLogger("segsort.live")


class Author(NamedTuple):
    """Who edits, and why."""

    name: str
    reason: str | None


class Plan(NamedTuple):
    """A validated edit: its kind, its payload, and the exemplars that the database does not hold yet."""

    kind: Kind
    payload: dict[str, Any]
    added: Sequence[AddedExemplar] = ()


class Follower:
    """Applies the edits of the log to releases, and appends edits to the log.

    Readers do not block: they use `LiveRelease.state`. A lock orders the writers of this process. The first statement
    of an edit increments the single row of `revisions`; this lock of the database orders the writers of all processes.

    Args:
        database: holds the log.
        chores: functions that its thread calls after each look at the log; each may raise SQLAlchemyError.

    Attributes:
        trouble: why the log could not be read last time; None if it was read.
    """

    def __init__(self, database: Engine, chores: Sequence[Callable[[], None]] = ()) -> None:
        self._database, self._chores = database, chores
        self._releases: dict[str, LiveRelease] = {}
        self.trouble: str | None = None
        self._seen = 0
        self._closed: dict[str, str] = {}  # releases whose edits another one has taken over, and that one
        self._changed = threading.Condition(threading.RLock())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, live: LiveRelease) -> int:
        """Replay all edits of a release, and apply future ones.

        Returns:
            The number of edits that were replayed.

        Raises:
            ValueError: if the edits were made on another release of the same name.
        """
        with self._changed, self._database.connect() as connection:
            number = last_revision(connection)
            self._apply(connection, number)
            edits, added = read_edits_and_exemplars(connection, 0, number, live.name)
            try:
                live.advance(number, edits, added)
                _check_known(live)
            except ValueError as error:
                raise ValueError(
                    f"the {len(edits)} edits of release {live.name!r} in the database do not fit it: {error}; serve "
                    "the release that they were made on, or give this one another name or database"
                ) from error
            self._releases[live.name] = live
        return len(edits)

    def start(self) -> None:
        """Follow the log in a thread."""
        self._thread = threading.Thread(target=self._run, name="segsort-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def catch_up(self) -> None:
        """Apply the edits that other processes wrote.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        with self._changed, self._database.connect() as connection:
            self._apply(connection, last_revision(connection))

    def wait_for(self, live: LiveRelease, revision: int) -> None:
        """Wait until a release has reached a revision.

        Raises:
            Problem: 409 if the log does not have the revision after `PATIENCE` seconds.
        """
        end = time.monotonic() + PATIENCE
        while live.state.revision < revision:
            self.catch_up()
            with self._changed:
                left = end - time.monotonic()
                if live.state.revision >= revision:
                    return
                if left <= 0:
                    raise Problem(
                        409, "There is no edit with this revision yet.", received=revision,
                        allowed=f"at most {live.state.revision}",
                        fix="Use an index_revision that an edit or an answer returned.",
                    )  # fmt: skip
                self._changed.wait(min(left, POLL))

    def edit(self, live: LiveRelease, author: Author, plan: Callable[[Connection, int], Plan | None]) -> Edit | None:
        """Append one edit: validate it against the end of the log, commit it, then apply it in this process.

        Args:
            live: the release to edit.
            author: who makes the edit.
            plan: called with the connection and the revision of the edit, when `live` is at the revision before it.
                It returns the edit to write, or None where there is nothing to change.

        Returns:
            The edit; None where there is nothing to change.

        Raises:
            Problem: raised by `plan`; 409 if another release has just taken over the edits of this one; 503 if the
                database refuses the edit.
        """
        try:
            with self._changed:
                self._check_open(live)
                with durable_transaction(self._database) as connection:
                    connection.execute(update(RevisionRow).values(number=RevisionRow.number + 1))
                    revision = last_revision(connection)
                    self._apply(connection, revision - 1)
                    planned = plan(connection, revision)
                    if planned is None:
                        connection.rollback()
                        return None
                    edit = Edit(revision, live.name, planned.kind, planned.payload, author.name, author.reason, now())
                    write_edit(connection, edit, planned.added)
                self._advance(revision, {live.name: ([edit], list(planned.added))})
                return edit
        except SQLAlchemyError as error:
            raise Problem(
                503, "The database did not confirm the edit.",
                received=str(getattr(error, "orig", error))[:200],
                fix="Check GET /edits, then try again. If it fails again, the operator should check the database.",
            ) from error  # fmt: skip

    @contextmanager
    def no_edits(self) -> Iterator[None]:
        """A block in which no other thread of this process makes an edit; all edits before it are applied.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        with self._changed:
            self.catch_up()
            yield

    def close_release(self, name: str, successor: str) -> None:
        """Refuse edits of a release from now on, because another one has taken them over. Call it in `no_edits`."""
        with self._changed:
            self._closed[name] = successor

    def reopen(self, name: str) -> None:
        """Accept edits of a release again, because it is served again."""
        with self._changed:
            self._closed.pop(name, None)

    def _check_open(self, live: LiveRelease) -> None:
        successor = self._closed.get(live.name)
        if successor is not None:
            raise Problem(
                409, f"Release {successor!r} took the place of {live.name!r} while this edit waited. It was not made.",
                received=live.name, allowed=successor, fix="Send it again. Take ids of segments from a new answer.",
            )  # fmt: skip

    def _run(self) -> None:
        """Follow the log until `stop`. An error is logged once and the step is tried again: the thread does not end."""
        while not self._stop.wait(POLL):
            try:
                self._look()
                self.trouble = None
            except BaseException as error:
                if self.trouble is None:
                    known = isinstance(error, SQLAlchemyError)
                    _log.warning("the log of edits cannot be read, trying again: %s", error, exc_info=not known)
                self.trouble = str(error)[:200] or type(error).__name__

    def _look(self) -> None:
        with self._database.connect() as connection:
            behind = last_revision(connection) > self._seen
        if behind:
            self.catch_up()
        for chore in self._chores:
            chore()

    def _apply(self, connection: Connection, number: int) -> None:
        """Apply all edits up to a revision to every release."""
        if number <= self._seen:
            return
        news = {name: read_edits_and_exemplars(connection, self._seen, number, name) for name in self._releases}
        self._advance(number, news)

    def _advance(self, number: int, news: dict[str, tuple[list[Edit], list[AddedExemplar]]]) -> None:
        for name, live in self._releases.items():
            live.advance(number, *news.get(name, ([], [])))
        self._seen = number
        self._changed.notify_all()


def _check_known(live: LiveRelease) -> None:
    unknown = [name for name in live.log.touched() if live.state.row(name) is None]
    if unknown:
        raise ValueError(f"they name exemplars that it does not have: {unknown[:3]}")
