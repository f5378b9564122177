"""Following the log of edits: all processes over one database reach the same state within a second.

The log is polled. Over PostgreSQL, notices of other processes shorten the wait, see `service.records.notices`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Engine, update
from sqlalchemy.exc import SQLAlchemyError

from model_store.live import AddedExemplar
from service.logs import note_edit
from service.problems import AGAIN, DamageError, Problem
from service.records.connection import Waits, durable_transaction
from service.records.edit_log import Edit, Kind
from service.records.edit_rows import read_edits_and_exemplars, unexamined_edits, write_edit, write_fits
from service.records.head_file import HeadFile
from service.records.live_release import LiveRelease
from service.records.log_guard import LogGuard
from service.records.notices import notify
from service.records.tables import RevisionRow, now

POLL = 0.25  # seconds between two reads of the last revision
PATIENCE = 2.0  # seconds that a request waits for a revision
WRITERS = 16  # edits that wait for each other in this process; each holds a thread

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


# Finds out which of some edits without a digest were made on a release: by revision, as far as that can be told.
Examine = Callable[[Connection, LiveRelease, Sequence[Edit]], Mapping[int, bool]]


class Follower:
    """Applies the edits of the log to releases, and appends edits to the log.

    Readers do not block: they use `LiveRelease.state`. A lock orders the writers of this process. The first statement
    of an edit updates the single row of `revisions`; this lock of the database orders the writers of all processes.
    Another lock, which no one holds while the database makes it wait, guards the edits that are applied.

    A release is followed for as long as something else refers to it.

    Args:
        database: holds the log.
        patience: seconds that an edit waits for other edits of this process.
        keeper: the file that knows the head of the log beside the database; None: there is none.
        examine: examines edits of earlier versions, which recorded no digest, once for each release of their name.
            None: such edits are not applied unless they were examined before.
        admit: called before each edit; it raises a Problem where there is no room for one.

    Attributes:
        trouble: why the log could not be read last time; None if it was read.
    """

    def __init__(
        self,
        database: Engine,
        patience: float = Waits().lock,
        keeper: HeadFile | None = None,
        examine: Examine | None = None,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        self._database, self._patience = database, patience
        self._examine, self._admit = examine, admit
        self._guard = LogGuard(keeper)
        self._releases = WeakValueDictionary[str, LiveRelease]()  # by digest
        self.trouble: str | None = None
        self._seen = 0
        self._closed: dict[str, str] = {}  # digests of releases whose edits another one took over, and its name
        self._writing = threading.RLock()
        self._writers = threading.BoundedSemaphore(WRITERS)  # of edits that hold or wait for `_writing`
        self._changed = threading.Condition(threading.RLock())  # taken after `_writing` and after a connection
        self._stop, self._woken = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, live: LiveRelease) -> int:
        """Replay all edits of a release, and apply future ones.

        Returns:
            The number of edits that were replayed.

        Raises:
            ValueError: if the edits that the database has of this release do not fit it.
            DamageError: if the log is damaged.
        """
        examined = 0
        while True:
            with self._database.connect() as connection:
                number = self._checked(connection)
                self._examine_new(connection, examined, number, live)
                for other in self._followed():
                    self._examine_new(connection, self._seen, number, other)
            examined = number
            with self._database.connect() as connection, self._changed:
                number = self._guard.check(connection).number
                if not self._is_new(connection, examined, number, live):
                    return self._take_up(connection, number, live)

    def _is_new(self, connection: Connection, after: int, until: int, live: LiveRelease) -> bool:
        """Whether edits were written meanwhile that must be examined, which may make this process wait to write."""
        if self._examine is None or until <= after:
            return False
        return any(unexamined_edits(connection, after, until, one.key) for one in (live, *self._followed()))

    def _take_up(self, connection: Connection, number: int, live: LiveRelease) -> int:
        """Replay all edits of a release, which were examined, and follow it."""
        self._apply(connection, number)
        edits, added = read_edits_and_exemplars(connection, 0, number, live.key)
        try:
            live.advance(number, edits, added)
            _check_known(live)
        except ValueError as error:
            raise ValueError(
                f"the {len(edits)} edits of release {live.name!r} in the database do not fit it: {error}; the "
                "database was changed by hand or is damaged: restore it from a backup, or give the release another "
                "name or database"
            ) from error
        self._releases[live.digest] = live
        return len(edits)

    def _followed(self) -> list[LiveRelease]:
        """The releases that are followed."""
        return [live for ref in self._releases.valuerefs() if (live := ref()) is not None]

    def start(self) -> None:
        """Follow the log in a thread."""
        self._thread = threading.Thread(target=self._run, name="segsort-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stop.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """Let the thread read the log now and not after `POLL` seconds."""
        self._woken.set()

    def catch_up(self) -> None:
        """Apply the edits that other processes wrote.

        Raises:
            SQLAlchemyError: if the database does not answer.
            DamageError: if the log is damaged.
        """
        with self._database.connect() as connection:
            number = self._checked(connection)
            for live in self._followed():
                self._examine_new(connection, self._seen, number, live)
            with self._changed:
                self._apply(connection, number)

    def _checked(self, connection: Connection) -> int:
        """The number of the last edit, after the check of the log's head."""
        with self._changed:
            return self._guard.check(connection).number

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
                database refuses the edit, or too many edits wait, or one of them for too long; 507 if there is no room
                for it.
            DamageError: if the log is damaged. No edit is made.
        """
        self._admit()
        complete = False
        try:
            with self._turn_to_write():
                self._check_open(live)
                with durable_transaction(self._database) as connection:
                    connection.execute(update(RevisionRow).values(number=RevisionRow.number))
                    head = self._guard.check(connection)
                    revision = head.number + 1
                    for other in self._followed():
                        self._examine_new(connection, self._seen, head.number, other, commit=False)
                    with self._changed:
                        self._apply(connection, head.number)
                    planned = plan(connection, revision)
                    if planned is None:
                        connection.rollback()
                        return None
                    edit = Edit(
                        revision, live.name, planned.kind, planned.payload, author.name, author.reason, now(),
                        live.digest,
                    )  # fmt: skip
                    head = self._guard.append(connection, head, write_edit(connection, edit, planned.added, head.chain))
                    notify(connection, "edits")
                    complete = True
                self._guard.committed(head)
                note_edit(revision)
                with self._changed:
                    if self._seen < revision:  # else the thread has already read it from the log
                        self._advance(revision, {live.digest: ([edit], list(planned.added))})
                return edit
        except SQLAlchemyError as error:
            raise _refused(error, complete) from error

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Wait for other edits of this process.

        Raises:
            Problem: 503 if too many wait, or this one waited for too long.
        """
        if not self._writers.acquire(blocking=False):
            raise self._too_many(f"{WRITERS} edits before this one")
        try:
            if not self._writing.acquire(timeout=self._patience):
                raise self._too_many(f"an edit that waited for {self._patience:g} s")
            try:
                yield
            finally:
                self._writing.release()
        finally:
            self._writers.release()

    def _too_many(self, received: str) -> Problem:
        return Problem(
            503, "Other edits wait for the database. This one was not made.", received=received,
            allowed=f"{WRITERS} edits, and {self._patience:g} s of waiting",
            fix="Send it again. If it is refused again, the operator should look for what locks the database.",
            headers=AGAIN,
        )  # fmt: skip

    @contextmanager
    def no_edits(self) -> Iterator[None]:
        """A block in which no other thread of this process makes an edit; all edits before it are applied.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        with self._writing:
            self.catch_up()
            yield

    def close_release(self, live: LiveRelease, successor: str) -> None:
        """Refuse edits of a release from now on, because another one has taken them over. Call it in `no_edits`."""
        with self._changed:
            self._closed[live.digest] = successor

    def reopen(self, live: LiveRelease) -> None:
        """Accept edits of a release again, because it is served again."""
        with self._changed:
            self._closed.pop(live.digest, None)

    def _check_open(self, live: LiveRelease) -> None:
        successor = self._closed.get(live.digest)
        if successor is not None:
            raise Problem(
                409, f"Release {successor!r} took the place of {live.name!r} while this edit waited. It was not made.",
                received=live.name, allowed=successor, fix="Send it again. Take ids of segments from a new answer.",
            )  # fmt: skip

    def _run(self) -> None:
        """Follow the log until `stop`. An error is logged once and the step is tried again: the thread does not end."""
        while not self._is_stopped():
            try:
                self._look()
                self.trouble = None
            except BaseException as error:
                if self.trouble is None:
                    known = isinstance(error, (SQLAlchemyError, DamageError))
                    _log.warning("the log of edits cannot be read, trying again: %s", error, exc_info=not known)
                self.trouble = str(error)[:400] or type(error).__name__

    def _is_stopped(self) -> bool:
        """Wait for `POLL` seconds, for a wake or for the stop. Returns whether it is the stop."""
        self._woken.wait(POLL)
        self._woken.clear()
        return self._stop.is_set()

    def _look(self) -> None:
        with self._database.connect() as connection:
            behind = self._guard.check(connection).number > self._seen
        if behind:
            self.catch_up()

    def _apply(self, connection: Connection, number: int) -> None:
        """Apply all edits up to a revision to every release."""
        if number <= self._seen:
            return
        news = {
            live.digest: read_edits_and_exemplars(connection, self._seen, number, live.key) for live in self._followed()
        }
        self._advance(number, news)

    def _examine_new(
        self, connection: Connection, after: int, until: int, live: LiveRelease, commit: bool = True
    ) -> None:
        """Examine the edits that name a release without a digest, and record which of them were made on it.

        A replica of an earlier version may write such edits at any time. No lock of this process is needed.
        """
        if self._examine is None or until <= after:
            return
        edits = unexamined_edits(connection, after, until, live.key)
        if edits:
            write_fits(connection, live.digest, self._examine(connection, live, edits))
            if commit:
                connection.commit()

    def _advance(self, number: int, news: dict[str, tuple[list[Edit], list[AddedExemplar]]]) -> None:
        for live in self._followed():
            live.advance(number, *news.get(live.digest, ([], [])))
        self._seen = number
        self._changed.notify_all()


def _refused(error: SQLAlchemyError, complete: bool) -> Problem:
    """503 for an edit that the database refused. complete: whether only its commit was left, so that it may be made."""
    received = str(getattr(error, "orig", error))[:200]
    if complete:
        return Problem(
            503, "The database did not confirm the edit.", received=received,
            fix="Check GET /edits, then try again. If it fails again, the operator should check the database.",
        )  # fmt: skip
    return Problem(
        503, "The database refused the edit. It was not made.", received=received,
        fix="Send it again. If it is refused again, the operator should check the database.", headers=AGAIN,
    )  # fmt: skip


def _check_known(live: LiveRelease) -> None:
    unknown = [name for name in live.log.touched() if live.state.row(name) is None]
    if unknown:
        raise ValueError(f"they name exemplars that it does not have: {unknown[:3]}")
