"""Readiness: whether a load balancer should send requests to this service, and if not, why."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from service.answering.admission import Admission
from service.answering.engine import Engine

PATIENCE = 0.25  # seconds that a request waits for the checks


class Readiness:
    """Checks the parts that can fail. Each check is made anew, so a fault that has ended is not reported.

    Attributes:
        leaving: whether the service will shut down in a moment; requests are still accepted.
        draining: whether the service is shutting down and refuses requests.
        in_flight: number of requests without a complete answer.
    """

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine, self._admission = engine, admission
        self._checks = _Checks(self.reasons)
        self.leaving = self.draining = False
        self.in_flight = 0

    async def check(self) -> list[str]:
        """Why the service is not ready, in a quarter of a second at most; empty if it is ready.

        The checks run in a thread of their own. Checks that take longer are a reason themselves.
        """
        return await self._checks.result()

    def reasons(self) -> list[str]:
        """Why the service is not ready; empty if it is ready.

        After a failed answer this runs a probe image, which takes seconds where the engine is slow. After a failed
        write it writes, which may wait for a lock of the database.
        """
        reasons = ["the service is shutting down"] if self.draining or self.leaving else []
        self._checks.doing = "the database"
        reasons += self._database()
        if self._engine.follower.trouble is not None:
            reasons.append(f"the log of edits cannot be read: {self._engine.follower.trouble}")
        return reasons + self.stuck()

    def stuck(self) -> list[str]:
        """Why the engine of this process does not answer images; empty if it does. Another process would help.

        After a failed answer this runs a probe image, which takes seconds where the engine is slow.
        """
        longest = self._admission.longest()
        if longest > self._admission.deadline:
            return [f"an image has been in the engine for {longest:.0f} s"]
        if self._engine.health.failure is None:
            return []
        self._checks.doing = f"a probe image, because an answer failed ({self._engine.health.failure}),"
        return [f"an answer failed, and a probe fails too: {reason}" for reason in self._engine.health.probe()]

    def _database(self) -> list[str]:
        """Why the database cannot be used; empty if it can. After a failed write this tries to write again."""
        records = self._engine.records
        try:
            records.ping()
            if records.trouble is not None:
                self._checks.doing = f"the database, which refused a write ({records.trouble}),"
                records.try_to_write()
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error))[:200]
            return [f"the database does not answer or cannot be written: {reason}"]
        return []


class _Checks:
    """Runs checks in a thread, one run at a time. Requests that come during a run share it.

    Attributes:
        doing: what the run waits for, in words.
    """

    def __init__(self, reasons: Callable[[], list[str]]) -> None:
        self._reasons = reasons
        self.doing = ""
        self._begun = 0.0
        self._running: asyncio.Future[list[str]] | None = None

    async def result(self) -> list[str]:
        """The reasons of a run, or that it takes too long."""
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_future()
            self._begun = time.monotonic()
            threading.Thread(target=self._run, args=(self._running,), name="segsort-health", daemon=True).start()
        running = self._running
        await asyncio.wait({running}, timeout=PATIENCE)
        if running.done():
            return running.result()
        return [f"{self.doing} has not answered for {time.monotonic() - self._begun:.1f} s"]

    def _run(self, result: "asyncio.Future[list[str]]") -> None:
        try:
            found = self._reasons()
        except Exception as error:  # without a result, the service could never be ready again
            found = [f"the checks fail: {str(error)[:200] or type(error).__name__}"]
        with suppress(RuntimeError):  # the loop has ended
            result.get_loop().call_soon_threadsafe(result.set_result, found)
