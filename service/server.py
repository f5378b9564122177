"""The server: uvicorn, which at a signal lets what has begun end before it ends itself."""

import logging
import os
import socket
import threading
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.http.readiness import Readiness
from service.settings import Settings

_log = logging.getLogger("segsort.server")
_LAST = 1.0  # seconds for what is left when the time is up


class Server(uvicorn.Server):
    """Serves an app until SIGTERM or SIGINT, and then until no request is left or the time is up; then exits with 0.

    From the signal on `/readyz` answers 503 and new requests are refused. A second signal ends it at once. A request
    that does not end, because a device or a disk hangs, does not keep the process.
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

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Until all is over, but for threads that hang: for those Python would wait before it ends."""
        super().run(sockets)
        end = time.monotonic() + _LAST
        for thread in _working():
            thread.join(max(0.0, end - time.monotonic()))
        hanging = len(_working())
        if hanging:
            _log.warning("%d requests do not end: the process ends without them", hanging)
            logging.shutdown()
            os._exit(0 if self.started else 3)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, asked every tenth of a second."""
        if self._end is not None and (self._readiness.in_flight == 0 or time.monotonic() > self._end):
            return True
        return await super().on_tick(counter)


def _working() -> list[threading.Thread]:
    """Threads that have not ended; those of `segsort.loops.threads` wait for work, and end when Python does."""
    others = (thread for thread in threading.enumerate() if not thread.daemon)
    return [one for one in others if one is not threading.main_thread() and not one.name.startswith("segsort")]
