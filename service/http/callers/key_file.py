"""The file of keys: it is read again when it changes, so that keys are added and revoked while the service runs."""

import logging
import stat
import time
from pathlib import Path

from service.http.keys import ROLES, Access, file_lines, parse_keys, read_access, read_file, variable_lines
from service.settings import Settings

_SETTLED = 3.0  # seconds; a file that was changed so recently may change again without another time of change
_log = logging.getLogger("segsort.access")


class KeyFile:
    """The keys of the settings, which follow the file.

    A file that cannot be used changes nothing: the last good keys stay, and the log names the fault. A file without
    keys, seen twice, revokes all keys of the file; access is not opened by it.

    Args:
        settings: name the variable and the file.

    Attributes:
        access: the accepted keys. One assignment replaces them.
        fault: why the file could not be used when it was last looked at; None: it could.

    Raises:
        ValueError: if the keys cannot be read at the start.
    """

    def __init__(self, settings: Settings) -> None:
        self._file, self._variable = settings.api_keys_file, settings.api_keys
        self._seen = self._signature()
        self._read_at = time.time()
        self.access = read_access(settings)
        self.fault: str | None = None
        self._empty = False  # whether the file was without keys at the last look

    def check(self) -> None:
        """Read the file again if it has changed."""
        if self._file is None:
            return
        signature = self._signature()
        if signature == self._seen and not self._empty and not self._unsettled():
            return
        self._seen, self._read_at = signature, time.time()
        try:
            self._read(self._file)
            fault = None
        except ValueError as error:
            fault = str(error)
        if fault is not None and fault != self.fault:
            _log.error("the keys were not read again, and those that were read before stay: %s", fault)
        self.fault = fault

    def _read(self, file: Path) -> None:
        found = file_lines(file, read_file(file), may_be_empty=True)
        was_empty, self._empty = self._empty, not found
        if self._empty and not was_empty:  # perhaps it is being written
            return
        self._empty = False
        keys = parse_keys(variable_lines(self._variable) + found)
        if {key.line for key in keys} == {key.line for key in self.access.keys}:
            return
        old, self.access = self.access, Access(keys, asked=True)
        _log.info("%s", _changes(old, self.access))

    def _unsettled(self) -> bool:
        return self._seen is not None and self._read_at - self._seen[0] / 1e9 < _SETTLED

    def _signature(self) -> tuple[int, int, int, int] | None:
        """What changes with the content; None if there is no file. Other things than files are read at the start only.

        Its first value is the time of the last change in nanoseconds.
        """
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return (0, 0, 0, 0)
        return found.st_ctime_ns, found.st_mtime_ns, found.st_size, found.st_ino


def _changes(old: Access, new: Access) -> str:
    """What a file changed, for the log: names, never digests."""
    before, after = ({key.caller.name: key.line for key in access.keys} for access in (old, new))
    kinds = {
        "added": sorted(after.keys() - before.keys()),
        "revoked": sorted(before.keys() - after.keys()),
        "changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
    }
    counts = " and ".join(f"{sum(key.caller.role == role for key in new.keys)} {role}" for role in ROLES)
    return f"keys read again, {counts}: " + "; ".join(f"{kind} {', '.join(n)}" for kind, n in kinds.items() if n)
