"""Kept copies: what explanations of a release need, without its network, after the release is changed or gone."""

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from model_store.release import CARD, CHECKSUMS, EXEMPLARS, IMAGES, SOURCES, Release, ReleaseError, read_card

_TABLES = (CARD, SOURCES, EXEMPLARS, CHECKSUMS)  # copied: a file that is changed in place must not change the copy
_LEFTOVER_AGE = 3600.0  # seconds after which an unfinished copy is that of a process that was killed

_log = logging.getLogger("segsort.kept")


class KeptCopy(NamedTuple):
    """A kept copy of a release: its digest and name, its folder, and the size of its files in bytes.

    shared: bytes of these in files that are also part of another folder on the disk.
    """

    digest: str
    name: str
    path: Path
    size: int
    shared: int


class KeptReleases:
    """The kept copies in a folder, one for each digest. Several processes may use the folder.

    A copy has the card, the exemplars, the images and the checksums of its release. Images are linked where the file
    system allows it.

    Args:
        folder: of the copies; it is made when the first one is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, release: Release) -> KeptCopy | None:
        """Copy what explanations of a release need; None if a copy is there already.

        Raises:
            OSError: if the files cannot be read or written. No files are left behind.
        """
        place = self.folder / release.digest
        if place.is_dir():
            os.utime(place)  # it is in use, see `remove_unused`
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{release.digest[:16]}.", dir=self.folder))
        try:
            (made / IMAGES).mkdir()
            for name in _TABLES:
                shutil.copyfile(release.path / name, made / name)
            for source in release.sources:
                _link(release.path / source.file, made / source.file)
            Release.open_without_network(made, release.digest)  # the folder may have been changed since it was opened
            made.chmod(0o755)  # temporary folders are readable only by their owner
            os.rename(made, place)
        except ReleaseError as error:
            shutil.rmtree(made, ignore_errors=True)
            raise OSError(f"{release.path} was changed while it was served: {error}") from error
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            if place.is_dir():  # another process was faster
                return None
            raise
        return _described(place)

    def open(self, digest: str) -> Release | None:
        """Open the copy of a release; None if there is none, or it was changed, which is logged."""
        place = self.folder / digest
        if not place.is_dir():
            return None
        try:
            return Release.open_without_network(place, digest)
        except ReleaseError as error:
            _log.warning("the kept copy of a release cannot be used: %s", error)
            return None

    def has(self, digest: str) -> bool:
        """Whether there is a copy of a release, which may be damaged."""
        return (self.folder / digest).is_dir()

    def digests(self, name: str | None = None) -> dict[str, str]:
        """The names of the releases that have a copy, by digest.

        Args:
            name: only copies of releases of this name; None: all.
        """
        found = dict[str, str]()
        for place in self.folder.glob("[0-9a-f]*"):
            with contextlib.suppress(OSError, ReleaseError):  # it is being removed
                known = read_card(place).name
                if name in (None, known):
                    found[place.name] = known
        return found

    def all(self) -> list[KeptCopy]:
        """The copies, those of one name next to each other."""
        found = [_described(place) for place in self.folder.glob("[0-9a-f]*") if (place / CARD).is_file()]
        return sorted((one for one in found if one is not None), key=lambda one: (one.name, one.digest))

    def remove_unused(self, is_used: Callable[[KeptCopy], bool], grace: float) -> list[KeptCopy]:
        """Remove the copies that nothing uses, and what killed processes left.

        Args:
            is_used: whether an answer or an edit needs a copy.
            grace: seconds since a release was last served for which its copy stays in any case: answers of it may not
                be recorded yet.

        Returns:
            The copies that were removed.
        """
        for leftover in self.folder.glob(".*"):
            if _age(leftover) > _LEFTOVER_AGE:
                shutil.rmtree(leftover, ignore_errors=True)
        removed = []
        for copy in self.all():
            if _age(copy.path) > grace and not is_used(copy):
                aside = copy.path.with_name(f".{copy.digest[:16]}.removed")
                with contextlib.suppress(OSError):  # another process removes it
                    os.rename(copy.path, aside)
                    shutil.rmtree(aside, ignore_errors=True)
                    removed.append(copy)
        return removed


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except OSError:  # another file system, or one without links, or a file of another owner
        shutil.copyfile(file, place)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _described(place: Path) -> KeptCopy | None:
    try:
        stats = [file.stat() for file in place.rglob("*") if file.is_file()]
        name = read_card(place).name
    except (OSError, ReleaseError):  # it is being removed
        return None
    shared = sum(stat.st_size for stat in stats if stat.st_nlink > 1)
    return KeptCopy(place.name, name, place, sum(stat.st_size for stat in stats), shared)
