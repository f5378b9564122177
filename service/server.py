"""The HTTP server: uvicorn with a graceful shutdown."""

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
_JOIN_S = 1.0  # seconds to wait for the remaining threads at exit


class Server(uvicorn.Server):
    """Serves an app until SIGTERM or SIGINT, then finishes the running requests and exits with 0.

    After the signal `/readyz` answers 503 and new requests are refused. The process exits when no request is left, at
    the latest after `drain_s` of the settings. A second signal stops it immediately. A request that hangs on a device
    or a disk does not prevent the exit.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                settings.host,
                settings.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
                proxy_headers=False,  # `service.http.proxied` reads them
            )
        )
        self._readiness: Readiness = app.state.readiness
        self._drain_s = settings.drain_s
        self._deadline: float | None = None  # of the shutdown; None: no signal has arrived

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown at the first signal; stop immediately at the second."""
        if self._deadline is None:
            self._readiness.draining = True
            self._deadline = time.monotonic() + self._drain_s
        else:
            self.should_exit = self.force_exit = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the shutdown is complete. Exit even if threads still run: Python itself would wait for them."""
        super().run(sockets)
        end = time.monotonic() + _JOIN_S
        for thread in _request_threads():
            thread.join(max(0.0, end - time.monotonic()))
        hanging = len(_request_threads())
        if hanging:
            _log.warning("%d requests are still running: the process exits without their answers", hanging)
            logging.shutdown()
            os._exit(0 if self.started else 3)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop serving. uvicorn calls this every tenth of a second."""
        if self._deadline is not None and (self._readiness.in_flight == 0 or time.monotonic() > self._deadline):
            return True
        return await super().on_tick(counter)


def _request_threads() -> list[threading.Thread]:
    """Running threads that may hold a request. Those of `segsort.loops.threads` are left out: they end with Python."""
    others = (thread for thread in threading.enumerate() if not thread.daemon)
    return [one for one in others if one is not threading.main_thread() and not one.name.startswith("segsort")]
