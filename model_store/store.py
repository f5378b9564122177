"""Which releases there are, and which one is active."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from model_store.card import Card
from model_store.release import CARD, Release, ReleaseError

BUNDLED = Path(__file__).parent / "releases"


@dataclass(frozen=True)
class StoredRelease:
    """A release of the store.

    Attributes:
        name: of its folder, which is what it is called by.
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


class _State(BaseModel):
    """What the state file holds: the name of the active release, and of those active before, the latest last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    active: str | None = None
    previous: list[str] = []


class ReleaseStore:
    """Releases in folders, and a file that remembers which one is active.

    Args:
        folders: each holds releases; where two hold the same name, the first one counts.
        state_file: JSON, written when a release is activated; None: nothing can be activated.
    """

    def __init__(self, folders: Sequence[Path] = (BUNDLED,), state_file: Path | None = None) -> None:
        self.folders = [Path(folder) for folder in folders]
        self.state_file = state_file

    def list(self) -> list[StoredRelease]:
        """Every release, in the order of the folders and then of the names.

        Raises:
            ValueError: if the state file is unreadable or names a release that is gone.
        """
        paths = self._paths()
        cards = {name: _card_of(path) for name, path in paths.items()}
        active = self._active(cards)
        return [_stored(name, path, cards[name], name == active) for name, path in paths.items()]

    def active(self) -> Path:
        """Folder of the active release: the one activated last, else the newest bundled one, else the only one.

        Raises:
            ValueError: if there is none to choose, or the state file is unreadable or names a release that is gone.
        """
        paths = self._paths()
        name = self._active({name: _card_of(path) for name, path in paths.items()})
        if name is None:
            raise ValueError(
                f"no release is active, and there is no single one to choose: found {', '.join(paths) or 'none'} in "
                f"{', '.join(map(str, self.folders))}; give one with --release, or activate one with "
                "`segsort releases activate NAME`"
            )
        return paths[name]

    def resolve(self, release: str | Path | None = None) -> Path:
        """Folder of a release given by name or by path; None: the active one.

        Raises:
            ValueError: if there is no such release.
        """
        if release is None:
            return self.active()
        paths = self._paths()
        if str(release) in paths:
            return paths[str(release)]
        if Path(release).is_dir():
            return Path(release)
        raise ValueError(
            f"release {str(release)!r} is neither a folder nor a name in {', '.join(map(str, self.folders))}; the names "
            f"are {', '.join(paths) or 'none'}; give one of them or the path of a release"
        )

    def activate(self, name: str) -> Path:
        """Make a release of the store the active one, after verifying all its files.

        Raises:
            ReleaseError: if a file of it is missing or altered; the active one then stays.
            ValueError: if there is no such name, or no file to remember it in.
        """
        paths = self._paths()
        if name not in paths:
            raise ValueError(f"release {name!r} is not in the store; its releases are {', '.join(paths) or 'none'}")
        Release.open(paths[name])
        state = self._state()
        current = self._active({known: _card_of(path) for known, path in paths.items()}, missing_ok=True)
        if current != name:
            previous = [*state.previous, *([current] if current is not None else [])]
            self._write(_State(active=name, previous=previous))
        elif state.active is None:
            self._write(_State(active=name, previous=state.previous))
        return paths[name]

    def rollback(self) -> Path:
        """Make the release that was active before the active one, after verifying all its files.

        Raises:
            ReleaseError: if a file of it is missing or altered; the active one then stays.
            ValueError: if none was active before, or it is gone.
        """
        state, paths = self._state(), self._paths()
        if not state.previous:
            raise ValueError("no release was active before this one; activate one by name")
        *previous, name = state.previous
        if name not in paths:
            raise ValueError(
                f"release {name!r}, active before, is gone; put it back, or activate one of {', '.join(paths) or 'none'}"
            )
        Release.open(paths[name])
        self._write(_State(active=name, previous=previous))
        return paths[name]

    def _paths(self) -> dict[str, Path]:
        """Folder of each release by name."""
        paths: dict[str, Path] = {}
        for folder in self.folders:
            for card in sorted(folder.glob(f"*/{CARD}")):
                if not card.parent.name.startswith("."):  # one that is being written
                    paths.setdefault(card.parent.name, card.parent)
        return paths

    def _active(self, cards: dict[str, Card | ReleaseError], missing_ok: bool = False) -> str | None:
        """Name of the active release among those there are."""
        name = self._state().active
        if name is not None:
            if name not in cards and not missing_ok:
                raise ValueError(
                    f"{self.state_file} says that release {name!r} is active, but it is gone; put it back, or activate "
                    f"one of {', '.join(cards) or 'none'}"
                )
            return name if name in cards else None
        bundled = {path.parent.name for path in BUNDLED.glob(f"*/{CARD}")} if BUNDLED in self.folders else set()
        dated = [(card.created, known) for known, card in cards.items() if known in bundled and isinstance(card, Card)]
        if dated:
            return max(dated)[1]
        return next(iter(cards)) if len(cards) == 1 else None

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
        return Release.read_card(path)
    except ReleaseError as error:
        return error


def _stored(name: str, path: Path, card: Card | ReleaseError, active: bool) -> StoredRelease:
    readable = isinstance(card, Card)
    return StoredRelease(
        name=name,
        path=path,
        active=active,
        bundled=path.parent == BUNDLED,
        created=card.created if readable else "",
        description=card.description if readable else "",
        problem=None if readable else str(card),
    )
