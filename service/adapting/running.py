"""A running job: a thread that follows the child process, and records how far it is and how it ended."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from service.adapting.child import Child, StageCount
from service.adapting.ownership import WorkFolder
from service.adapting.work import Work
from service.problems import Problem
from service.records.jobs import Job, Jobs, State, Step
from service.settings import Settings

_BEAT = 1.0  # seconds between two reports of a job
_PATIENCE = 60.0  # seconds that a database which does not answer is tried to record the end of a job

_log = logging.getLogger("segsort.adapt")


class Running:
    """The job that this process works on, in a thread.

    Args:
        settings: of the service.
        jobs: where the job is recorded.
        job: as it was recorded.
        folder: where the child works; it is removed at the end.
        work: what is done.

    Attributes:
        job: as it was recorded at first.
        thread: works on it.
    """

    def __init__(self, settings: Settings, jobs: Jobs, job: Job, folder: WorkFolder, work: Work) -> None:
        self._settings, self._jobs, self._folder, self._job_work = settings, jobs, folder, work
        self.job = job
        self._child: Child | None = None
        self._ending: State | None = None  # how it was ended from outside
        self._last = False  # whether the result is being stored, which is not ended from outside
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._work, name=f"segsort-{work.kind}", daemon=True)

    def end(self, state: State) -> bool:
        """End the child; False if it is too late, because the result is being stored."""
        with self._lock:
            if self._last:
                return False
            self._ending = self._ending or state
            if self._child is not None:
                self._child.kill()
        return True

    def _work(self) -> None:
        state: State = "failed"
        result, problem = None, None
        try:
            self._jobs.begin(self.job.job_id)
            found = self._run()
            with self._reporting():
                result = self._job_work.finish(self._folder.path, self.job.author, found)
            state = "succeeded"
        except _Ended as ended:
            state = ended.state
        except (ValueError, Problem, OSError, SQLAlchemyError) as error:
            problem = str(error)[:1000] or type(error).__name__
        except Exception as error:
            _log.exception("job %s failed", self.job.job_id)
            problem = f"{type(error).__name__}: {error}"[:1000]
        finally:
            self._record(state, result, None if problem is None else self._job_work.in_words(problem))
            self._folder.remove()

    def _run(self) -> dict[str, Any]:
        """Run the child: the JSON that it printed."""
        command = self._job_work.command(self._folder.path)
        with self._lock:
            self._check_not_ended()
            self._child = child = Child(self._settings, command, self._folder.path)
        try:
            self._follow(child)
            self._check_not_ended()
            found = child.result()
        finally:
            try:
                child.kill()
            finally:
                child.close()
        with self._lock:
            self._check_not_ended()
            self._last = True
        self._report(Step(self._job_work.last, 0, 1, sum(self._job_work.shares.values())))
        return found

    def _follow(self, child: Child) -> None:
        """Report the progress of the child until it ends or is to be cancelled."""
        step, progress, reported = None, 0.0, time.monotonic()
        for count in child.steps(_BEAT):
            if count is not None:
                progress = max(progress, _progress(self._job_work.shares, count))
                step = Step(*count, progress)
            if time.monotonic() - reported >= _BEAT or (count is not None and count.done in (0, count.total)):
                if self._report(step):
                    self.end("cancelled")
                step, reported = None, time.monotonic()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """A block in which another thread reports that this process is alive, however long the block takes."""
        ended = threading.Event()

        def report() -> None:
            while not ended.wait(_BEAT):
                self._report(None)

        thread = threading.Thread(target=report, name="segsort-reports", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _report(self, step: Step | None) -> bool:
        try:
            return self._jobs.report(self.job.job_id, step)
        except SQLAlchemyError as error:  # the next report may succeed
            _log.warning("the progress of job %s could not be recorded: %s", self.job.job_id, error)
            return False

    def _record(self, state: State, result: dict[str, Any] | None, problem: str | None) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._jobs.end(self.job.job_id, state, result, problem)
                break
            except SQLAlchemyError as error:
                if time.monotonic() > end:
                    _log.error("the end of job %s could not be recorded: %s", self.job.job_id, error)
                    break
                time.sleep(_BEAT)
        _log.info("job %s %s%s", self.job.job_id, state, f": {problem}" if problem else "")

    def _check_not_ended(self) -> None:
        if self._ending is not None:
            raise _Ended(self._ending)


class _Ended(Exception):
    """A job was ended from outside."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.state = state


def _progress(shares: Mapping[str, float], count: StageCount) -> float:
    """The progress of the whole job, 0..1. An unknown stage adds nothing."""
    stages = list(shares)
    if count.stage not in stages:
        return 0.0
    before = sum(shares[stage] for stage in stages[: stages.index(count.stage)])
    return before + shares[count.stage] * min(1.0, count.done / max(1, count.total))
