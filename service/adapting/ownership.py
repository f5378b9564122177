"""Ownership of jobs: a locked file says that the process that works on a job is alive."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from service.records.jobs import Job, Owner
from service.records.tables import now

SILENCE = timedelta(seconds=60)  # without a report, after which the owner on another machine counts as dead
_SUFFIX = ".lock"


class WorkFolder:
    """The folder of a job, and a locked file beside it. The lock ends with this process, however it ends.

    Args:
        parent: folder of all such folders; it is created.
        job_id: of the job.

    Attributes:
        path: the folder.
        owner: how other processes find out whether this one is alive.

    Raises:
        OSError: if the folder cannot be created.
    """

    def __init__(self, parent: Path, job_id: str) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        file = parent.absolute() / f"{job_id}{_SUFFIX}"
        self._lock = _locked(file, create=True)
        if self._lock is None:
            raise OSError(f"{file} is locked by another process")
        self.path = file.with_suffix("")
        self.path.mkdir()
        self.owner = Owner(socket.gethostname(), str(file))

    def remove(self) -> None:
        """Remove the folder and the lock."""
        if self._lock is not None:
            _remove(Path(self.owner.lock_file), self._lock)
            self._lock = None


def is_dead(job: Job) -> bool:
    """Check whether no process works on a job any more."""
    if job.owner.host != socket.gethostname():
        return now() - job.beat > SILENCE
    lock = _locked(Path(job.owner.lock_file))
    if lock is not None:
        os.close(lock)
    return lock is not None or not Path(job.owner.lock_file).exists()


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of jobs whose process has ended."""
    for file in parent.glob(f"*{_SUFFIX}"):
        lock = _locked(file)
        if lock is not None:
            _remove(file, lock)


@contextmanager
def holding(file: Path) -> Iterator[None]:
    """A block in which this process holds the lock of a file, which is created.

    Raises:
        OSError: if it cannot be created, or is locked already.
    """
    lock = _locked(file, create=True)
    if lock is None:
        raise OSError(f"{file} is locked by another process")
    try:
        yield
    finally:
        os.close(lock)


def is_held(file: Path) -> bool:
    """Whether a process holds the lock of a file, this one included."""
    lock = _locked(file)
    if lock is not None:
        os.close(lock)
    return lock is None and file.exists()


def _locked(file: Path, create: bool = False) -> int | None:
    """A descriptor that holds the lock of a file; None if another process holds it, or there is no such file."""
    try:
        lock = os.open(file, os.O_RDWR | (os.O_CREAT if create else 0))
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(file)):
            return lock
    except OSError:  # it is locked, or was removed meanwhile
        pass
    os.close(lock)
    return None


def _remove(file: Path, lock: int) -> None:
    shutil.rmtree(file.with_suffix(""), ignore_errors=True)
    file.unlink(missing_ok=True)
    os.close(lock)
