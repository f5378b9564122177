"""Jobs of many images: received on disk, examined, recorded, worked on, kept for a while, and deleted."""

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from model_store.workers import present_stop
from service.adapting.ownership import is_dead
from service.answering.admission import Admission
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.batching.job_folder import JobFolder
from service.batching.options import JobOptions
from service.batching.results import check_options
from service.batching.sources import Entry, FilesInFolder, Source, ZipOfImages, no_images
from service.batching.workers import Workers
from service.http.keys import LOCAL
from service.images.decode import take_page
from service.problems import CallerLeft, Problem, problem_json
from service.records.follower import Author
from service.records.job_images import KIND, Counts, ImageState, JobImage, JobImages
from service.records.jobs import UNDER_WAY, Job, Jobs, State
from service.records.live_release import LiveRelease
from service.records.tables import now

_MEGABYTE = 1_000_000
_DAY = 86_400.0
_UNPACKED = 4  # size of all images of an archive to the largest body of a job
_TIDY_S = 30.0  # seconds between two rounds of tidying
_log = logging.getLogger("segsort.batches")


class SegmentJobs:
    """The jobs of images. Calls from several threads are safe.

    Args:
        engine: of the service.
        admission: the queue before the engine.

    Attributes:
        workers: of this process.
        used: bytes of the files of all jobs, as they were counted last, and those that have arrived since.
        removed: number of results that the limits of age and size deleted.
    """

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine, self._settings = engine, engine.settings
        self._parent = engine.settings.data_dir / "jobs"
        self._jobs, self._images = Jobs(engine.records.engine), JobImages(engine.records.engine)
        self.workers = Workers(engine, admission, self.folder)
        self.used = self.removed = 0
        self._tidied, self._tidying = 0.0, threading.Lock()
        self._receiving: set[str] = set()

    def folder(self, job_id: str) -> JobFolder:
        """Where the files of a job are."""
        return JobFolder(self._parent, job_id)

    def begin(self, options: JobOptions, release: str | None, declared: int) -> LiveRelease:
        """Check what can be checked before the images arrive.

        Args:
            options: what is asked.
            release: name of the release to use; None: the served one.
            declared: bytes of the body; 0: unknown.

        Raises:
            Problem: 404 if there is no such release; 422 if the options are not valid; 507 if there is no room.
        """
        self._engine.limits.check(SegmentRequest(options.segments, options.k))
        live = self._release(release)
        check_options(options, [state.info for state in live.log.class_states()])
        self.check_room(declared)
        return live

    def check_room(self, more: int) -> None:
        """Check that there is room for more bytes, after the results of old jobs were deleted if need be.

        Raises:
            Problem: 507.
        """
        self._parent.mkdir(parents=True, exist_ok=True)
        most, reserve = self._settings.jobs_mb * _MEGABYTE, self._settings.reserve_mb * _MEGABYTE
        if self.used + more > most:
            self.tidy(more)
        free = shutil.disk_usage(self._parent).free
        if self.used + more <= most and free - more > reserve:
            return
        full = self.used + more > most
        raise Problem(
            507, "There is no room for the images of another job.",
            received=f"{self.used} bytes of jobs and {more} more" if full else f"{free} bytes free on the disk",
            allowed=f"at most {most} bytes of all jobs" if full else f"more than {reserve + more} bytes free",
            fix="Send fewer images, delete jobs with DELETE /jobs/{job_id}, or let the operator raise SEGSORT_JOBS_MB.",
            headers={"Retry-After": "60"},
        )  # fmt: skip

    @contextmanager
    def receiving(self) -> Iterator[JobFolder]:
        """The folder of a new job, locked. It is removed if the block raises.

        Raises:
            OSError: if the disk refuses it.
        """
        folder = self.folder(uuid.uuid4().hex)
        self._receiving.add(folder.job_id)
        try:
            if not folder.take():
                raise OSError(f"{folder.path} is in use")
            folder.path.mkdir()
            yield folder
        except BaseException:
            folder.remove()
            folder.leave()
            raise
        finally:
            self._receiving.discard(folder.job_id)

    def arrived(self, size: int) -> None:
        """Take account of bytes that are about to be written.

        Raises:
            Problem: 507 if there is no room for them.
        """
        if self.used + size > self._settings.jobs_mb * _MEGABYTE:
            self.check_room(size)
        self.used += size

    def examine(self, folder: JobFolder, options: JobOptions, parts: Sequence[Entry] | None) -> list[JobImage]:
        """Look at every image that has arrived: those that cannot be segmented have failed already.

        Args:
            folder: of the new job.
            options: of the job.
            parts: the files of a form; None: there is a ZIP archive.

        Raises:
            Problem: 413 if they are too many or too large together; 415 or 422 if the archive cannot be read, or none
                of the images can be segmented.
            CallerLeft: if the caller has left.
        """
        settings = self._settings
        if parts is None:
            unpacked = _UNPACKED * settings.job_bytes
            source: Source = ZipOfImages(folder.upload.open("rb"), settings.max_bytes, settings.job_images, unpacked)
        else:
            source = FilesInFolder(folder.parts, parts)
        try:
            found = list(self._examined(source, SegmentRequest(options.segments, options.k)))
        finally:
            source.close()
        if not found:
            raise no_images()
        failed = [one for one in found if one.problem is not None]
        if len(failed) == len(found):
            raise Problem(
                422, "None of the images can be segmented.",
                received={one.name: (one.problem or {}).get("detail") for one in failed[:20]},
                allowed="image files", fix="Send image files. POST /segment says of one of them what is wrong.",
            )  # fmt: skip
        options.write(folder.options)
        return found

    def add(self, folder: JobFolder, author: Author, live: LiveRelease, images: Sequence[JobImage]) -> Job:
        """Record a job whose images have arrived, and begin to work on it.

        Raises:
            Problem: 429 if too many jobs are under way.
        """
        failed = sum(one.state == "failed" for one in images)
        job = Job(
            job_id=folder.job_id, kind=KIND, state="queued", release=live.name, author=author.name,
            reason=author.reason, created=now(), started=None, ended=None, stage="queued", done=failed,
            total=len(images), progress=0.0, result=None, problem=None, cancel=False, owner=folder.owner, beat=now(),
            release_digest=live.digest,
        )  # fmt: skip
        most = self._settings.jobs_at_once
        of_author = most if author.name == LOCAL.name else max(1, most // 2)
        if not self._images.add(job, images, most, of_author):
            raise Problem(
                429, "Too many jobs of images are under way.", received=author.name,
                allowed=f"less than {most} jobs, and less than {of_author} of one key",
                fix="Send the images again when a job has ended, or let the operator raise SEGSORT_JOBS_AT_ONCE.",
                headers={"Retry-After": "60"},
            )  # fmt: skip
        self.workers.adopt(job, folder)
        return job

    def images(self, job_id: str, limit: int, after: int, state: ImageState | None) -> list[JobImage]:
        """A page of the images of a job, in their order."""
        return self._images.page(job_id, limit, after, None if state is None else [state])

    def counts(self, job_id: str) -> Counts:
        """How many images of a job are in each state."""
        return self._images.counts(job_id)

    def cancel(self, job: Job) -> None:
        """Cancel a job under way. One that no process works on has ended at once."""
        self._jobs.ask_to_cancel(job.job_id)
        if not self.workers.cancel(job.job_id) and is_dead(job):
            self._jobs.end(job.job_id, "cancelled")

    def result(self, job: Job) -> Path:
        """The file of the result of a job that has succeeded.

        Raises:
            Problem: 404 if another replica has it, 409 if the job has none (yet), 410 if it was deleted.
        """
        if job.state != "succeeded":
            raise Problem(
                409, "The job has no result.", received=job.state, allowed="a job that has succeeded",
                fix="Wait until it has ended." if job.is_under_way else "Send the images again.",
            )  # fmt: skip
        file = self.folder(job.job_id).result()
        if file is not None:
            return file
        if self._images.counts(job.job_id).total:  # they are deleted with the result
            raise Problem(
                404, "The result is in the data folder of another replica of the service.", received=job.job_id,
                allowed="results in the data folder of this replica",
                fix="Send the request again, which may reach that replica. The operator should let all replicas share "
                "SEGSORT_DATA_DIR, or let the proxy ask each of them (docs/operations.md, Several replicas).",
            )  # fmt: skip
        raise Problem(
            410, "The result was deleted.", received=job.job_id,
            allowed=f"results of the last {self._settings.jobs_days:g} days",
            fix="Export the answers with POST /export, or send the images again.",
        )  # fmt: skip

    def delete(self, job: Job) -> None:
        """Delete a job that has ended, with its result. Its answers stay.

        Raises:
            Problem: 409 if it has not ended.
        """
        if job.is_under_way:
            raise Problem(
                409, "The job has not ended.", received=job.state, allowed="a job that has ended",
                fix="Cancel it first: POST /jobs/{job_id}/cancel.",
            )  # fmt: skip
        self._images.remove(job.job_id, with_job=True)
        self.folder(job.job_id).remove()
        self._tidied = 0.0

    def tidy(self, needed: int = 0) -> None:
        """Remove what processes left that have ended, and results past the limits of age and size.

        Args:
            needed: bytes that are to be free below the limit of size.
        """
        with self._tidying:
            self._tidied = time.monotonic()
            folders = {path.name: self.folder(path.name) for path in self._parent.glob("*") if path.is_dir()}
            states = self._images.states(folders)
            ended: list[tuple[float, int, JobFolder]] = []
            total = 0
            for job_id, folder in folders.items():
                state = states.get(job_id)
                if state is None and self._remove_if_free(folder):
                    continue
                with suppress(OSError):  # another process has just removed it
                    size, made = folder.size(), folder.path.stat().st_mtime
                    total += size
                    if state is not None and state not in UNDER_WAY:
                        ended.append((made, size, folder))
                        self._remove_rest(folder, state)
            most = self._settings.jobs_mb * _MEGABYTE - needed
            for made, size, folder in sorted(ended, key=lambda one: one[0]):
                if total > most or time.time() - made > self._settings.jobs_days * _DAY:
                    total -= size
                    self.removed += 1
                    folder.remove()
                    self._images.remove(folder.job_id, with_job=False)
            self.used = total

    def chore(self) -> None:
        """`tidy`, if the last round was long enough ago."""
        if time.monotonic() - self._tidied > _TIDY_S:
            self.tidy()

    def _remove_rest(self, folder: JobFolder, state: State) -> None:
        """Remove what a job left whose process was killed when it had just ended."""
        if not folder.has_uploads() or not folder.take():
            return
        try:
            if state == "cancelled":
                folder.remove()
            else:
                folder.remove_uploads()
        finally:
            folder.leave()

    def _remove_if_free(self, folder: JobFolder) -> bool:
        """Remove a folder that belongs to no job, unless a process is receiving into it. Returns whether it is gone."""
        if folder.job_id in self._receiving or folder.job_id in self.workers.working_on or not folder.take():
            return False
        try:
            if not self._images.states([folder.job_id]):
                folder.remove()
                return True
        finally:
            folder.leave()
        return False

    def _examined(self, source: Source, request: SegmentRequest) -> Iterator[JobImage]:
        pixels, stop = 0, present_stop()
        for position, entry in enumerate(source.entries):
            if stop.is_set:
                raise CallerLeft
            try:
                size = self._engine.measure(take_page(source.read(position), 0).content, request)
            except Problem as problem:
                if problem.status >= 500:
                    raise
                yield JobImage(position, entry.name, "failed", problem=problem_json(problem))
                continue
            pixels += size
            if pixels > self._settings.job_pixels:
                raise Problem(
                    413, "The images have too many pixels together.", received=f"more than {pixels} pixels",
                    allowed=f"at most {self._settings.job_pixels} pixels", fix="Send them in several jobs.",
                )  # fmt: skip
            yield JobImage(position, entry.name, pixels=size)

    def _release(self, name: str | None) -> LiveRelease:
        served = self._engine.served
        if name is None or name == served.name:
            return served.live
        known = {one.name for one in self._engine.catalogue.store.list()}
        if name not in known:
            raise Problem(
                404, "There is no such release.", received=name[:200], allowed=sorted({*known, served.name}),
                fix="Take the names from GET /releases.",
            )  # fmt: skip
        return self._engine.catalogue.find(name)
