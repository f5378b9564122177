"""Adaptations: jobs that fit the head of the served release again in a child process, and serve the result."""

import errno
import itertools
import logging
import os
import shutil
import threading
import time
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import make_url

from model_store.release import Release
from service.adapting.carrying import Carrier
from service.adapting.ownership import WorkFolder, is_dead, remove_leftovers
from service.adapting.requests import AdaptRequest
from service.adapting.running import Running
from service.answering.activation import ONE_AT_A_TIME, Activation
from service.answering.engine import Engine
from service.answering.links import job_url
from service.answering.served import ServedRelease
from service.editing.snapshot import check_new_name
from service.problems import Problem
from service.records.follower import Author
from service.records.jobs import Job, Jobs
from service.records.tables import EditRow, now

_CANCELLING = 10.0  # seconds that a request waits for its job to end
_PATIENCE, _PAUSE = 60.0, 1.0  # seconds to wait for another activation, in all and between two attempts

_log = logging.getLogger("segsort.adapt")


class Adaptations:
    """Starts adaptations, one at a time, and answers how they are. Calls from several threads are safe.

    Args:
        engine: serves the release that is adapted.
        activation: serves the new release.

    Attributes:
        jobs: the jobs of the database, those of other processes too.
    """

    def __init__(self, engine: Engine, activation: Activation) -> None:
        self._engine, self._activation = engine, activation
        self.jobs = Jobs(engine.records.engine)
        self._folder = engine.settings.data_dir / "adapting"
        self._running: Running | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Record jobs whose process has ended as interrupted, and remove what they left."""
        for job in self.jobs.interrupt(is_dead):
            _log.warning("job %s was interrupted: the process that worked on it has ended", job.job_id)
        remove_leftovers(self._folder)

    def close(self) -> None:
        """End the running job, which is recorded as interrupted."""
        running = self._running
        if running is not None:
            running.end("interrupted")
            running.thread.join(_CANCELLING)

    def begin(self, author: Author, request: AdaptRequest) -> Job:
        """Start an adaptation of the served release.

        Raises:
            Problem: 409 if one is under way, or the database is in memory; 422 if the name is taken or not valid; 503
                if the disk or the database refuses it.
        """
        served = self._engine.served
        self._check_database()
        name = self._free_name(served) if request.name is None else request.name
        self._check_name(name)
        with self._starting:
            job_id = uuid.uuid4().hex
            folder = self._work_folder(job_id)
            job = _new_job(job_id, served, author, folder)
            try:
                other = self.jobs.add(job, is_dead)
            except BaseException:
                folder.remove()
                raise
            if other is not None:
                folder.remove()
                raise _under_way(other)
            settings = self._engine.settings
            self._running = Running(settings, self.jobs, served, job, folder, name, request, self._serve)
            self._running.thread.start()
        return job

    def get(self, job_id: str) -> Job:
        """Read a job.

        Raises:
            Problem: 404 if there is none.
        """
        job = self.jobs.get(job_id)
        if job is None:
            raise Problem(
                404, "There is no such job.", received=job_id, allowed="the job_id of a job",
                fix="Take the id from POST /adapt or GET /jobs.",
            )  # fmt: skip
        if job.is_under_way and is_dead(job):
            self.jobs.interrupt(is_dead)
            job = self.jobs.get(job_id) or job
        return job

    def newest(self, limit: int) -> list[Job]:
        """Read the newest jobs, the newest first."""
        jobs = self.jobs.newest(limit)
        if any(job.is_under_way and is_dead(job) for job in jobs):
            self.jobs.interrupt(is_dead)
            jobs = self.jobs.newest(limit)
        return jobs

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, and wait until it has ended if this process works on it.

        Raises:
            Problem: 404 if there is none; 409 if it has ended, or the new release is being activated.
        """
        job = self.get(job_id)
        if not job.is_under_way:
            raise Problem(
                409, "The job has ended.", received=job.state, allowed="a job that is queued or running",
                fix="Nothing is left to cancel. A release that it wrote stays in GET /releases.",
            )  # fmt: skip
        self.jobs.ask_to_cancel(job_id)
        running = self._running
        if running is not None and running.job.job_id == job_id:
            if not running.end("cancelled"):
                raise Problem(
                    409, "The new release is being activated, which cannot be cancelled.", received=job_id,
                    fix="Wait for the job, then activate the release that was served before.",
                )  # fmt: skip
            running.thread.join(_CANCELLING)
        return self.get(job_id)

    def _serve(self, running: Running, done: dict[str, Any]) -> dict[str, Any]:
        """Move the new release into the store, and serve it if that is wanted: the result of the job."""
        settings, request = self._engine.settings, running.request
        release, snapshot = (Release.open(running.folder.path / name) for name in ("release", "snapshot"))
        name = release.card.name
        ids = dict(zip(snapshot.exemplars.ids, release.exemplars.ids, strict=True))
        _move(release.path, settings.data_dir / "releases" / name)
        result = {key: done[key] for key in ("release", "before", "after", "better", "head", "index_revision")}
        result |= {"seconds": done["seconds"], "activated": False, "carried_over": 0, "why_not": None}
        why_not = self._why_not(running.served, request, bool(done["better"]), done["before"])
        if why_not is None:
            carrier = Carrier(self._engine, int(done["index_revision"]), ids)
            self._activate(name, running.job.author, carrier)
            return result | {"activated": True, "carried_over": carrier.edits}
        return result | {"why_not": why_not}

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

    def _why_not(self, served: ServedRelease, request: AdaptRequest, better: bool, before: float | None) -> str | None:
        """Why the new release is not to be served; None: it is."""
        if request.activate == "never":
            return "the request says never"
        if self._engine.served.name != served.name:
            return f"release {self._engine.served.name!r} was activated meanwhile"
        if request.activate == "if_better" and not better:
            if before is None:
                return "the old and the new release cannot be compared by cross-validation"
            return "the new release is not better by cross-validation"
        return None

    def _check_database(self) -> None:
        url = make_url(self._engine.settings.database)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise Problem(
                409, "The database is in memory, where the process that adapts cannot read it.",
                received=url.render_as_string(), allowed="a database in a file, or PostgreSQL",
                fix="Ask the operator to set SEGSORT_DATABASE_URL.",
            )  # fmt: skip

    def _check_name(self, name: str) -> None:
        try:
            check_new_name(self._engine.settings, name)
            if self._is_known(name):
                raise ValueError("a name without edits and answers in the database")
        except ValueError as error:
            raise Problem(
                422, "The new release cannot have this name.", received=name, allowed=str(error),
                fix="Give another name, or none.",
            ) from error  # fmt: skip

    def _free_name(self, served: ServedRelease) -> str:
        base = f"{served.name[:80]}-a{served.live.state.revision}"
        taken = {stored.name for stored in self._engine.catalogue.store.list()}
        names = (base if number == 1 else f"{base}-{number}" for number in itertools.count(1))
        return next(name for name in names if name not in taken and not self._is_known(name))

    def _is_known(self, name: str) -> bool:
        """Whether a release of this name is open, or the database has edits or answers of one, which may be gone."""
        if self._engine.catalogue.opened(name) is not None:
            return True
        with self._engine.records.engine.connect() as connection:
            edited = connection.execute(select(EditRow.revision).where(EditRow.release == name).limit(1)).first()
        return edited is not None or bool(self._engine.records.newest(1, release=name, light=True))

    def _work_folder(self, job_id: str) -> WorkFolder:
        try:
            return WorkFolder(self._folder, job_id)
        except OSError as error:
            raise Problem(
                503, "The folder of the job cannot be made.", received=str(error)[:200],
                fix="Ask the operator to check SEGSORT_DATA_DIR and the disk.",
            ) from error  # fmt: skip


def _new_job(job_id: str, served: ServedRelease, author: Author, folder: WorkFolder) -> Job:
    return Job(
        job_id=job_id, kind="adapt", state="queued", release=served.name, author=author.name, reason=author.reason,
        created=now(), started=None, ended=None, stage="queued", done=0, total=1, progress=0.0, result=None,
        problem=None, cancel=False, owner=folder.owner, beat=now(),
    )  # fmt: skip


def _under_way(job: Job) -> Problem:
    return Problem(
        409, f"The job {job.job_id} is under way.", received={"job_id": job.job_id, "stage": job.stage},
        allowed="one adaptation at a time", fix=f"Wait for GET /jobs/{job.job_id}, or cancel it.",
        headers={"Location": job_url(job.job_id)},
    )  # fmt: skip


def _move(folder: Path, place: Path) -> None:
    """Move a release into the store in one step, so that it is never there in part."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(folder, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = place.with_name(f".{place.name}.moving")  # hidden folders are releases that are being written
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(folder, aside)
        os.rename(aside, place)
