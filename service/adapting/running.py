"""A running adaptation: a thread that follows the child process, and records how far it is and how it ended."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from service.adapting.child import Child, StageCount
from service.adapting.ownership import WorkFolder
from service.adapting.requests import AdaptRequest
from service.answering.served import ServedRelease
from service.problems import Problem
from service.records.jobs import Job, Jobs, State, Step
from service.settings import Settings

_BEAT = 1.0  # seconds between two reports of a job
_PATIENCE = 60.0  # seconds that a database which does not answer is tried to record the end of a job
_SHARES = {"snapshot": 0.1, "features": 0.4, "head": 0.3, "calibration": 0.1, "exemplars": 0.05}  # of the progress
_LAST = "activation"

_log = logging.getLogger("segsort.adapt")


class Running:
    """The job that this process works on, in a thread.

    Args:
        settings: of the service.
        jobs: where the job is recorded.
        served: the release that is adapted.
        job: as it was recorded.
        folder: where the child works; it is removed at the end.
        name: of the new release.
        request: what was asked.
        finish: called with this object and the JSON of the child after it has succeeded; returns the result of the job.

    Attributes:
        served: the release that is adapted.
        job: as it was recorded at first.
        folder: where the child works.
        request: what was asked.
        thread: works on it.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: Jobs,
        served: ServedRelease,
        job: Job,
        folder: WorkFolder,
        name: str,
        request: AdaptRequest,
        finish: "Callable[[Running, dict[str, Any]], dict[str, Any]]",
    ) -> None:
        self._settings, self._jobs, self._name, self._finish = settings, jobs, name, finish
        self.served, self.job, self.folder, self.request = served, job, folder, request
        self._child: Child | None = None
        self._ending: State | None = None  # how it was ended from outside
        self._last = False  # whether the new release is being served, which is not ended from outside
        self._lock = threading.Lock()
        self.thread = threading.Thread(target=self._work, name="segsort-adapt", daemon=True)

    def end(self, state: State) -> bool:
        """End the child; False if it is too late, because the new release is being served."""
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
            result = self._finish(self, self._adapt())
            state = "succeeded"
        except _Ended as ended:
            state = ended.state
        except (ValueError, Problem, OSError, SQLAlchemyError) as error:
            problem = str(error)[:1000] or type(error).__name__
        except Exception as error:
            _log.exception("job %s failed", self.job.job_id)
            problem = f"{type(error).__name__}: {error}"[:1000]
        finally:
            self._record(state, result, problem)
            self.folder.remove()

    def _adapt(self) -> dict[str, Any]:
        """Run the child: the JSON that it printed."""
        settings = self._settings
        budget = self.request.budget_s if self.request.budget_s is not None else settings.adapt_budget_s
        flags = ["--name", self._name, "--fit", self.request.fit, "--budget", str(budget)]
        flags += ["--threads", str(settings.adapt_cores)]
        with self._lock:
            self._check_not_ended()
            self._child = child = Child(settings, self.served.release.path, self.folder.path, flags)
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
        self._report(Step(_LAST, 0, 1, sum(_SHARES.values())))
        return found

    def _follow(self, child: Child) -> None:
        """Report the progress of the child until it ends or is to be cancelled."""
        step, progress, reported = None, 0.0, time.monotonic()
        for count in child.steps(_BEAT):
            if count is not None:
                progress = max(progress, _progress(count))
                step = Step(*count, progress)
            if time.monotonic() - reported >= _BEAT or (count is not None and count.done in (0, count.total)):
                if self._report(step):
                    self.end("cancelled")
                step, reported = None, time.monotonic()

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


def _progress(count: StageCount) -> float:
    """The progress of the whole job, 0..1. An unknown stage adds nothing."""
    stages = list(_SHARES)
    if count.stage not in stages:
        return 0.0
    before = sum(_SHARES[stage] for stage in stages[: stages.index(count.stage)])
    return before + _SHARES[count.stage] * min(1.0, count.done / max(1, count.total))
