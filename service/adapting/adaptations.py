"""Adaptations: jobs that fit the head of the served release again in a child process, and serve the result."""

import itertools
import json
import shutil
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from model_store.release import Release
from service.adapting.background import BackgroundJobs
from service.adapting.carrying import Carrier
from service.adapting.moving import move_release
from service.adapting.names import check_free, is_known
from service.adapting.requests import AdaptRequest
from service.adapting.work import JobResult
from service.answering.activation import ONE_AT_A_TIME, Activation
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.problems import Problem
from service.records.follower import Author
from service.records.jobs import Job

_SHARES = {"snapshot": 0.1, "features": 0.4, "head": 0.3, "calibration": 0.1, "exemplars": 0.05}  # of the progress
_MAKING = ("adapt", "build")  # kinds of jobs that make a release
_PATIENCE, _PAUSE = 60.0, 1.0  # seconds to wait for another activation, in all and between two attempts


class Adaptations:
    """Starts adaptations, and serves their results with the edits made meanwhile.

    Args:
        engine: serves the release that is adapted.
        activation: serves the new release.
        background: works on the jobs.
    """

    def __init__(self, engine: Engine, activation: Activation, background: BackgroundJobs) -> None:
        self._engine, self._activation, self._background = engine, activation, background

    def begin(self, author: Author, request: AdaptRequest) -> Job:
        """Start an adaptation of the served release.

        Raises:
            Problem: 409 if a job is under way, or the database is in memory; 422 if the name is taken or not valid; 503
                if the disk or the database refuses it.
        """
        served = self._engine.served
        self._background.check_database()
        name = self._free_name(served) if request.name is None else request.name
        check_free(self._engine, name)
        return self._background.begin(author, Adaptation(self._engine, self._activation, served, name, request))

    def accept(self, job_id: str, author: str) -> dict[str, Any]:
        """Serve the new release of a job that has succeeded. Edits made since an adaptation began are made on it too.

        Returns:
            The JSON of POST /jobs/{job_id}/accept.

        Raises:
            Problem: 404 if there is no such job; 409 if it has not succeeded, or its release cannot take over the edits
                of the served one; what `Activation.activate` raises.
        """
        job = self._background.get(job_id)
        if job.state != "succeeded" or job.result is None or job.kind not in _MAKING:
            raise Problem(
                409, "The job has no new release.", received={"kind": job.kind, "state": job.state},
                allowed="a job that has succeeded, of the kinds adapt and build",
                fix="Wait until it has ended, or start another one.",
            )  # fmt: skip
        name, served = str(job.result["release"]), self._engine.served
        if name == served.name or job.kind != "adapt":
            return self._activation.activate(name, author) | {"carried_over": 0}
        if served.name != job.release or job.release_digest not in (None, served.live.digest):
            raise Problem(
                409, "Another release is served than the one that was adapted, so its edits are not taken over.",
                received=served.name, allowed=job.release,
                fix=f"Send POST /releases/{name}/activate to serve the new release without the edits made meanwhile.",
            )  # fmt: skip
        carrier = Carrier(self._engine, int(job.result["index_revision"]), self._ids(name))
        done = self._activation.activate(name, author, carrier)
        return done | {"carried_over": carrier.edits}

    def _ids(self, name: str) -> dict[str, str]:
        """For each exemplar that was adapted: its id in the new release."""
        try:
            ids: dict[str, str] = json.loads(_ids_file(self._engine, name).read_bytes())
        except (OSError, ValueError) as error:
            raise Problem(
                409, "A later adaptation replaced what is needed to take over edits.", received=name,
                allowed="the newest adaptation",
                fix=f"Send POST /releases/{name}/activate to serve it without the edits made meanwhile.",
            ) from error  # fmt: skip
        return ids

    def _free_name(self, served: ServedRelease) -> str:
        base = f"{served.name[:80]}-a{served.live.state.revision}"
        taken = {stored.name for stored in self._engine.catalogue.store.list()}
        names = (base if number == 1 else f"{base}-{number}" for number in itertools.count(1))
        return next(name for name in names if name not in taken and not is_known(self._engine, name))


def _ids_file(engine: Engine, name: str) -> Path:
    """Where the ids of the exemplars of the newest adaptation are kept until its release is served."""
    return engine.settings.data_dir / "adapted" / f"{name}.json"


class Adaptation:
    """The work of one adaptation, see `Work`."""

    kind = "adapt"
    last = "activation"
    needs_pytorch = True

    def __init__(
        self, engine: Engine, activation: Activation, served: ServedRelease, name: str, request: AdaptRequest
    ) -> None:
        self._engine, self._activation, self._served = engine, activation, served
        self._name, self._request = name, request
        self.release, self.release_digest = served.name, served.live.digest
        self.shares: Mapping[str, float] = _SHARES

    def command(self, folder: Path) -> list[str]:
        """`segsort adapt`, which leaves its result and the snapshot that it adapted in the folder."""
        settings, request = self._engine.settings, self._request
        budget = request.budget_s if request.budget_s is not None else settings.adapt_budget_s
        command = ["adapt", str(self._served.release.path.absolute())]
        command += ["--out", str(folder / "release"), "--keep-snapshot", str(folder / "snapshot")]
        command += ["--name", self._name, "--fit", request.fit, "--budget", str(budget)]
        return [*command, "--threads", str(settings.adapt_cores)]

    def in_words(self, problem: str) -> str:
        """Why the job failed: as the command says it."""
        return problem

    def finish(self, folder: Path, author: str, done: JobResult) -> JobResult:
        """Move the new release into the store, and serve it if that is wanted."""
        release, snapshot = (Release.open(folder / name) for name in ("release", "snapshot"))
        name = release.card.name
        ids = dict(zip(snapshot.exemplars.ids, release.exemplars.ids, strict=True))
        move_release(release.path, self._engine.settings.data_dir / "releases" / name)
        result = {
            key: done[key] for key in ("release", "before", "after", "images", "better", "head", "index_revision")
        }
        result |= {"seconds": done["seconds"], "activated": False, "carried_over": 0, "why_not": None}
        why_not = self._why_not(bool(done["better"]), done["before"])
        if why_not is None:
            carrier = Carrier(self._engine, int(done["index_revision"]), ids)
            self._activate(name, author, carrier)
            return result | {"activated": True, "carried_over": carrier.edits}
        self._keep_ids(name, ids)
        return result | {"why_not": why_not}

    def _keep_ids(self, name: str, ids: dict[str, str]) -> None:
        """Keep the ids for a later request to serve the release, in place of those of earlier adaptations."""
        file = _ids_file(self._engine, name)
        shutil.rmtree(file.parent, ignore_errors=True)
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(ids), encoding="utf-8")

    def _activate(self, name: str, author: str, carrier: Carrier) -> None:
        """Serve a release; wait for another activation that is under way."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._activation.activate(name, author, carrier)
                return
            except Problem as problem:
                busy = problem.status == HTTPStatus.CONFLICT and problem.allowed == ONE_AT_A_TIME
                if not busy or time.monotonic() > end:
                    raise
            time.sleep(_PAUSE)

    def _why_not(self, better: bool, before: float | None) -> str | None:
        """Why the new release is not to be served; None: it is."""
        request = self._request
        if request.activate == "never":
            return "the request says never"
        if self._engine.served.live.digest != self._served.live.digest:
            return f"release {self._engine.served.name!r} was activated meanwhile"
        if request.activate == "if_better" and not better:
            if before is None:
                return "the old and the new release cannot be compared by cross-validation"
            return "the new release is not better by cross-validation"
        return None
