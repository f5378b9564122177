"""A job of images that this process works on: what is left of it, and how it ends."""

from collections import deque
from collections.abc import Iterable

from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.batching.job_folder import JobFolder
from service.batching.one_image import OneImage, release_of_job
from service.batching.options import JobOptions
from service.batching.results import key_of, result_json, write_result
from service.batching.sources import Entry, FilesInFolder, Source, ZipOfImages
from service.problems import DamageError, Problem
from service.records.job_images import JobImage, JobImages
from service.records.jobs import Job, Jobs

_PAGE = 1000  # images that are read from the database at once
_ANY = 1 << 62  # limits that were checked when the images arrived


class Work:
    """A job that this process has locked. Calls from several threads are safe, if each position has one.

    Args:
        engine: of the service.
        job: as it was recorded.
        folder: of the job, locked by this process.

    Attributes:
        job, folder: as given.
        waiting: positions of the images that are not done and that nobody works on.
        running: positions of those that are worked on.
        cancelled: whether someone asked to cancel it.

    Raises:
        Problem: if its files or its release are gone.
    """

    def __init__(self, engine: Engine, job: Job, folder: JobFolder) -> None:
        self._engine, self.job, self.folder = engine, job, folder
        self._jobs, self._images = Jobs(engine.records.engine), JobImages(engine.records.engine)
        self.options = _options(folder)
        self.served: ServedRelease = release_of_job(engine, job.release, job.release_digest)
        self._source = self._opened()
        self.running: set[int] = set()
        self.cancelled = False
        folder.answers.remove_unfinished()
        self.waiting: deque[int] = deque(one.position for one in self._without_answer())

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left but to end the job."""
        return not self.running and (self.cancelled or not self.waiting)

    def image(self, position: int) -> OneImage:
        """The work on one image."""
        return OneImage(
            self._engine, self.served, self.job.job_id, self.job.author, self.options, self._source,
            self.folder.answers, position,
        )  # fmt: skip

    def end(self) -> None:
        """Write the result, and record how the job ended.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        job_id = self.job.job_id
        if self.cancelled:
            self._jobs.end(job_id, "cancelled")
            self.close()
            self.folder.remove()
            return
        self._images.stage(job_id, "export")
        counts = self._images.counts(job_id)
        if not counts.done:
            self._jobs.end(job_id, "failed", problem="No image could be segmented. Its images say why.")
        else:
            self._export(counts.failed)
        self.close()
        self.folder.remove_uploads()

    def fail(self, problem: str) -> None:
        """Record that the job failed."""
        self._jobs.end(self.job.job_id, "failed", problem=problem[:1000])
        self.close()
        self.folder.remove_uploads()

    def close(self) -> None:
        """Close the files of the job."""
        self._source.close()

    def _export(self, failed: int) -> None:
        done = [(one.position, one.name) for one in self._all(["done"])]
        classes = [state.info for state in self.served.live.log.class_states()]
        try:
            file = write_result(
                self.folder, self.options, done, classes, self.job.release, self.job.release_digest, self._source.read
            )
        except (ValueError, Problem) as error:
            self._jobs.end(self.job.job_id, "failed", problem=f"The export failed: {error}"[:1000])
            return
        self._jobs.end(self.job.job_id, "succeeded", result_json(file, self.options, len(done), failed))

    def _opened(self) -> Source:
        if not self.options.form:
            try:
                return ZipOfImages(self.folder.upload.open("rb"), _ANY, _ANY, _ANY)
            except OSError as error:
                raise _gone(self.folder) from error
        return FilesInFolder(self.folder.parts, [Entry(one.name) for one in self._all()])

    def _without_answer(self) -> Iterable[JobImage]:
        """The images that wait, and those that are done without a file of the answer, as after a damage of the disk."""
        lost = {one.position for one in self._all(["done"]) if not self.folder.answers.has(key_of(one.position))}
        return [one for one in self._all(["waiting", "done"]) if one.state == "waiting" or one.position in lost]

    def _all(self, states: list[str] | None = None) -> list[JobImage]:
        found: list[JobImage] = []
        while page := self._images.page(self.job.job_id, _PAGE, found[-1].position if found else -1, states):
            found += page
        return found


def _options(folder: JobFolder) -> JobOptions:
    try:
        return JobOptions.read(folder.options)
    except DamageError as error:
        raise _gone(folder) from error


def _gone(folder: JobFolder) -> Problem:
    return Problem(
        410, "The files of the job are gone.", received=folder.job_id, allowed="files below SEGSORT_DATA_DIR/jobs",
        fix="Send the images again.",
    )  # fmt: skip
