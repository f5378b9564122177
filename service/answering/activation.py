"""Activation: another release is served, without a restart and without a request that fails for it."""

import logging
import threading
import time
from pathlib import Path
from typing import Any

from model_store.predictor import Predictor
from model_store.release import Release
from service.answering.engine import Engine
from service.answering.served import ServedRelease, probe
from service.problems import Problem
from service.records.live_release import LiveRelease

_log = logging.getLogger("segsort.activation")


class Activation:
    """Changes the release that an engine serves, one change at a time.

    A release is verified, opened, brought to the end of the log and probed beside the one that is served; then one
    reference is swapped. Requests that have begun end with the release that they began with.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._busy = threading.Lock()

    def activate(self, name: str, author: str) -> dict[str, Any]:
        """Serve a release from now on; whatever fails, the one that is served stays.

        Returns:
            What is told of it.

        Raises:
            Problem: 404 if there is no such release; 409 while another one is activated, or if the edits in the
                database do not fit it; 422 if it cannot be used; 503 if it cannot be remembered.
        """
        if not self._busy.acquire(blocking=False):
            raise Problem(
                409, "A release is being activated.", received=name, allowed="one activation at a time",
                fix="Send it again in a few seconds; GET /readyz names the release that is served.",
            )  # fmt: skip
        try:
            return self._activate(name, author)
        finally:
            self._busy.release()

    def _activate(self, name: str, author: str) -> dict[str, Any]:
        started, before = time.perf_counter(), self._engine.served
        path, stored = self._find(name)
        changed = name != before.name
        served = self._prepare(name, path) if changed else before
        if stored:
            self._remember(name)
        self._engine.served = served
        seconds = time.perf_counter() - started
        if changed:
            _log.info("release %s is served instead of %s, by %s, in %.2f s", name, before.name, author, seconds)
        state = served.live.state
        return {
            "release": name,
            "before": before.name,
            "changed": changed,
            "index_revision": state.revision,
            "exemplars": state.count,
            "after_restart": self._after_restart(),
            "seconds": round(seconds, 3),
        }

    def _find(self, name: str) -> tuple[Path, bool]:
        """Where a release is, and whether it is in the store, which remembers it."""
        stored = {one.name: one.path for one in self._engine.catalogue.store.list()}
        if name in stored:
            return stored[name], True
        # one given by its path at the start, or that gave an answer that was asked for
        opened = self._engine.catalogue.opened(name)
        if opened is not None:
            return opened.release.path, False
        raise Problem(
            404, "There is no such release.", received=name, allowed=sorted(stored),
            fix="Take the name from GET /releases, or copy the release into SEGSORT_DATA_DIR/releases.",
        )  # fmt: skip

    def _prepare(self, name: str, path: Path) -> ServedRelease:
        """A release that is ready to be served: nothing of it is kept if it is not."""
        settings = self._engine.settings
        try:
            release = Release.open(path)
            predictor = Predictor(release, settings.device, settings.threads, settings.half)
            probe(ServedRelease(LiveRelease.of(predictor.as_built), predictor))
        except Exception as error:  # whatever a network or a file may raise, the release that is served stays
            _log.warning("release %s was not activated", name, exc_info=error)
            raise Problem(
                422, f"The release {name!r} cannot be served; {self._engine.served.name!r} stays.",
                received=str(error)[:500] or type(error).__name__,
                allowed="a release that `segsort releases verify` passes", fix="Build or copy the release again.",
            ) from error  # fmt: skip
        try:
            live = self._engine.catalogue.adopt(release)
            self._engine.follower.catch_up()
            if not live.state.count:
                raise ValueError(f"edits have removed every exemplar of release {name!r}")
        except ValueError as error:
            raise Problem(
                409, f"The edits of release {name!r} do not let it be served; {self._engine.served.name!r} stays.",
                received=str(error)[:500], fix="Give the release another name, under which there are no edits.",
            ) from error  # fmt: skip
        return ServedRelease(live, predictor)

    def _remember(self, name: str) -> None:
        try:
            self._engine.catalogue.store.remember(name)
        except OSError as error:
            raise Problem(
                503, "That the release is active could not be written down, so the one before stays.",
                received=str(error)[:200], fix="The operator should look at SEGSORT_DATA_DIR; then try again.",
            ) from error  # fmt: skip

    def _after_restart(self) -> str | None:
        """The release that a restart would serve: the one that is set where one is set."""
        if self._engine.settings.release is not None:
            return self._engine.settings.release
        return next((one.name for one in self._engine.catalogue.store.list() if one.active), None)
