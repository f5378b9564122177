"""The release catalogue: releases that are open, for the engine and for explanations of recorded answers."""

import logging
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from sqlalchemy import Engine as Database

from model_store.exemplar_ids import ExemplarIds
from model_store.flavour import Device
from model_store.index import ExemplarIndex
from model_store.kept import KeptReleases
from model_store.live import LiveExemplars
from model_store.release import Release, ReleaseError, read_card, read_digest
from model_store.store import ReleaseStore
from service.answering.open_releases import OpenReleases
from service.answering.release_view import ReleaseView
from service.problems import Problem
from service.records.database import Answered
from service.records.edit_log import Edit
from service.records.edit_rows import read_exemplars, releases_of_edit, releases_of_exemplar
from service.records.follower import Follower
from service.records.giver import gave
from service.records.live_release import LiveRelease

_log = logging.getLogger("segsort.live")


class ReleaseCatalogue:
    """Opens releases, and keeps the open ones at the end of the edit log. Calls from several threads are safe.

    A release is known by its digest, and open once at a time. Several releases of one name may be open: the one that
    the name means now, and earlier ones that gave recorded answers. See `OpenReleases` for how many stay open.

    Args:
        store: the releases on disk.
        kept: copies of releases that were served, for when they are changed or gone.
        follower: applies the edits of the database.
        device: where the exemplars of a release are searched.
        database: holds the exemplars that edits added.
    """

    def __init__(
        self, store: ReleaseStore, kept: KeptReleases, follower: Follower, device: Device, database: Database
    ) -> None:
        self.store, self.kept = store, kept
        self._follower, self._device, self._database = follower, device, database
        self._opening = threading.Lock()
        self._open = OpenReleases()
        self._named: dict[str, str] = {}  # digest of the release that a name means now, or meant while it was open
        self._given: list[LiveRelease] = []  # stay open: given at the start, perhaps by a path outside of the store
        self._ids = ExemplarIds([*store.folders, kept.folder])

    def add(self, live: LiveRelease) -> int:
        """Follow the edits of a release that is open already, and keep it.

        Returns:
            Number of edits that were applied.

        Raises:
            ValueError: if the edits do not fit the release.
        """
        edits = self._follower.follow(live)
        self._open.add(live)
        self._given.append(live)
        self._named[live.name] = live.digest
        return edits

    def find(self, name: str) -> LiveRelease:
        """The release that a name means now: an open one that was served or found before, or else that of the store.

        Raises:
            Problem: 410 if it is gone.
        """
        live = self.opened(name)
        if live is not None:
            return live
        with self._opening:  # only callers that need another release wait while it is read
            return self.opened(name) or self._open_named(name)

    def opened(self, name: str) -> LiveRelease | None:
        """The release that a name means now, if it is open; None if no request has needed it lately."""
        digest = self._named.get(name)
        return None if digest is None else self._open.get(digest)

    def all_opened(self) -> list[LiveRelease]:
        """The releases that are open."""
        return self._open.all()

    def adopt(self, release: Release) -> LiveRelease:
        """Bring a release to the end of the edit log; its name means this one from now on.

        All requests share one object for each release.

        Raises:
            ValueError: if its edits do not fit it.
        """
        with self._opening:
            live = self._open.get(release.digest)
            if live is None or not live.release.has_network:  # a kept copy cannot be served
                live = self._add_release(release)
            self._named[release.card.name] = release.digest
        return live

    def release_of(self, answered: Answered) -> LiveRelease | None:
        """The release that gave an answer, at the answer's revision or a later one; None if nothing is left of it."""
        facts = answered.facts
        if facts.release_digest is not None:
            live = self.of_digest(facts.release_digest, facts.release, facts.release_path)
        else:
            candidates = self._all_of_name(facts.release, facts.release_path, self._not_added(answered))
            live = next((one for one in candidates if gave(one, answered)), None)
        if live is not None and facts.index_revision > live.state.revision:
            self._follower.catch_up()  # another replica has just answered at a newer revision
        return live

    def view_of(self, answered: Answered) -> ReleaseView | None:
        """The release that gave an answer, at the answer's revision, with all exemplars that the answer names.

        An exemplar that the release does not have may be one of an edit of another release of its name: versions
        before the digest applied those too. None: not all of them can be found.
        """
        facts, live = answered.facts, self.release_of(answered)
        candidates = [live] if live is not None else []
        if live is None and facts.release_digest is None:
            candidates = list(self._all_of_name(facts.release, facts.release_path, self._not_added(answered)))
        for one in candidates:
            state = self._completed(one.state, answered)
            if state is not None:
                return ReleaseView(one, state, facts.index_revision, one.log.class_states(facts.index_revision))
        return None

    def _completed(self, state: LiveExemplars, answered: Answered) -> LiveExemplars | None:
        """The exemplars of a release with the others that an answer names, which do not vote; None: one is unknown."""
        try:
            ids = answered.neighbours(state).exemplar_ids
            missing = [name for name in ids if state.row(name) is None]
            if not missing:
                return state
            if len(missing) == len(ids):
                return None
            with self._database.connect() as connection:
                found = read_exemplars(connection, missing)
            if len(found) < len(missing):
                return None
            added = list(found.values())
            return state.edited(state.revision, added=added, alive=dict.fromkeys(found, False))
        except (Problem, ValueError):  # of another dimension, or of a class that this release does not have
            return None

    def _not_added(self, answered: Answered) -> Collection[str]:
        """The exemplars that an answer names and no edit added: those of the release that gave it."""
        try:
            ids = answered.neighbours(None).exemplar_ids
        except Problem:  # it was deleted meanwhile
            return ()
        with self._database.connect() as connection:
            return set(ids) - read_exemplars(connection, ids).keys()

    def given(self, answered: Answered) -> LiveRelease:
        """The release that gave an answer, see `release_of`.

        Raises:
            Problem: 410 if nothing is left of it.
        """
        live = self.release_of(answered)
        if live is None:
            raise self._gone(answered.facts.release)
        return live

    def release_of_edit(self, edit: Edit) -> LiveRelease:
        """The release that an edit was made on.

        Raises:
            Problem: 410 if nothing is left of it.
        """
        if edit.release_digest is not None:
            live = self.of_digest(edit.release_digest, edit.release)
        else:
            with self._database.connect() as connection:
                not_on = releases_of_edit(connection, edit.revision, fits=False)
            candidates = self._all_of_name(edit.release, leave_out=not_on)
            live = next((one for one in candidates if edit.revision in one.log.edits), None)
            newer = [one for one in self.all_opened() if one.name == edit.release and live is None]
            if any(one.state.revision < edit.revision for one in newer):
                self._follower.catch_up()
                live = next((one for one in newer if edit.revision in one.log.edits), None)
        if live is None:
            raise self._gone(edit.release)
        return live

    def of_digest(self, digest: str, name: str, path: str | None = None) -> LiveRelease | None:
        """A release by its digest: an open one, its folder if that is unchanged, or its kept copy; None: all are gone.

        Args:
            digest: of the release.
            name: of the release.
            path: its folder when it answered; None: unknown.
        """
        live = self._open.get(digest)
        if live is not None or self._open.is_refused(digest):
            return live
        with self._opening:
            live = self._open.get(digest)
            if live is not None or self._open.is_refused(digest):  # after another thread
                return live
            release = self._read(digest, name, path)
            if release is None:
                return None
            try:
                return self._add_release(release)
            except ValueError as error:
                self._open.refuse(digest)
                _log.warning("release %s cannot explain its answers: %s", name, error)
                return None

    def find_exemplar(self, exemplar_id: str) -> tuple[LiveRelease, int]:
        """Find an exemplar, alive or not: in the open releases, then in those of the store, then in kept copies.

        Returns:
            The release and the exemplar's row there.

        Raises:
            Problem: 404 if no release has it.
        """
        for live in chain(self._open.all(), self._with_exemplar(exemplar_id)):
            row = live.state.row(exemplar_id)
            if row is not None:
                return live, row
        raise Problem(
            404, "There is no such exemplar.", received=exemplar_id,
            allowed="an exemplar_id of an answer or explanation",
            fix="Take the id from POST /segment or GET /explain.",
        )  # fmt: skip

    def _with_exemplar(self, exemplar_id: str) -> Iterator[LiveRelease]:
        """The releases that have an exemplar by their tables or by the edits, each opened when it is its turn."""
        for folder in self._ids.folders_with(exemplar_id):
            kept = folder.parent == self.kept.folder
            with suppress(ReleaseError):  # it is damaged
                digest = folder.name if kept else read_digest(folder)
                live = self.of_digest(digest, read_card(folder).name, None if kept else str(folder))
                if live is not None:
                    yield live
        with self._database.connect() as connection:
            added_to = releases_of_exemplar(connection, exemplar_id)
        for name, added_digest in added_to:
            if added_digest is None:
                yield from self._all_of_name(name)
            else:
                live = self.of_digest(added_digest, name)
                if live is not None:
                    yield live

    def _all_of_name(
        self, name: str, path: str | None = None, having: Collection[str] = (), leave_out: Collection[str] = ()
    ) -> Iterator[LiveRelease]:
        """The releases of a name: the present one first, then one in a folder, then earlier ones of which copies are
        kept.

        Args:
            name: of the releases.
            path: the folder; None: none.
            having: exemplars that a copy must have to be opened.
            leave_out: digests of copies that are not opened.
        """
        if self.opened(name) is not None or not self._open.is_refused(name):
            with suppress(Problem):  # only earlier ones are left
                yield self.find(name)
        digest = None if path is None else _digest_of(Path(path))
        others = [] if digest is None else [digest]
        others += [one for one in self.kept.digests(name) if self._ids.has_all(self.kept.folder / one, having)]
        for one in others:
            if one != self._named.get(name) and one not in leave_out:
                live = self.of_digest(one, name, path)
                if live is not None:
                    yield live

    def _read(self, digest: str, name: str, path: str | None) -> Release | None:
        """Read a release whose content has a digest; None if it is nowhere, or damaged, which is noted for a while."""
        damaged, folders = False, [Path(path)] if path else []
        folders += [stored.path for stored in self.store.list() if stored.name == name]
        for folder in folders:
            if _digest_of(folder) == digest:
                try:
                    release = Release.open(folder)
                except ReleaseError:  # it is damaged, or was changed just now
                    damaged = True
                    continue
                if release.digest == digest:
                    return release
        copy = self.kept.open(digest)
        if copy is None and (damaged or self.kept.has(digest)):
            self._open.refuse(digest)
        return copy

    def _open_named(self, name: str) -> LiveRelease:
        try:
            folder = self.store.resolve(name)
        except ValueError as error:
            raise self._gone(name, str(error)) from error
        try:
            release = Release.open(folder)
            live = self._open.get(release.digest) or self._add_release(release)
        except ValueError as error:
            self._open.refuse(name)
            raise self._gone(name, str(error)) from error
        self._named[name] = release.digest
        return live

    def _add_release(self, release: Release) -> LiveRelease:
        index = None if release.has_network else ExemplarIndex.build(release.exemplars.prototypes)
        live = LiveRelease.of(LiveExemplars.of_release(release, self._device, index))
        self._follower.follow(live)
        self._open.add(live)
        return live

    def _gone(self, name: str, why: str = "neither its folder nor a copy of it is there") -> Problem:
        return Problem(
            410, f"The release {name!r} is gone: {why}.", received=name,
            allowed=[stored.name for stored in self.store.list()],
            fix="Put the release back unchanged.",
        )  # fmt: skip


def _digest_of(folder: Path) -> str | None:
    """The digest of the release in a folder; None if there is none."""
    try:
        return read_digest(folder)
    except ReleaseError:
        return None
