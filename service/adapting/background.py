"""Background jobs: each works in a child process, one at a time, and is recorded in the database."""

import logging
import threading
import uuid
from importlib.util import find_spec

from sqlalchemy import Engine as Database
from sqlalchemy.engine import make_url

from service.adapting.ownership import WorkFolder, is_dead, remove_leftovers
from service.adapting.running import Running
from service.adapting.work import Work
from service.answering.links import job_url
from service.problems import Problem
from service.records.follower import Author
from service.records.jobs import Job, Jobs
from service.records.tables import now
from service.settings import Settings

_CANCELLING = 10.0  # seconds that a request waits for its job to end

_log = logging.getLogger("segsort.adapt")


class BackgroundJobs:
    """Starts jobs, one at a time, and answers how they are. Calls from several threads are safe.

    Args:
        settings: of the service; they apply to the child processes too.
        database: an open database.

    Attributes:
        jobs: the jobs of the database, those of other processes too.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self.jobs = Jobs(database)
        self._folder = settings.data_dir / "adapting"
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

    def begin(self, author: Author, work: Work) -> Job:
        """Start a job.

        Raises:
            Problem: 409 if one is under way, or it needs PyTorch, which is not installed; 503 if the disk or the
                database refuses it.
        """
        if work.needs_pytorch:
            _check_pytorch()
        with self._starting:
            job_id = uuid.uuid4().hex
            folder = self._work_folder(job_id)
            job = _new_job(job_id, work, author, folder)
            try:
                other = self.jobs.add(job, is_dead)
            except BaseException:
                folder.remove()
                raise
            if other is not None:
                folder.remove()
                raise _under_way(other)
            self._running = Running(self._settings, self.jobs, job, folder, work)
            self._running.thread.start()
        return job

    def check_database(self) -> None:
        """Check that another process can read the database.

        Raises:
            Problem: 409 if it is in memory.
        """
        url = make_url(self._settings.database)
        if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
            raise Problem(
                409, "The database is in memory, where the process of a job cannot read it.",
                received=url.render_as_string(), allowed="a database in a file, or PostgreSQL",
                fix="Ask the operator to set SEGSORT_DATABASE_URL.",
            )  # fmt: skip

    def get(self, job_id: str) -> Job:
        """Read a job.

        Raises:
            Problem: 404 if there is none.
        """
        job = self.jobs.get(job_id)
        if job is None:
            raise Problem(
                404, "There is no such job.", received=job_id, allowed="the job_id of a job",
                fix="Take the id from GET /jobs.",
            )  # fmt: skip
        if job.is_under_way and is_dead(job):
            self.jobs.interrupt(is_dead)
            job = self.jobs.get(job_id) or job
        return job

    def newest(self, limit: int, author: str | None = None) -> list[Job]:
        """Read the newest jobs, the newest first. author: without jobs of images of others; None: of all."""
        jobs = self.jobs.newest(limit, author)
        if any(job.is_under_way and is_dead(job) for job in jobs):
            self.jobs.interrupt(is_dead)
            jobs = self.jobs.newest(limit, author)
        return jobs

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, and wait until it has ended if this process works on it.

        Raises:
            Problem: 404 if there is none; 409 if it has ended, or its result is being stored.
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
                    409, "The result is being stored, which cannot be cancelled.", received=job_id,
                    fix="Wait for the job, then activate the release that was served before.",
                )  # fmt: skip
            running.thread.join(_CANCELLING)
        return self.get(job_id)

    def look(self) -> None:
        """End the running job now, if someone asked another process to cancel it.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        running = self._running
        if running is not None and running.thread.is_alive():
            job = self.jobs.get(running.job.job_id)
            if job is not None and job.cancel:
                running.end("cancelled")

    def _work_folder(self, job_id: str) -> WorkFolder:
        try:
            return WorkFolder(self._folder, job_id)
        except OSError as error:
            raise Problem(
                503, "The folder of the job cannot be made.", received=str(error)[:200],
                fix="Ask the operator to check SEGSORT_DATA_DIR and the disk.",
            ) from error  # fmt: skip


def _new_job(job_id: str, work: Work, author: Author, folder: WorkFolder) -> Job:
    return Job(
        job_id=job_id, kind=work.kind, state="queued", release=work.release, author=author.name, reason=author.reason,
        created=now(), started=None, ended=None, stage="queued", done=0, total=1, progress=0.0, result=None,
        problem=None, cancel=False, owner=folder.owner, beat=now(),
        release_digest=work.release_digest,
    )  # fmt: skip


def _under_way(job: Job) -> Problem:
    return Problem(
        409, f"The job {job.job_id} is under way.", received={"job_id": job.job_id, "stage": job.stage},
        allowed="one job at a time", fix=f"Wait for GET /jobs/{job.job_id}, or cancel it.",
        headers={"Location": job_url(job.job_id)},
    )  # fmt: skip


def _check_pytorch() -> None:
    """Refuse a job where its child process could not import PyTorch, which fits heads. Serving does not need it.

    Raises:
        Problem: 409 if PyTorch is not installed.
    """
    if find_spec("torch") is None:
        raise Problem(
            409, "This installation serves only: PyTorch, which fits heads, is not installed.",
            received="no PyTorch", allowed="an installation with PyTorch",
            fix="Install PyTorch, or use the container image of the flavour cpu or gpu. `segsort adapt` and `segsort "
            "build` also run on another machine; this service then serves the release that they write.",
        )  # fmt: skip
