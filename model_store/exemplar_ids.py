"""Which release folders have an exemplar, without opening the releases."""

import logging
import threading
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from model_store.release import EXEMPLARS

_log = logging.getLogger("segsort.releases")
_Stamp = tuple[int, int]  # time of the last change in nanoseconds, and size of a file


class ExemplarIds:
    """Looks ids of exemplars up in folders of releases. Calls from several threads are safe.

    Only the ids are read, once for each release, and 16 bytes an exemplar are kept. A table that was replaced is read
    again.

    Args:
        parents: folders whose subfolders are releases, or kept copies of releases.
    """

    def __init__(self, parents: Sequence[Path]) -> None:
        self._parents = list(parents)
        self._read = dict[Path, tuple[_Stamp, np.ndarray]]()  # by folder: the ids, [N] S16, sorted
        self._reading = threading.Lock()

    def folders_with(self, exemplar_id: str) -> Iterator[Path]:
        """The folders of the releases that have an exemplar, in the order of the parents."""
        if not _is_id(exemplar_id):
            return
        found = [file.parent for parent in self._parents for file in sorted(parent.glob(f"*/{EXEMPLARS}"))]
        self._forget(found)
        for folder in found:
            if not folder.name.startswith(".") and self.has_all(folder, [exemplar_id]):
                yield folder

    def has_all(self, folder: Path, exemplar_ids: Collection[str]) -> bool:
        """Check whether the release in a folder has all of some exemplars; False if its table cannot be read."""
        if not all(map(_is_id, exemplar_ids)):
            return False
        ids = self._ids(folder)
        if ids is None or not len(ids):
            return ids is not None and not exemplar_ids
        wanted = np.array([one.encode("ascii") for one in exemplar_ids], dtype="S16")
        places = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
        return bool((ids[places] == wanted).all())

    def _ids(self, folder: Path) -> np.ndarray | None:
        """The ids of a release, [N] S16, sorted; None if they cannot be read."""
        file = folder / EXEMPLARS
        try:
            stat = file.stat()
        except OSError:  # it was removed
            return None
        stamp = stat.st_mtime_ns, stat.st_size
        with self._reading:
            known = self._read.get(folder)
            if known is None or known[0] != stamp:
                known = self._read[folder] = stamp, _read_ids(file)
        return known[1]

    def _forget(self, present: Sequence[Path]) -> None:
        """Drop the ids of releases that are gone."""
        with self._reading:
            for folder in self._read.keys() - set(present):
                del self._read[folder]


def _is_id(text: str) -> bool:
    return len(text) <= 16 and text.isascii() and text.isalnum()


def _read_ids(file: Path) -> np.ndarray:
    """The ids in a table of exemplars, [N] S16, sorted; none if it cannot be read, which is logged."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            return np.sort(arrays["ids"].astype("S16"))
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("the ids of the exemplars in %s cannot be read: %s", file, error)
        return np.zeros(0, dtype="S16")
