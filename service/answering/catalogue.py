"""The release catalogue: releases that are open, for the engine and for explanations of recorded answers."""

import threading
from pathlib import Path

from model_store.flavour import Device
from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.store import ReleaseStore
from service.problems import Problem
from service.records.database import Answered
from service.records.follower import Follower
from service.records.live_release import LiveRelease


class ReleaseCatalogue:
    """Opens each release at most once and keeps it at the end of the edit log. Calls from several threads are safe.

    Args:
        store: the releases on disk.
        follower: applies the edits of the database.
        device: where the exemplars of a release are searched.
    """

    def __init__(self, store: ReleaseStore, follower: Follower, device: Device) -> None:
        self.store = store
        self._follower, self._device = follower, device
        self._opening = threading.Lock()
        self._opened: dict[str, LiveRelease] = {}

    def add(self, live: LiveRelease) -> int:
        """Follow the edits of a release that is open already, and keep it.

        Returns:
            Number of edits that were applied.

        Raises:
            ValueError: if the edits do not fit the release.
        """
        edits = self._follower.follow(live)
        self._opened[live.name] = live
        return edits

    def find(self, name: str, path: str | None = None) -> LiveRelease:
        """A release by name: the served one, or one that gave a recorded answer.

        Args:
            name: of the release.
            path: its folder when it answered; None, or a folder that is gone: the store is searched.

        Raises:
            Problem: 410 if it is gone.
        """
        if name in self._opened:
            return self._opened[name]
        with self._opening:  # only callers that need another release wait while it is read
            if name not in self._opened:
                self._open(name, path)
            return self._opened[name]

    def opened(self, name: str) -> LiveRelease | None:
        """A release that is open; None if no request has needed it since the start."""
        return self._opened.get(name)

    def adopt(self, release: Release) -> LiveRelease:
        """Bring a release to the end of the edit log. All requests share one object for each name.

        Raises:
            Problem: 409 if a different release of this name is open.
            ValueError: if its edits do not fit it.
        """
        name = release.card.name
        with self._opening:
            if name not in self._opened:
                self._add_release(release)
            opened = self._opened[name].release
        if opened.card != release.card or opened.exemplars.ids != release.exemplars.ids:
            raise Problem(
                409, "Another release of this name is open, which old explanations need.", received=name,
                allowed="releases that do not change once they are opened",
                fix="Give the new one another name, or restart.",
            )  # fmt: skip
        return self._opened[name]

    def release_of(self, answered: Answered) -> LiveRelease:
        """The release that gave an answer, at the answer's revision or a later one.

        Raises:
            Problem: 410 if it is gone.
        """
        live = self.find(answered.facts.release, answered.facts.release_path)
        if answered.facts.index_revision > live.state.revision:
            self._follower.catch_up()  # another replica has just answered at a newer revision
        return live

    def find_exemplar(self, exemplar_id: str) -> tuple[LiveRelease, int]:
        """Find an exemplar, alive or not, in the open releases and then in those of the store.

        Returns:
            The release and the exemplar's row there.

        Raises:
            Problem: 404 if no release has it.
        """
        for live in list(self._opened.values()):
            row = live.state.row(exemplar_id)
            if row is not None:
                return live, row
        for stored in self.store.list():
            if stored.name not in self._opened and stored.problem is None:
                live = self.find(stored.name)
                row = live.state.row(exemplar_id)
                if row is not None:
                    return live, row
        raise Problem(
            404, "There is no such exemplar.", received=exemplar_id,
            allowed="an exemplar_id of an answer or explanation",
            fix="Take the id from POST /segment or GET /explain.",
        )  # fmt: skip

    def _open(self, name: str, path: str | None) -> None:
        place = Path(path) if path and Path(path).is_dir() else name
        try:
            self._add_release(Release.open(self.store.resolve(place)), name)
        except ValueError as error:
            raise Problem(
                410, f"The release {name!r} that gave this answer is gone: {error}.", received=name,
                allowed=[stored.name for stored in self.store.list()],
                fix="Put the release back unchanged.",
            ) from error  # fmt: skip

    def _add_release(self, release: Release, name: str | None = None) -> None:
        live = LiveRelease.of(LiveExemplars.of_release(release, self._device))
        self._follower.follow(live)
        self._opened[name or live.name] = live
