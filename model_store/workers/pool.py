"""A pool of workers: some are started ahead, and those that were killed are replaced."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from model_store.workers.limits import WorkLimits
from model_store.workers.stopping import present_stop
from model_store.workers.worker import Answer, Ended, Worker

_IDLE_S = 30.0  # seconds after which workers beyond the spare ones end
_LARGEST = 300_000_000  # bytes of memory with which a worker is kept
_log = logging.getLogger("segsort.workers")


class WorkerPool:
    """Does work on untrusted files in other processes. Calls from several threads are safe.

    Args:
        limits: of a piece of work on the largest image.
        at_most: workers at the same time; further work waits.
        spare: idle workers that are kept ready.

    Attributes:
        limits: as given.
        ended: number of pieces of work that were ended, by cause.
    """

    def __init__(self, limits: WorkLimits, at_most: int = 8, spare: int = 1) -> None:
        self.limits, self.ended = limits, Counter[str]()
        self._at_most, self._spare = max(at_most, 1), min(spare, at_most)
        self._changed = threading.Condition()
        self._idle: list[tuple[float, Worker]] = []
        self._busy: set[Worker] = set()
        self._starting, self._is_closed = 0, False
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Start the spare workers, and keep as many from now on."""
        self._keeper = threading.Thread(target=self._keep, name="segsort-workers", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """End all workers. Work that is under way ends with them."""
        with self._changed:
            self._is_closed = True
            busy, idle = list(self._busy), [worker for _, worker in self._idle]
            self._idle.clear()
            self._changed.notify_all()
        for worker in busy:
            worker.kill()  # whoever asked it closes it
        for worker in idle:
            worker.close()
        if self._keeper is not None:
            self._keeper.join(1)

    @property
    def workers(self) -> int:
        """Number of workers, idle ones included."""
        with self._changed:
            return len(self._idle) + len(self._busy) + self._starting

    @property
    def busy(self) -> int:
        """Number of workers that work."""
        return len(self._busy)

    def run(self, job: str, content: bytes, **arguments: Any) -> Answer:
        """Work on the content of a file in another process, see `Worker.ask`.

        The work ends with the present `Stop`. It is done again, once, if something else killed its worker.

        Raises:
            ImageFault: if the file cannot be used.
            Ended: if the work was ended.
            OSError: if no worker can be started.
        """
        return self.run_with(self.limits, job, content, arguments)

    def run_with(self, limits: WorkLimits, job: str, content: bytes, arguments: Mapping[str, Any]) -> Answer:
        """Work within other limits than the pool's, see `run`."""
        try:
            return self._run_once(limits, job, content, arguments)
        except Ended as ended:
            if ended.cause != "killed":
                raise
            _log.warning(
                "a worker was killed from outside (%s), perhaps for lack of memory: trying again", ended.detail
            )
            return self._run_once(limits, job, content, arguments)

    def _run_once(self, limits: WorkLimits, job: str, content: bytes, arguments: Mapping[str, Any]) -> Answer:
        stop = present_stop()
        worker = self._take(stop.until)
        try:
            with stop.ending(worker.kill):
                return worker.ask(job, content, arguments, limits, stop.until)
        except Ended as ended:
            self._discard(worker)
            cause = "stopped" if stop.is_set else ended.cause
            self.ended[cause] += 1
            if cause == ended.cause:
                raise
            raise Ended(cause, ended.detail) from ended
        except BaseException as error:
            if worker.memory == 0 or not isinstance(error, Exception):
                self._discard(worker)
            raise
        finally:
            self._give_back(worker)

    def _take(self, until: float | None) -> Worker:
        """An idle worker, or a new one."""
        with self._changed:
            while not self._idle and self.workers >= self._at_most and not self._is_closed:
                patience = None if until is None else until - time.monotonic()
                if patience is not None and patience <= 0:
                    self.ended["deadline"] += 1
                    raise Ended("deadline", "no worker was free")
                self._changed.wait(patience)
            if self._is_closed:
                raise Ended("stopped", "the pool is closed")
            if self._idle:
                worker = self._idle.pop()[1]
                self._busy.add(worker)
                self._changed.notify_all()
                return worker
            self._starting += 1
        worker = self._started()
        with self._changed:
            self._starting -= 1
            self._busy.add(worker)
        return worker

    def _started(self) -> Worker:
        """A new worker; `_starting` was increased for it, and is decreased if it cannot be started."""
        try:
            worker = Worker()
            try:
                worker.wait_until_ready()
            except BaseException:
                worker.close()
                raise
            return worker
        except BaseException:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
            raise

    def _discard(self, worker: Worker) -> None:
        with self._changed:
            self._busy.discard(worker)
            self._changed.notify_all()
        worker.close()

    def _give_back(self, worker: Worker) -> None:
        with self._changed:
            if worker not in self._busy:
                return
            fits = worker.memory <= _LARGEST and not worker.is_slow and not self._is_closed
            if fits:
                self._busy.remove(worker)
                self._idle.append((time.monotonic(), worker))
                self._changed.notify_all()
        if not fits:
            self._discard(worker)

    def _keep(self) -> None:
        """Start spare workers where some are missing, and end those that were idle for long."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._lacks_spare, _IDLE_S)
                if self._is_closed:
                    return
                lacks, old = self._lacks_spare, self._old()
                self._starting += lacks
            for worker in old:
                worker.close()
            if lacks:
                self._start_spare()

    @property
    def _lacks_spare(self) -> bool:
        return len(self._idle) + self._starting < self._spare and self.workers < self._at_most

    def _old(self) -> list[Worker]:
        """Idle workers beyond the spare ones that have not worked for long; they are no longer in the pool."""
        found = []
        while len(self._idle) > self._spare and time.monotonic() - self._idle[0][0] > _IDLE_S:
            found.append(self._idle.pop(0)[1])
        return found

    def _start_spare(self) -> None:
        try:
            worker = self._started()
        except OSError as error:
            _log.warning("%s", error)
            time.sleep(1)
            return
        with self._changed:
            self._starting -= 1
            if not self._is_closed:
                self._idle.insert(0, (time.monotonic(), worker))
                self._changed.notify_all()
                return
        worker.close()
