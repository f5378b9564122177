"""What must outlive a restart, in one SQLite file: projects, which answer an image has, corrections that wait, and the
edits that annotations made."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS projects (project TEXT PRIMARY KEY, config TEXT NOT NULL, options TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (image TEXT PRIMARY KEY, segmentation TEXT NOT NULL, used REAL NOT NULL);
CREATE INDEX IF NOT EXISTS answers_used ON answers (used);
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT, annotation INTEGER UNIQUE NOT NULL, body TEXT NOT NULL,
    received REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, error TEXT, failed INTEGER NOT NULL
    DEFAULT 0);
CREATE TABLE IF NOT EXISTS taught (
    annotation INTEGER PRIMARY KEY, task INTEGER NOT NULL, version TEXT NOT NULL, edits TEXT NOT NULL, note TEXT NOT
    NULL, changed REAL NOT NULL);
CREATE INDEX IF NOT EXISTS taught_task ON taught (task);
CREATE TABLE IF NOT EXISTS begun (
    annotation INTEGER PRIMARY KEY, task INTEGER NOT NULL, version TEXT NOT NULL, images INTEGER NOT NULL,
    revision INTEGER);
CREATE TABLE IF NOT EXISTS heard (one INTEGER PRIMARY KEY CHECK (one = 1), time REAL NOT NULL);
"""
_MOST_ANSWERS = 100_000  # images whose answer is remembered, about 20 MB


@dataclass(frozen=True)
class Waiting:
    """A correction that waits: what became of an annotation.

    number: place in the queue; body: fields of the event; tries: how often it failed so far; error: the last reason.
    """

    number: int
    annotation: int
    body: dict[str, Any]
    received: float
    tries: int
    error: str | None
    failed: bool


@dataclass(frozen=True)
class Taught:
    """What an annotation taught: the version of it, and its edits as (revision, exemplar ids, key of the image)."""

    annotation: int
    task: int
    version: str
    edits: list[tuple[int, list[str], str]]
    note: str


@dataclass(frozen=True)
class Begun:
    """How far the teaching of a version came, so that the next try continues there.

    images: how many images of the task were taught; revision: the newest edit before the one that is being made, None
    if none is being made.
    """

    annotation: int
    task: int
    version: str
    images: int = 0
    revision: int | None = None


class Memory:
    """The file. Every change is on disk before its method returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._using() as connection:
            return connection.execute(query, values).fetchall()

    def put_project(self, project: str, config: str, options: str) -> None:
        """Remember the labelling configuration and the options of a project."""
        self._rows("INSERT OR REPLACE INTO projects VALUES (?, ?, ?)", project, config, options)

    def options(self, project: str) -> str:
        """The options of a project, as they were given; empty if there are none."""
        rows = self._rows("SELECT options FROM projects WHERE project = ?", project)
        return str(rows[0][0]) if rows else ""

    def projects(self) -> list[str]:
        """The projects that were set up, by their numbers in Label Studio."""
        return [str(name) for (name,) in self._rows("SELECT project FROM projects ORDER BY project")]

    def drop_project(self, project: str) -> None:
        self._rows("DELETE FROM projects WHERE project = ?", project)

    def answer(self, image: str) -> str | None:
        """The segmentation of an image."""
        rows = self._rows("UPDATE answers SET used = ? WHERE image = ? RETURNING segmentation", time.time(), image)
        return str(rows[0][0]) if rows else None

    def drop_answer(self, image: str) -> None:
        self._rows("DELETE FROM answers WHERE image = ?", image)

    def put_answer(self, image: str, segmentation: str) -> None:
        """Remember the segmentation of an image, and forget the least used ones beyond the limit."""
        self._rows("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", image, segmentation, time.time())
        self._rows(
            "DELETE FROM answers WHERE image IN (SELECT image FROM answers ORDER BY used DESC LIMIT -1 OFFSET ?)",
            _MOST_ANSWERS,
        )

    def heard(self) -> float | None:
        """When Label Studio last said that something changed, in seconds since 1970."""
        rows = self._rows("SELECT time FROM heard")
        return float(rows[0][0]) if rows else None

    def put_heard(self) -> None:
        self._rows("INSERT OR REPLACE INTO heard VALUES (1, ?)", time.time())

    def wait(self, annotation: int, body: dict[str, Any]) -> None:
        """Queue what became of an annotation. It takes the place of what waits for this annotation already."""
        now = time.time()
        self._rows(
            "INSERT OR REPLACE INTO waiting (annotation, body, received, due) VALUES (?, ?, ?, ?)",
            annotation, json.dumps(body), now, now,
        )  # fmt: skip

    def next(self) -> Waiting | None:
        """The oldest correction whose time has come."""
        return next(iter(self._waiting("NOT failed AND due <= ? ORDER BY number LIMIT 1", time.time())), None)

    def waiting(self, limit: int = 50) -> list[Waiting]:
        """The corrections that wait or failed, the oldest first."""
        return self._waiting("1 ORDER BY failed DESC, number LIMIT ?", limit)

    def _waiting(self, condition: str, *values: Any) -> list[Waiting]:
        columns = "number, annotation, body, received, tries, error, failed"
        rows = self._rows(f"SELECT {columns} FROM waiting WHERE {condition}", *values)
        return [Waiting(row[0], row[1], json.loads(row[2]), row[3], row[4], row[5], bool(row[6])) for row in rows]

    def counts(self) -> tuple[int, int]:
        """How many corrections wait, and how many failed."""
        ((waiting, failed),) = self._rows("SELECT count(*) FILTER (WHERE NOT failed), total(failed) FROM waiting")
        return int(waiting), int(failed)

    def done(self, entry: Waiting) -> None:
        """Take a correction out of the queue, unless a newer one of its annotation has its place."""
        self._rows("DELETE FROM waiting WHERE number = ?", entry.number)

    def failed(self, entry: Waiting, error: str, again_in: float | None) -> None:
        """Note a failure. again_in: seconds until the next try; None: there is none."""
        self._rows(
            "UPDATE waiting SET tries = tries + 1, error = ?, due = ?, failed = ? WHERE number = ?",
            error, time.time() + (again_in or 0), again_in is None, entry.number,
        )  # fmt: skip

    def try_again(self) -> None:
        """Make all corrections due now, those that failed for good too."""
        self._rows("UPDATE waiting SET failed = 0, tries = 0, due = 0, received = ?", time.time())

    def taught(self, annotation: int) -> Taught | None:
        """What an annotation taught."""
        return next(iter(self._taught("annotation = ?", annotation)), None)

    def taught_by_task(self, task: int) -> list[Taught]:
        return self._taught("task = ?", task)

    def latest(self, limit: int = 20) -> list[Taught]:
        """What annotations taught, the latest first."""
        return self._taught("1 ORDER BY changed DESC LIMIT ?", limit)

    def _taught(self, condition: str, *values: Any) -> list[Taught]:
        rows = self._rows(f"SELECT annotation, task, version, edits, note FROM taught WHERE {condition}", *values)
        return [Taught(row[0], row[1], row[2], [tuple(one) for one in json.loads(row[3])], row[4]) for row in rows]

    def put_taught(self, taught: Taught) -> None:
        values = (taught.annotation, taught.task, taught.version, json.dumps(taught.edits), taught.note, time.time())
        self._rows("INSERT OR REPLACE INTO taught VALUES (?, ?, ?, ?, ?, ?)", *values)

    def drop_taught(self, annotation: int) -> None:
        self._rows("DELETE FROM taught WHERE annotation = ?", annotation)

    def begun(self, annotation: int) -> Begun | None:
        """How far the teaching of an annotation came; None if none is under way."""
        columns = "annotation, task, version, images, revision"
        rows = self._rows(f"SELECT {columns} FROM begun WHERE annotation = ?", annotation)
        return Begun(*rows[0]) if rows else None

    def put_begun(self, begun: Begun) -> None:
        values = (begun.annotation, begun.task, begun.version, begun.images, begun.revision)
        self._rows("INSERT OR REPLACE INTO begun VALUES (?, ?, ?, ?, ?)", *values)

    def drop_begun(self, annotation: int) -> None:
        self._rows("DELETE FROM begun WHERE annotation = ?", annotation)
