"""Which releases there are, and which one is active."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.card import Card
from model_store.release import CARD, Release, ReleaseError, read_card

BUNDLED = Path(__file__).parent / "releases"
DEFAULT_DATA_DIR = Path("segsort-data")


@dataclass(frozen=True)
class StoredRelease:
    """A release of the store.

    Attributes:
        name: as its card says; of its folder, if the card cannot be read.
        path: its folder.
        active: whether it is the one that is served.
        bundled: whether it came with the software.
        created: when it was built (ISO 8601), "" if its card cannot be read.
        description: from its card.
        problem: why its card cannot be read, else None.
    """

    name: str
    path: Path
    active: bool
    bundled: bool
    created: str
    description: str
    problem: str | None


def data_dir() -> Path:
    """Where the software writes: SEGSORT_DATA_DIR, else `segsort-data` in the working folder."""
    return Path(os.environ.get("SEGSORT_DATA_DIR") or DEFAULT_DATA_DIR)


def open_store(folder: Path | None = None) -> "ReleaseStore":
    """The bundled releases and those in `releases/` of a data folder, which remembers the active one.

    Args:
        folder: where the software writes; None: `data_dir()`.
    """
    folder = folder or data_dir()
    return ReleaseStore([BUNDLED, folder / "releases"], folder / "active.json")


class _State(BaseModel):
    """What the state file holds: the name of the active release, and of those active before, the latest last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    active: str | None = None
    previous: list[str] = []


class _Found(NamedTuple):
    """A release that is there."""

    path: Path
    folder: int  # position among the store's folders
    card: Card | ReleaseError


class ReleaseStore:
    """Releases in folders, and a file that remembers which one is active.

    Until one is activated, it is the newest of the first folder that holds any.

    Args:
        folders: each holds releases; where two have the same name, the first one counts.
        state_file: JSON, written when a release is activated; None: nothing can be activated.
    """

    def __init__(self, folders: Sequence[Path] = (BUNDLED,), state_file: Path | None = None) -> None:
        self.folders = [Path(folder) for folder in folders]
        self.state_file = state_file

    def list(self) -> Sequence[StoredRelease]:
        """Every release, in the order of the folders and then of their folders' names.

        Raises:
            ValueError: if the state file is unreadable.
        """
        found = self._find()
        active = self._active(found)
        return [_stored(name, release, name == active) for name, release in found.items()]

    def active(self) -> Path:
        """Folder of the active release: the one activated last, else the newest of the first folder that holds any.

        Raises:
            ValueError: if there is none, the state file is unreadable, or it names a release that is gone.
        """
        found = self._find()
        name = self._active(found)
        if name is None:
            raise ValueError(
                f"there is no readable release in {self._places()} (found {_names(found)}); build one there, or give "
                "the path of one with --release"
            )
        if name not in found:
            raise ValueError(
                f"{self.state_file} says that release {name!r} is active, but it is gone; put it back, or activate one "
                f"of {_names(found)}"
            )
        return found[name].path

    def resolve(self, release: str | Path | None = None) -> Path:
        """Folder of a release given by name or by path; None: the active one.

        Raises:
            ValueError: if there is no such release.
        """
        if release is None:
            return self.active()
        found = self._find()
        if str(release) in found:
            return found[str(release)].path
        if Path(release).is_dir():
            return Path(release)
        raise ValueError(
            f"release {str(release)!r} is neither a folder nor a name in {self._places()}; the names are "
            f"{_names(found)}; give one of them or the path of a release"
        )

    def activate(self, name: str) -> Path:
        """Make a release of the store the active one, after verifying all its files.

        Raises:
            ReleaseError: if a file of it is missing or altered; the active one then stays.
            ValueError: if there is no such name, or no file to remember it in.
        """
        found = self._find()
        if name in found:
            Release.open(found[name].path)
        return self.remember(name)

    def remember(self, name: str) -> Path:
        """Make a release the active one that has been opened, and so verified, already.

        Raises:
            ValueError: if there is no such name, or no file to remember it in.
            OSError: if the file cannot be written; the active one then stays.
        """
        found, state = self._find(), self._state()
        if name not in found:
            raise ValueError(f"release {name!r} is not in the store; its releases are {_names(found)}")
        current = self._active(found)
        previous = state.previous if current in (None, name) else [*state.previous, str(current)]
        self._write(_State(active=name, previous=previous))
        return found[name].path

    def rollback(self) -> Path:
        """Make the release that was active before the active one, after verifying all its files.

        Raises:
            ReleaseError: if a file of it is missing or altered; the active one then stays.
            ValueError: if none was active before, or it is gone.
        """
        state, found = self._state(), self._find()
        if not state.previous:
            raise ValueError(f"no release was active before this one; activate one of {_names(found)}")
        *previous, name = state.previous
        if name not in found:
            raise ValueError(
                f"release {name!r}, active before, is gone; put it back, or activate one of {_names(found)}"
            )
        Release.open(found[name].path)
        self._write(_State(active=name, previous=previous))
        return found[name].path

    def _find(self) -> dict[str, _Found]:
        """Every release by name."""
        found: dict[str, _Found] = {}
        for number, folder in enumerate(self.folders):
            for file in sorted(folder.glob(f"*/{CARD}")):
                if not file.parent.name.startswith("."):  # one that is being written
                    card = _card_of(file.parent)
                    name = card.name if isinstance(card, Card) else file.parent.name
                    found.setdefault(name, _Found(file.parent, number, card))
        return found

    def _active(self, found: dict[str, _Found]) -> str | None:
        """Name of the active release, which may be gone, or None if there is none."""
        told = self._state().active
        if told is not None:
            return told
        readable = [(-r.folder, r.card.created, name) for name, r in found.items() if isinstance(r.card, Card)]
        return max(readable)[2] if readable else None

    def _places(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)

    def _state(self) -> _State:
        if self.state_file is None or not self.state_file.exists():
            return _State()
        try:
            return _State.model_validate_json(self.state_file.read_bytes())
        except ValidationError as error:
            raise ValueError(
                f"{self.state_file} does not say which release is active ({error.errors()[0]['msg']}); remove it and "
                "activate a release anew"
            ) from error

    def _write(self, state: _State) -> None:
        """Replace the state file in one step: a reader sees the old state or the new one."""
        if self.state_file is None:
            raise ValueError("this store has no state file, so no release can be activated; give it one")
        self.state_file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.state_file.name}.", dir=self.state_file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            json.dump(state.model_dump(), opened, indent=2)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(name, self.state_file)


def _card_of(path: Path) -> Card | ReleaseError:
    try:
        return read_card(path)
    except ReleaseError as error:
        return error


def _stored(name: str, release: _Found, active: bool) -> StoredRelease:
    bundled = release.path.parent == BUNDLED
    if isinstance(release.card, Card):
        return StoredRelease(name, release.path, active, bundled, release.card.created, release.card.description, None)
    return StoredRelease(name, release.path, active, bundled, "", "", str(release.card))


def _names(found: dict[str, _Found]) -> str:
    return ", ".join(found) or "none"
