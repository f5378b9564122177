"""The workers of a process. They take over jobs of images that nobody works on, and segment them image by image."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
from sqlalchemy.exc import SQLAlchemyError

from service.answering.admission import Admission
from service.answering.engine import Engine
from service.batching.background_turns import BackgroundTurns
from service.batching.job_folder import JobFolder
from service.batching.one_image import OneImage
from service.batching.passing import PAUSES_S, Passing
from service.batching.rota import Rota
from service.batching.work import Work
from service.images.decode import kept_ahead
from service.problems import Problem, problem_json
from service.records.job_images import JobImages
from service.records.jobs import Job, Jobs

T = TypeVar("T")
MOST_ATTEMPTS = 3  # an image during which the process ended so often is given up
_LOOK_S = 3.0  # seconds between two searches for jobs that nobody works on
_CLOSING_S = 15.0  # seconds that images in work may take at the end of the process
_log = logging.getLogger("segsort.batches")


class Workers:
    """Works on jobs of images. It runs on one event loop; what takes time runs in threads of its own.

    Args:
        engine: of the service.
        admission: the queue before the engine.
        folder_of: the folder of a job.

    Attributes:
        ended: number of images by how they ended, done or failed.
    """

    def __init__(self, engine: Engine, admission: Admission, folder_of: Callable[[str], JobFolder]) -> None:
        self._engine, self._folder_of = engine, folder_of
        self._jobs, self._images = Jobs(engine.records.engine), JobImages(engine.records.engine)
        self._turns, self._count = BackgroundTurns(admission), engine.settings.lanes + 1
        self._threads: anyio.CapacityLimiter | None = None
        self._works: dict[str, Work] = {}
        self._adopted: list[tuple[Job, JobFolder]] = []
        self._ending: set[str] = set()
        self._rota, self._passing = Rota(), Passing()
        self._changed, self._closing = asyncio.Event(), False
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ended = {"done": 0, "failed": 0}

    def start(self) -> None:
        """Begin; called on the event loop."""
        self._loop, self._threads = asyncio.get_running_loop(), anyio.CapacityLimiter(self._count + 2)
        tasks = [self._search(), *(self._serve() for _ in range(self._count))]
        self._tasks = [asyncio.ensure_future(task) for task in tasks]

    async def close(self) -> None:
        """End after the images that are in work. The jobs wait for the next process."""
        self._closing = True
        self._changed.set()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_CLOSING_S)
            for task in left:
                task.cancel()
        for work in self._works.values():
            work.close()
            work.folder.leave()

    def adopt(self, job: Job, folder: JobFolder) -> None:
        """Work on a job that this process has just recorded and locked; called from any thread."""
        self._adopted.append((job, folder))
        self.wake()

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; called from any thread. False: this process does not work on it."""
        work = self._works.get(job_id)
        if work is not None:
            work.cancelled = True
            self.wake()
        return work is not None

    def wake(self) -> None:
        """Look for jobs, and for those to cancel, now and not at the next poll; called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    @property
    def working_on(self) -> frozenset[str]:
        """The ids of the jobs that this process works on."""
        return frozenset(self._works) | self._ending | {job.job_id for job, _ in self._adopted}

    @property
    def inside(self) -> int:
        """Number of images of jobs in the engine and in its queue."""
        return self._turns.inside

    async def _search(self) -> None:
        """Take over jobs that nobody works on, again and again."""
        while not self._closing:
            try:
                await self._take_over()
            except (SQLAlchemyError, OSError) as error:
                _log.warning("jobs of images could not be looked for: %s", error)
            except Exception:
                _log.exception("jobs of images could not be looked for")
            if not self._adopted:  # one that came during the search begins now
                await self._wait(_LOOK_S)

    async def _take_over(self) -> None:
        adopted, self._adopted[:] = list(self._adopted), []
        for job, folder in adopted:
            await self._begin(job, folder)
        for job in await self._in_thread(self._images.under_way):
            work, folder = self._works.get(job.job_id), self._folder_of(job.job_id)
            if work is not None:
                work.cancelled = work.cancelled or job.cancel
            elif job.job_id in self.working_on:
                continue
            elif folder.path.is_dir() and folder.take():
                await self._begin(job, folder)
            elif not folder.path.is_dir() and job.owner == folder.owner:
                await self._in_thread(self._jobs.end, job.job_id, "failed", None, "The files of the job are gone.")
        self._changed.set()

    async def _begin(self, job: Job, folder: JobFolder) -> None:
        try:
            if not await self._in_thread(self._images.own, job.job_id, folder.owner):
                folder.leave()
                return
            work = await self._in_thread(Work, self._engine, job, folder)
        except Problem as problem:
            await self._in_thread(self._jobs.end, job.job_id, "failed", None, str(problem)[:1000])
            folder.leave()
            return
        except BaseException:  # the next search finds the job again
            folder.leave()
            raise
        work.cancelled = job.cancel
        self._works[job.job_id] = work
        self._changed.set()
        _log.info("job %s: %d images are left", job.job_id, len(work.waiting))

    async def _serve(self) -> None:
        """Work on images, one after another."""
        while not self._closing:
            found = self._next()
            if found is None:
                for work in list(self._works.values()):
                    await self._end_if_complete(work)
                await self._wait(self._passing.left or _LOOK_S)
                continue
            work, position = found
            try:
                await self._one(work, position)
            except Exception as error:  # the database does not say how often it was tried
                if not isinstance(error, SQLAlchemyError):
                    _log.exception("job %s: image %d", work.job.job_id, position)
                work.waiting.append(position)
                self._passing.rest()
            finally:
                work.running.discard(position)
            await self._end_if_complete(work)

    def _next(self) -> tuple[Work, int] | None:
        """The next image; None: nothing is to be done now."""
        return None if self._passing.left else self._rota.next(self._works.values())

    async def _one(self, work: Work, position: int) -> None:
        """Segment one image, and record how that ended."""
        job_id, image = work.job.job_id, work.image(position)
        attempts = await self._in_thread(self._images.begin, job_id, position)
        problem: dict[str, Any] | None = None
        try:
            if not await self._in_thread(image.is_answered):
                if attempts > MOST_ATTEMPTS:
                    raise _given_up(attempts - 1)
                await self._segment(image)
        except Exception as error:
            why = self._passing.why(error, (job_id, position))
            if why is not None:
                await self._put_back(work, position, why)
                return
            if not isinstance(error, Problem):
                _log.exception("job %s: image %d failed", job_id, position)
            problem = problem_json(error if isinstance(error, Problem) else _failed(error))
        self._passing.ended((job_id, position))
        kept = image.segmentation_id if problem is None and work.options.keep else None
        cancel = await self._certainly(partial(self._images.finish, job_id, position, kept, problem))
        work.cancelled = work.cancelled or bool(cancel)
        self.ended["done" if problem is None else "failed"] += 1

    async def _segment(self, image: OneImage) -> None:
        with kept_ahead():
            pixels = await self._in_thread(image.read)
            async with self._turns.turn(pixels):
                await self._in_thread(image.segment)

    async def _put_back(self, work: Work, position: int, why: str) -> None:
        """Let an image wait again, and rest for a while."""
        self._passing.rest()
        cancel = await self._certainly(partial(self._images.put_back, work.job.job_id, position, why))
        work.cancelled = work.cancelled or bool(cancel)
        work.waiting.appendleft(position)

    async def _end_if_complete(self, work: Work) -> None:
        job_id = work.job.job_id
        is_due = work.is_complete and not self._closing and not self._passing.left
        if not is_due or self._works.get(job_id) is not work:
            return
        self._ending.add(job_id)
        del self._works[job_id]
        try:
            await self._end(work)
        finally:
            if job_id not in self._works:
                work.folder.leave()
            self._ending.discard(job_id)

    async def _end(self, work: Work) -> None:
        """Write the result of a job whose images are done; later, if the disk is full."""
        job_id = work.job.job_id
        _log.info("job %s: its images are done", job_id)
        try:
            await self._certainly(work.end)
        except Exception as error:
            why = self._passing.why(error, (job_id, -1))
            if why is None:
                _log.exception("job %s failed", job_id)
                await self._certainly(partial(work.fail, f"{type(error).__name__}: {error}"))
                return
            self._works[job_id] = work
            self._passing.rest()
            await self._certainly(partial(self._images.stage, job_id, "export", why))

    async def _certainly(self, write: Callable[[], T]) -> T | None:
        """Write to the database, again and again while it does not answer; None: the process ends before it does."""
        for pause in (*PAUSES_S, *[PAUSES_S[-1]] * 10_000):
            try:
                return await self._in_thread(write)
            except SQLAlchemyError as error:
                _log.warning("the state of a job could not be recorded: %s", error)
            if self._closing:
                break
            await self._wait(pause, only_closing=True)
        return None

    async def _wait(self, seconds: float, only_closing: bool = False) -> None:
        """Wait for a change, or for some seconds."""
        end = time.monotonic() + seconds
        while not self._closing and (left := end - time.monotonic()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(min(left, 0.5)):
                    await self._changed.wait()
            except TimeoutError:
                continue
            if not only_closing:
                return

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(partial(work, *arguments), limiter=self._threads)


def _given_up(attempts: int) -> Problem:
    return Problem(
        500, "The service ended several times while it worked on the image.", received=f"{attempts} attempts",
        fix="Send the image to POST /segment by itself, and give the operator its answer.",
    )  # fmt: skip


def _failed(error: Exception) -> Problem:
    return Problem(
        500, "The service failed. The image is not the cause.", received=type(error).__name__,
        fix="Send the image again. If it fails again, the operator should look at the log.",
    )  # fmt: skip
