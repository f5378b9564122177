"""The server: uvicorn, which at a signal lets what has begun end before it ends itself."""

import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.readiness import Readiness
from service.settings import Settings


class Server(uvicorn.Server):
    """Serves an app until SIGTERM or SIGINT, and then until no request is left or the time is up; then exits with 0.

    From the signal on `/readyz` answers 503 and new requests are refused. A second signal ends it at once.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app, settings.host, settings.port, log_config=None, access_log=False, timeout_graceful_shutdown=1
            )
        )
        self._readiness: Readiness = app.state.readiness
        self._patience = settings.drain_s
        self._end: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """At the first signal begin to end, at the second end."""
        if self._end is None:
            self._readiness.draining = True
            self._end = time.monotonic() + self._patience
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, asked every tenth of a second."""
        if self._end is not None and (self._readiness.in_flight == 0 or time.monotonic() > self._end):
            return True
        return await super().on_tick(counter)
