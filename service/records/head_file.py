"""The head of the log of edits, kept in a file beside the database.

An SQLite database whose write-ahead log was deleted, or an older copy of any database, is sound in itself. Only
something outside of it can tell that edits which were acknowledged are missing.

The file is written after the transaction of an edit and before the edit is acknowledged, and when another process's
edit is seen. So it is never ahead of the database, and at most behind. It is not forced to the disk: that would cost
as much as the transaction, and a power cut that loses the last lines of it makes it older, which only makes the check
weaker. The death of a process loses nothing of it.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url

from service.problems import DamageError
from service.records import chain
from service.records.tables import EditRow

_SIZE = 512  # bytes; the file is written by one call, so that a killed process leaves the old or the new content
_log = logging.getLogger("segsort.records")


class KeptHead(NamedTuple):
    """What the file holds: as in `RevisionRow`; last: revision of the last row of `edits`."""

    database_id: str
    number: int
    last: int
    chain: str


class HeadFile:
    """The file that keeps the head of the log of one database.

    Several processes may use it at once.

    Args:
        path: of the file. Its folder exists.
        database: name of the database for people, without a password.
    """

    def __init__(self, path: Path, database: str) -> None:
        self.path, self._database = path, database
        self._kept: KeptHead | None = None
        self._warned = False

    @classmethod
    def of(cls, data_dir: Path, url: str) -> "HeadFile | None":
        """The file for a database; None for one without a file, which lives as long as its process.

        Args:
            data_dir: folder of all files that the service writes.
            url: SQLAlchemy URL of the database.
        """
        parsed = make_url(url)
        name = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() != "sqlite":
            place = f"{parsed.host}:{parsed.port}/{parsed.database}?{sorted(parsed.query.items())}"
            return cls(data_dir / f"{parsed.get_backend_name()}-{_short(place)}-head.json", name)
        if parsed.database in (None, "", ":memory:"):
            return None
        file = Path(str(parsed.database)).absolute()
        if file.parent == data_dir.absolute():  # the folder may move
            return cls(data_dir / f"{file.name}-head.json", name)
        return cls(data_dir / f"sqlite-{_short(str(file))}-head.json", name)

    def read(self) -> KeptHead | None:
        """The head in the file; None if there is no file. A file that cannot be read is reported in the log."""
        try:
            return _decoded(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            _log.warning("%s cannot be read and is written anew: %s", self.path, error)
            return None

    def compare(self, kept: KeptHead, connection: Connection, database_id: str, number: int) -> None:
        """Check that a database has every edit that the file knew.

        Args:
            kept: what the file held before the head of the database was read.
            connection: to the database.
            database_id: of its head.
            number: of its head.

        Raises:
            DamageError: if it lacks one.
        """
        if kept.number == 0:
            return
        if kept.database_id != database_id:
            raise DamageError(
                None, self._database,
                f"it is another database than the one that {self.path} knows, which had {kept.number} edits, and it "
                f"has {number}", self._fix(),
            )  # fmt: skip
        if number < kept.number:
            missing = (
                f"edit {kept.number} is" if number + 1 == kept.number else f"edits {number + 1} to {kept.number} are"
            )
            raise DamageError(
                None, self._database,
                f"{missing} missing, which {self.path} knows: a write-ahead log was deleted, or this is an older copy",
                self._fix(),
            )  # fmt: skip
        found = connection.execute(select(EditRow.chain).where(EditRow.revision == kept.last)).scalar()
        if (found or chain.GENESIS) != kept.chain:
            raise DamageError(
                "edits", f"revision {kept.last}",
                f"the edits up to this one are others than those that {self.path} knows: the database is a copy that "
                "went its own way", self._fix(),
            )  # fmt: skip

    def keep(self, head: KeptHead) -> None:
        """Write the head, unless the file has a later one of this database. A failure is reported in the log."""
        if head == self._kept:
            return
        try:
            with self._locked() as file:
                if not self._is_later(file, head):
                    os.pwrite(file, _encoded(head), 0)
            self._kept, self._warned = head, False
        except OSError as error:
            if not self._warned:
                _log.warning("%s cannot be written: lost edits would not be noticed: %s", self.path, error)
            self._warned = True

    def forget(self) -> KeptHead | None:
        """Remove the file, so that the next start takes the database as it is; returns what it held."""
        kept = self.read()
        self.path.unlink(missing_ok=True)
        return kept

    @staticmethod
    def _is_later(file: int, head: KeptHead) -> bool:
        try:
            kept = _decoded(os.pread(file, _SIZE, 0))
        except (ValueError, TypeError):
            return False
        return kept.database_id == head.database_id and kept.number >= head.number

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _fix(self) -> str:
        return (
            "put back the -wal file or a newer copy, or take the database as it is with `segsort recover --accept` "
            "(docs/database.md, Recover)"
        )


def missing_edits(first: int, last: int) -> str:
    """Edits as the beginning of a sentence, with its verb."""
    return f"edit {first} is" if first == last else f"edits {first} to {last} are"


def _encoded(head: KeptHead) -> bytes:
    return json.dumps(head._asdict() | {"sum": _short(repr(head))}).encode().ljust(_SIZE - 1) + b"\n"


def _decoded(content: bytes) -> KeptHead:
    """Raises ValueError or TypeError if the content is not that of such a file."""
    fields = json.loads(content)
    expected = fields.pop("sum", None)
    head = KeptHead(**fields)
    if _short(repr(head)) != expected:
        raise ValueError("its checksum does not fit")
    return head


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
