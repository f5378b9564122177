"""Following the log of edits: all processes over one database come to the same live state within a second."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from service.problems import Problem
from service.records.connection import durable_transaction
from service.records.edit_log import ClassState, Edit, EditLog, Kind
from service.records.tables import EditRow, ExemplarRow, RevisionRow, last_revision, now

POLL = 0.25  # seconds between two looks at the log
PATIENCE = 2.0  # seconds that a request waits for a revision

_log = logging.getLogger("segsort.live")


class Author(NamedTuple):
    """Who edits, and why."""

    name: str
    reason: str | None


class Plan(NamedTuple):
    """An edit that has been validated: its kind, its payload, and the exemplars that are new to the database."""

    kind: Kind
    payload: dict[str, Any]
    added: Sequence[AddedExemplar] = ()


@dataclass
class LiveRelease:
    """A release with the edits made on it.

    state is replaced by each edit and never changed: a reader takes it once and asks the log at its revision.
    """

    release: Release
    state: LiveExemplars
    log: EditLog

    @classmethod
    def of(cls, state: LiveExemplars) -> "LiveRelease":
        """A release before any edit."""
        release = state.release
        classes = [ClassState(info, info.class_id in release.card.retired) for info in release.card.classes]
        return cls(release, state, EditLog(classes, release.rows))

    @property
    def name(self) -> str:
        return self.release.card.name

    def advance(self, revision: int, edits: Sequence[Edit], added: Sequence[AddedExemplar]) -> None:
        """Take edits in, the log's up to a revision; added: the exemplars that they brought, in order."""
        if not edits:
            self.state = self.state.edited(revision)
            return
        alive: dict[str, bool] = {}
        classes = False
        for edit in edits:
            changes = self.log.append(edit)
            alive |= changes.alive
            classes = classes or bool(changes.classes)
        self.state = self.state.edited(revision, added=added, alive=alive, **(self._classes() if classes else {}))

    def classes_at(self, revision: int) -> LiveExemplars:
        """The state with the classes as they were named at a revision, those that are newer aside."""
        states = self.log.class_states(revision)
        newer = self.state.classes[len(states) :]
        return replace(self.state, classes=(*(state.info for state in states), *newer))

    def _classes(self) -> dict[str, Any]:
        states = self.log.class_states()
        return {
            "classes": [state.info for state in states],
            "retired": frozenset(n for n, state in enumerate(states) if state.retired),
        }


class Follower:
    """Keeps releases at the state of the log, and appends to it.

    Readers never wait here: they take `LiveRelease.state`. Whoever writes or follows holds the lock, and the first
    statement of an edit's transaction counts the one row of `revisions` up, which lets the edits of all processes come
    one after another.

    Args:
        database: where the log is.
        chores: what else its thread does from time to time; each may raise SQLAlchemyError.
    """

    def __init__(self, database: Engine, chores: Sequence[Callable[[], None]] = ()) -> None:
        self._database, self._chores = database, chores
        self._releases: dict[str, LiveRelease] = {}
        self.trouble: str | None = None  # why the log could not be looked at
        self._seen = 0
        self._changed = threading.Condition(threading.RLock())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, live: LiveRelease) -> int:
        """Bring a release to the present state and keep it there.

        Returns:
            How many edits were replayed.

        Raises:
            ValueError: if the edits were made on another release of the same name.
        """
        with self._changed, self._database.connect() as connection:
            number = last_revision(connection)
            self._apply(connection, number)
            edits, added = _read(connection, 0, number, live.name)
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
        """Look at the log from time to time, in a thread."""
        self._thread = threading.Thread(target=self._run, name="segsort-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def catch_up(self) -> None:
        """Take in what others wrote.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        with self._changed, self._database.connect() as connection:
            self._apply(connection, last_revision(connection))

    def wait_for(self, live: LiveRelease, revision: int) -> None:
        """Wait until a release is at a revision.

        Raises:
            Problem: 409 if the log has no such revision, even after some time.
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
                        409, "The log has no such revision.", received=revision,
                        allowed=f"at most {live.state.revision}",
                        fix="Ask for a revision that an edit was answered with.",
                    )  # fmt: skip
                self._changed.wait(min(left, POLL))

    def edit(self, live: LiveRelease, author: Author, plan: Callable[[Connection, int], Plan | None]) -> Edit | None:
        """Append one edit: validated against the log's end, committed, then applied here.

        Args:
            live: the release that it is made on.
            author: who makes it.
            plan: given the connection and the edit's revision, when `live` is at the revision before: what to write,
                None for nothing at all. It raises what makes the edit impossible.

        Returns:
            The edit, None where there was nothing to write.

        Raises:
            Problem: of `plan`; 503 if the database does not take the edit, which then is not made.
        """
        try:
            with self._changed:
                with durable_transaction(self._database) as connection:
                    connection.execute(update(RevisionRow).values(number=RevisionRow.number + 1))
                    revision = last_revision(connection)
                    self._apply(connection, revision - 1)
                    planned = plan(connection, revision)
                    if planned is None:
                        connection.rollback()
                        return None
                    edit = Edit(revision, live.name, planned.kind, planned.payload, author.name, author.reason, now())
                    _write(connection, edit, planned.added)
                self._advance(revision, {live.name: ([edit], list(planned.added))})
                return edit
        except SQLAlchemyError as error:
            raise Problem(
                503, "The database did not confirm the edit.",
                received=str(getattr(error, "orig", error))[:200],
                fix="Look at GET /edits and try again; the operator should look at the database.",
            ) from error  # fmt: skip

    def _run(self) -> None:
        """Look at the log until the end. Whatever fails is said, once, and tried again: this thread never dies."""
        while not self._stop.wait(POLL):
            try:
                self._look()
                self.trouble = None
            except BaseException as error:
                if self.trouble is None:
                    known = isinstance(error, SQLAlchemyError)
                    _log.warning("the log of edits cannot be followed, trying again: %s", error, exc_info=not known)
                self.trouble = str(error)[:200] or type(error).__name__

    def _look(self) -> None:
        with self._database.connect() as connection:
            behind = last_revision(connection) > self._seen
        if behind:
            self.catch_up()
        for chore in self._chores:
            chore()

    def _apply(self, connection: Connection, number: int) -> None:
        """Bring every release to a revision, none past it."""
        if number <= self._seen:
            return
        news = {name: _read(connection, self._seen, number, name) for name in self._releases}
        self._advance(number, news)

    def _advance(self, number: int, news: dict[str, tuple[list[Edit], list[AddedExemplar]]]) -> None:
        for name, live in self._releases.items():
            live.advance(number, *news.get(name, ([], [])))
        self._seen = number
        self._changed.notify_all()


def read_edits(connection: Connection, after: int, until: int, release: str) -> list[Edit]:
    """Edits of a release, in their order, those with after < revision <= until."""
    query = select(EditRow.__table__).where(EditRow.release == release, EditRow.revision > after)
    rows = connection.execute(query.where(EditRow.revision <= until).order_by(EditRow.revision))
    return [edit_of(row) for row in rows.mappings()]


def edit_of(row: Any) -> Edit:
    """An edit as its row says."""
    return Edit(**{**row, "payload": orjson.loads(row["payload"])})


def _check_known(live: LiveRelease) -> None:
    unknown = [name for name in live.log.touched() if live.state.row(name) is None]
    if unknown:
        raise ValueError(f"it has no exemplars {unknown[:3]}, which they name")


def _read(connection: Connection, after: int, until: int, release: str) -> tuple[list[Edit], list[AddedExemplar]]:
    edits = read_edits(connection, after, until, release)
    if not any(edit.kind in ("add", "label") for edit in edits):
        return edits, []
    query = select(ExemplarRow.__table__).where(ExemplarRow.release == release, ExemplarRow.revision > after)
    query = query.where(ExemplarRow.revision <= until).order_by(ExemplarRow.revision, ExemplarRow.place)
    return edits, [_exemplar_of(row) for row in connection.execute(query).mappings()]


def _exemplar_of(row: Any) -> AddedExemplar:
    told = {name: value for name, value in row.items() if name not in ("release", "revision", "place")}
    told["prototype"] = np.frombuffer(row["prototype"], np.float32)
    return AddedExemplar(**{**told, "bbox": tuple(orjson.loads(row["bbox"]))})


def _write(connection: Connection, edit: Edit, added: Sequence[AddedExemplar]) -> None:
    connection.execute(insert(EditRow), {**vars(edit), "payload": orjson.dumps(edit.payload)})
    rows = [
        {
            **vars(exemplar),
            "release": edit.release,
            "revision": edit.revision,
            "place": place,
            "prototype": np.ascontiguousarray(exemplar.prototype, dtype=np.float32).tobytes(),
            "bbox": orjson.dumps(exemplar.bbox),
        }
        for place, exemplar in enumerate(added)
    ]
    if rows:
        connection.execute(insert(ExemplarRow), rows)
