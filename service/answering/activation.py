"""Activation: serve another release without a restart and without failing a request."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from model_store.predictor import Predictor
from model_store.release import Release, ReleaseError, read_digest
from service.answering.engine import Engine
from service.answering.served import ServedRelease, probe
from service.problems import Problem
from service.records.live_release import LiveRelease

ONE_AT_A_TIME = "one activation at a time"
Handover = Callable[[ServedRelease, ServedRelease], AbstractContextManager[None]]

_log = logging.getLogger("segsort.activation")


class Activation:
    """Changes the release that an engine serves, one change at a time.

    A release is verified, opened, probed and brought to the end of the edit log while the old one answers. Then one
    reference is replaced. Requests that have begun keep the release that they began with.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._catalogue = engine, engine.catalogue
        self._busy = threading.Lock()

    def activate(self, name: str, author: str, handover: Handover | None = None) -> dict[str, Any]:
        """Serve a release from now on. If anything fails, the release before stays.

        Args:
            name: of the release.
            author: who asks, for the log.
            handover: called with the old and the new release once the new one is ready. The new one is served inside
                the block that it returns. None: edits of the old release are not taken over.

        Returns:
            The JSON of POST /releases/{name}/activate.

        Raises:
            Problem: 404 if there is no such release; 409 during another activation, or if the edits in the database
                do not fit it; 422 if it cannot be used; 503 if the active release cannot be stored.
        """
        if not self._busy.acquire(blocking=False):
            raise Problem(
                409, "Another release is being activated.", received=name, allowed=ONE_AT_A_TIME,
                fix="Send it again in a few seconds. GET /readyz names the release that is served.",
            )  # fmt: skip
        try:
            return self._activate(name, author, handover or _no_handover)
        finally:
            self._busy.release()

    def _activate(self, name: str, author: str, handover: Handover) -> dict[str, Any]:
        started, before = time.perf_counter(), self._engine.served
        path, stored = self._find(name)
        changed = name != before.name or self._digest(path) not in (None, before.live.digest)
        served = self._prepare(name, path) if changed else before
        with handover(before, served):
            if stored:
                self._remember(name)
            self._engine.follower.reopen(served.live)
            self._engine.served = served
        seconds = time.perf_counter() - started
        if changed:
            _log.info(
                "release %s (%s) is served instead of %s (%s), by %s, in %.2f s", name, served.live.digest[:12],
                before.name, before.live.digest[:12], author, seconds,
            )  # fmt: skip
        state = served.live.state
        return {
            "release": name,
            "release_digest": served.live.digest,
            "before": before.name,
            "changed": changed,
            "index_revision": state.revision,
            "exemplars": state.count,
            "after_restart": self._after_restart(),
            "seconds": round(seconds, 3),
        }

    def _find(self, name: str) -> tuple[Path, bool]:
        """The folder of a release, and whether it is in the store, which keeps the name of the active release."""
        stored = {one.name: one.path for one in self._catalogue.store.list()}
        if name in stored:
            return stored[name], True
        # a release outside the store: given by its path at the start, or by a recorded answer
        opened = self._catalogue.opened(name)
        if opened is not None:
            return opened.release.path, False
        raise Problem(
            404, "There is no such release.", received=name, allowed=sorted(stored),
            fix="Take the name from GET /releases, or copy the release into SEGSORT_DATA_DIR/releases.",
        )  # fmt: skip

    @staticmethod
    def _digest(path: Path) -> str | None:
        """The digest of the release in a folder; None if the folder is gone, and what was read of it stays served."""
        try:
            return read_digest(path)
        except ReleaseError:
            return None

    def _prepare(self, name: str, path: Path) -> ServedRelease:
        """Open and check a release. If that fails, nothing of it is kept."""
        settings = self._engine.settings
        try:
            release = Release.open(path)
            predictor = Predictor(release, settings.device, settings.threads, settings.precision)
            probe(ServedRelease(LiveRelease.of(predictor.as_built), predictor))
        except Exception as error:  # a network or a file may raise any error, and the old release must stay
            _log.warning("release %s was not activated", name, exc_info=error)
            raise Problem(
                422, f"The release {name!r} cannot be served; {self._engine.served.name!r} stays.",
                received=str(error)[:500] or type(error).__name__,
                allowed="a release that `segsort releases verify` passes", fix="Build or copy the release again.",
            ) from error  # fmt: skip
        try:
            live = self._catalogue.adopt(release)
            self._engine.follower.catch_up()
        except ValueError as error:
            raise Problem(
                409, f"Release {name!r} cannot be served with its edits; {self._engine.served.name!r} stays.",
                received=str(error)[:500], fix="Give the release another name, under which there are no edits.",
            ) from error  # fmt: skip
        return ServedRelease(live, predictor)

    def _remember(self, name: str) -> None:
        try:
            self._catalogue.store.remember(name)
        except OSError as error:
            raise Problem(
                503, "The name of the active release could not be written to disk, so the release before stays.",
                received=str(error)[:200], fix="Ask the operator to check SEGSORT_DATA_DIR, then try again.",
            ) from error  # fmt: skip

    def _after_restart(self) -> str | None:
        """The release that a restart would serve: the setting `release`, or else the active one of the store."""
        if self._engine.settings.release is not None:
            return self._engine.settings.release
        return next((one.name for one in self._catalogue.store.list() if one.active), None)


def _no_handover(before: ServedRelease, served: ServedRelease) -> AbstractContextManager[None]:
    return nullcontext()
