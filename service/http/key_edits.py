"""Edits of a file of keys: under a lock, and in one step: a running service reads the old file or the new one."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.http.keys import Key, file_lines, parse_keys, read_file


def keys_of(file: Path) -> list[Key]:
    """The keys of a file, which may be empty.

    Raises:
        ValueError: if it cannot be read, or a line is wrong.
    """
    return parse_keys(file_lines(file, read_file(file), may_be_empty=True))


def revoke_key(file: Path, name: str) -> Key:
    """Remove the line of a key. Other lines, comments and the rights of the file stay.

    Returns:
        What was stored of the key.

    Raises:
        ValueError: if the file cannot be read or replaced, a line is wrong, or no key has the name.
    """
    with _locked(file):
        found = {key.caller.name: key for key in keys_of(file)}
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise ValueError(f"{file}: no key has the name {name!r}; the names are: {known}")
        lines = read_file(file).splitlines(keepends=True)
        _replace(file, "".join(line for line in lines if line.split(":")[0].strip() != name))
    return found[name]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep other commands from editing the file. The lock is on its folder, because the file itself is replaced."""
    try:
        folder = os.open(file.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise ValueError(f"{file} cannot be edited: {error}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(file: Path, text: str) -> None:
    """Replace the content of a file in one step; a link stays a link."""
    target = file.resolve()
    try:
        old = target.stat()
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as written:
                os.fchmod(handle, old.st_mode & 0o7777)
                if (old.st_uid, old.st_gid) != (os.getuid(), os.getgid()):
                    os.fchown(handle, old.st_uid, old.st_gid)
                written.write(text)
                written.flush()
                os.fsync(handle)
            os.replace(beside, target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ValueError(
            f"{file} cannot be replaced: {error}; edit it with the rights of its owner. A file that is mounted alone "
            "into a container cannot be replaced there: edit it on the host"
        ) from error
