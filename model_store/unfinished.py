"""Folders of releases that are being written: hidden, locked by their writer, and removed once the writer is gone."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_YOUNG = 10.0  # seconds; a folder that is not yet locked was made by a process that is about to lock it


@contextmanager
def unfinished(place: Path) -> Iterator[Path]:
    """A new hidden folder beside a place, which is removed at the end unless it was moved to the place.

    Its lock ends with this process, however it ends. A later writer, or the next start of a service, then removes it.

    Args:
        place: where the release will be; its parent is created.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(place.parent)
    folder = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def is_being_written(place: Path) -> bool:
    """Whether a living process writes a release that will be at a place."""
    return any(_is_locked(folder) for folder in _hidden(place.parent) if folder.name.startswith(f".{place.name}."))


def remove_unfinished(parent: Path) -> list[Path]:
    """Remove the folders of writers that were killed; the folders that were removed."""
    old = [folder for folder in _hidden(parent) if _age(folder) > _YOUNG and not _is_locked(folder)]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return old


def _hidden(parent: Path) -> list[Path]:
    return sorted(folder for folder in parent.glob(".*.*") if folder.is_dir() and not folder.is_symlink())


def _age(folder: Path) -> float:
    """Seconds since the folder was changed; 0 if it is gone."""
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0


def _is_locked(folder: Path) -> bool:
    """Whether a process writes into the folder."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it has just been moved to its place, or removed
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(opened)
    return False
