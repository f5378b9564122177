"""The access log: who read and edited what, as lines of JSON in files that are kept for a while."""

import logging
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from service.http.keys import without_keys

FOLDER = "access"  # in data_dir
_FILE_BYTES = 16_000_000  # a file that has so many is followed by another one
_PAUSE = 0.5  # seconds between two writes
_WAITING = 50_000  # most entries that wait to be written; some 30 MB
_AT_ONCE = 1000  # entries in one write
_CLEANING = 600.0  # seconds between two looks for old files
_DAY = 86_400
_LONGEST = 300  # characters of a query
_MOST_IDS = 100
_PATTERN = "access-*.jsonl"
_log = logging.getLogger("segsort.access")


class Entry(NamedTuple):
    """One request of a known caller.

    Attributes:
        began_ns: when it began, nanoseconds since the epoch.
        request_id: as in its answer.
        caller: name of the key.
        address: of the client.
        method: of the request.
        route: template of the path.
        ids: of what the request named, read or made: answers, segments, exemplars, releases, jobs.
        query: of the request.
        edit: number of the edit that it made; None: none.
        status: of the answer.
    """

    began_ns: int
    request_id: str
    caller: str
    address: str
    method: str
    route: str
    ids: Iterable[str]
    query: str
    edit: int | None
    status: int

    def line(self) -> bytes:
        """The entry as a line of JSON. Keys that somebody wrote in the wrong place cannot be read."""
        ids = list(dict.fromkeys(without_keys(one[:_LONGEST]) for one in self.ids))
        fields = {
            "time": datetime.fromtimestamp(self.began_ns / 1e9, UTC).isoformat(timespec="milliseconds"),
            "request_id": self.request_id,
            "caller": self.caller,
            "address": self.address,
            "method": self.method,
            "route": self.route,
            "ids": ids[:_MOST_IDS],
            "status": self.status,
        }
        if len(ids) > _MOST_IDS:
            fields["more_ids"] = len(ids) - _MOST_IDS
        if self.query:
            fields["query"] = without_keys(self.query)[:_LONGEST]
        if self.edit is not None:
            fields["edit"] = self.edit
        try:
            return orjson.dumps(fields) + b"\n"
        except TypeError:  # half of a surrogate pair
            return orjson.dumps({**fields, "ids": [ascii(one) for one in ids[:_MOST_IDS]]}) + b"\n"


class AccessLog:
    """Writes entries in a thread, to a file of this process, and deletes old files of all processes.

    Args:
        folder: of the files; it is created.
        days: files whose last entry is older are deleted.
        megabytes: largest size of all files; the oldest are deleted first.

    Attributes:
        lost: entries that could not be written, because too many waited.
    """

    def __init__(self, folder: Path, days: int, megabytes: int) -> None:
        self._folder, self._days, self._bytes = folder, days, megabytes * 1_000_000
        self._waiting: deque[Entry] = deque()
        self.lost = 0
        self._file: Path | None = None
        self._handle, self._size = -1, 0
        self._next_cleaning = 0.0
        self._failed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, entry: Entry) -> None:
        """Add an entry. It is written within a second; this does not wait for it."""
        if len(self._waiting) >= _WAITING:
            self.lost += 1
        else:
            self._waiting.append(entry)

    def start(self) -> None:
        """Write entries in a thread."""
        self._thread = threading.Thread(target=self._run, name="segsort-access-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.write()
        self._close_file()

    def write(self) -> None:
        """Write all entries that wait. After an error they go on waiting."""
        try:
            for _ in range(0, len(self._waiting), _AT_ONCE):
                self._write_some()
            if time.monotonic() > self._next_cleaning:
                self._delete_old_files()
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.error("the access log cannot be written, trying again: %s", error)
            self._failed = True

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            self.write()

    def _write_some(self) -> None:
        """Write at most `_AT_ONCE` entries, whole or not at all.

        Raises:
            OSError: if they cannot be written.
        """
        entries = [self._waiting[place] for place in range(min(len(self._waiting), _AT_ONCE))]
        content = b"".join(entry.line() for entry in entries)
        self._open_file()
        try:
            if os.write(self._handle, content) != len(content):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(content)
        for _ in entries:
            self._waiting.popleft()

    def _open_file(self) -> None:
        """Open a file, unless the present one may have more entries: it is not too large, of today and not deleted."""
        now = datetime.now(UTC)
        if self._file is not None:
            same_day = self._file.name.startswith(f"access-{now:%Y%m%d}")
            if self._size < _FILE_BYTES and same_day and self._file.exists():
                return
        self._close_file()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname())[:60]
        self._file = self._folder / f"access-{now:%Y%m%dT%H%M%S%f}-{host}-{os.getpid()}.jsonl"
        self._handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._handle).st_size
        self._next_cleaning = 0.0

    def _close_file(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
        self._file, self._handle, self._size = None, -1, 0

    def _delete_old_files(self) -> None:
        self._next_cleaning = time.monotonic() + _CLEANING
        found = []
        for file in sorted(self._folder.glob(_PATTERN), reverse=True):  # the newest first
            try:
                found.append((file, file.stat()))
            except FileNotFoundError:  # another process has deleted it
                continue
        total, oldest = 0, time.time() - self._days * _DAY
        for file, about in found:
            total += about.st_size
            if file != self._file and (about.st_mtime < oldest or total > self._bytes):
                file.unlink(missing_ok=True)
