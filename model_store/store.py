"""The store of releases: folders of releases, and a file that records the active one."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.card import Card
from model_store.kept import KeptReleases
from model_store.release import CARD, Release, ReleaseError, read_card

BUNDLED = Path(__file__).parent / "releases"
DEFAULT_DATA_DIR = Path("segsort-data")


@dataclass(frozen=True)
class StoredRelease:
    """A release of the store.

    Attributes:
        name: name on its card; the name of its folder if the card cannot be read.
        path: folder of the release.
        active: whether it is the active release.
        bundled: whether it is part of the software.
        created: time of the build (ISO 8601), "" if its card cannot be read.
        description: description on its card, "" if the card cannot be read.
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
    """The data folder: SEGSORT_DATA_DIR, else `segsort-data` in the working folder."""
    return Path(os.environ.get("SEGSORT_DATA_DIR") or DEFAULT_DATA_DIR)


def open_store(folder: Path | None = None) -> "ReleaseStore":
    """Open the store of the bundled releases and of those in `releases/` of a data folder.

    Args:
        folder: data folder, which also records the active release; None: `data_dir()`.
    """
    folder = folder or data_dir()
    return ReleaseStore([BUNDLED, folder / "releases"], folder / "active.json")


def kept_releases(folder: Path | None = None) -> KeptReleases:
    """The copies of releases that explanations need, in `kept/` of a data folder; None: `data_dir()`."""
    return KeptReleases((folder or data_dir()) / "kept")


class _State(BaseModel):
    """Content of the state file: names of the active release and of previously active ones, the latest last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    active: str | None = None
    previous: list[str] = []


class _Found(NamedTuple):
    """A release found in a folder of the store; card: the error if the card cannot be read."""

    path: Path
    folder: int  # position of the folder in `ReleaseStore.folders`
    card: Card | ReleaseError


class ReleaseStore:
    """Releases in folders, and a state file that records the active one.

    Until a release is activated, the newest release of the first folder with any release is active, among releases with
    classes if there are any.

    Args:
        folders: folders of releases. If two releases have the same name, the first one is used.
        state_file: JSON file, written when a release is activated; None: no release can be activated.
    """

    def __init__(self, folders: Sequence[Path] = (BUNDLED,), state_file: Path | None = None) -> None:
        self.folders = [Path(folder) for folder in folders]
        self.state_file = state_file

    def list(self) -> Sequence[StoredRelease]:
        """All releases, in the order of the folders and then by the name of the release's folder.

        Raises:
            ValueError: if the state file is unreadable.
        """
        found = self._find()
        active = self._active(found)
        return [_stored(name, release, name == active) for name, release in found.items()]

    def active(self) -> Path:
        """Folder of the active release: the one activated last, else the newest of the first folder with any release.

        Raises:
            ValueError: if there is none, the state file is unreadable, or it names a release that no longer exists.
        """
        found = self._find()
        name = self._active(found)
        if name is None:
            raise ValueError(
                f"no readable release in {self._folders()} (found {_names(found)}); build one there, or give the path "
                "of one with --release"
            )
        if name not in found:
            raise ValueError(
                f"{self.state_file} names {name!r} as the active release, but it does not exist; restore it, or "
                f"activate one of {_names(found)}"
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
            f"release {str(release)!r} is neither a folder nor a name in {self._folders()}; give one of the names "
            f"{_names(found)}, or the path of a release"
        )

    def activate(self, name: str) -> Path:
        """Verify all files of a release and make it the active one.

        Raises:
            ReleaseError: if a file is missing or altered; the active release then stays the same.
            ValueError: if the store has no release of this name, or no state file.
        """
        found = self._find()
        if name in found:
            Release.open(found[name].path)
        return self.remember(name)

    def remember(self, name: str) -> Path:
        """Make a release the active one without verifying it. The caller has opened and so verified it.

        Raises:
            ValueError: if the store has no release of this name, or no state file.
            OSError: if the state file cannot be written; the active release then stays the same.
        """
        found, state = self._find(), self._state()
        if name not in found:
            raise ValueError(f"release {name!r} is not in the store; choose one of {_names(found)}")
        current = self._active(found)
        previous = state.previous if current in (None, name) else [*state.previous, str(current)]
        self._write(_State(active=name, previous=previous))
        return found[name].path

    def rollback(self) -> Path:
        """Verify the previously active release and make it the active one again.

        Raises:
            ReleaseError: if a file of it is missing or altered; the active release then stays the same.
            ValueError: if no release was active before, or it no longer exists.
        """
        state, found = self._state(), self._find()
        if not state.previous:
            raise ValueError(f"no release was active before this one; activate one of {_names(found)}")
        *previous, name = state.previous
        if name not in found:
            raise ValueError(
                f"release {name!r}, which was active before, does not exist; restore it, or activate one of "
                f"{_names(found)}"
            )
        Release.open(found[name].path)
        self._write(_State(active=name, previous=previous))
        return found[name].path

    def _find(self) -> dict[str, _Found]:
        """Every release by name."""
        found: dict[str, _Found] = {}
        for number, folder in enumerate(self.folders):
            for file in sorted(folder.glob(f"*/{CARD}")):
                if not file.parent.name.startswith("."):  # hidden folders are releases that are being written
                    card = _card_of(file.parent)
                    name = card.name if isinstance(card, Card) else file.parent.name
                    found.setdefault(name, _Found(file.parent, number, card))
        return found

    def _active(self, found: dict[str, _Found]) -> str | None:
        """Name of the active release, or None. A recorded release may no longer exist."""
        recorded = self._state().active
        if recorded is not None:
            return recorded
        readable = [
            (bool(r.card.classes), -r.folder, r.card.created, name)
            for name, r in found.items()
            if isinstance(r.card, Card)
        ]
        return max(readable)[-1] if readable else None

    def _folders(self) -> str:
        return ", ".join(str(folder) for folder in self.folders)

    def _state(self) -> _State:
        if self.state_file is None or not self.state_file.exists():
            return _State()
        try:
            return _State.model_validate_json(self.state_file.read_bytes())
        except ValidationError as error:
            raise ValueError(
                f"{self.state_file} is not a valid state file ({error.errors()[0]['msg']}); remove it and activate a "
                "release again"
            ) from error

    def _write(self, state: _State) -> None:
        """Replace the state file in one step: a reader sees the old state or the new one."""
        if self.state_file is None:
            raise ValueError("this store has no state file, so no release can be activated; open it with a state file")
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
