"""The HTTP server: uvicorn with limited connections, a graceful shutdown, and metrics on a port of their own."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from service.http.callers.refusals import Refusals
from service.http.connection import Connection
from service.http.connections import Connections
from service.http.gate import Gate
from service.http.listener import Listener
from service.http.readiness import Readiness
from service.problems import add_problem_handlers
from service.routes import health
from service.settings import Settings

_log = logging.getLogger("segsort.server")
_JOIN_S = 1.0  # seconds to wait for the remaining threads at exit
_SWEEP_TICKS = 5  # the connections are checked twice a second
_START_FAILURE = 3  # exit status of uvicorn for an address that cannot be used


class Server(uvicorn.Server):
    """Serves an app until SIGTERM or SIGINT, then finishes the running requests and exits with 0.

    After SIGTERM `/readyz` answers 503. For `drain_delay_s` of the settings, requests are still accepted, so that a
    load balancer notices. Then new requests are refused. After SIGINT (Ctrl-C) there is no such delay. The process
    exits when no request is left, at the latest after another `drain_s`. A second signal stops it immediately. A
    request that hangs on a device or a disk does not prevent the exit.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self._connections: Connections = app.state.connections
        self._refusals: Refusals = app.state.refusals
        self._protocol = partial(Connection, self._connections, app.state.origins.root_path)
        super().__init__(self._config(app, settings.host, settings.port))
        self._readiness: Readiness = app.state.readiness
        self._app, self._settings = app, settings
        self._drain_at: float | None = None  # when requests are refused; None: no signal has arrived

    def _config(self, app: FastAPI, host: str, port: int) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            host,
            port,
            http=cast("type[asyncio.Protocol]", self._protocol),
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            proxy_headers=False,  # `service.http.proxied` reads them
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown at the first signal; stop immediately at the second."""
        if self._drain_at is None:
            self._readiness.leaving = True
            self._drain_at = time.monotonic() + (self._settings.drain_delay_s if sig == signal.SIGTERM else 0.0)
            self._readiness.draining = self._drain_at <= time.monotonic()
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
            os._exit(0 if self.started else _START_FAILURE)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app and listen, also on the port of the metrics if they have one. sockets: is not used."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(_START_FAILURE)
        try:
            self.servers = self._listen()
        except OSError as error:
            _log.error("%s cannot be listened on: %s", self._settings.host, error)
            await self.lifespan.shutdown()
            sys.exit(_START_FAILURE)
        self._log_started_message(self.servers[0].sockets)
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop serving. uvicorn calls this every tenth of a second."""
        if counter % _SWEEP_TICKS == 0:
            self._connections.sweep()
        if self._drain_at is not None:
            now = time.monotonic()
            self._readiness.draining = now >= self._drain_at
            finished = self._readiness.draining and self._readiness.in_flight == 0
            if self._readiness.draining:
                self._refusals.release()
            if finished or now > self._drain_at + self._settings.drain_s:
                return True
        return await super().on_tick(counter)

    def _listen(self) -> "list[asyncio.base_events.Server]":
        """Listen on the ports of the settings.

        Raises:
            OSError: if a port cannot be used.
        """
        configs = [self.config]
        if self._settings.metrics_port is not None:
            configs.append(self._config(_metrics_app(self._app), self._settings.host, self._settings.metrics_port))
        listeners: list[Listener] = []
        for config in configs:
            if not config.loaded:
                config.load()
            make = partial(self._protocol, config, self.server_state, self.lifespan.state)
            try:
                listeners.append(Listener(config.host, config.port, make, self._connections.pause))
            except OSError:
                for one in listeners:
                    one.close()
                raise
        return cast("list[asyncio.base_events.Server]", listeners)


def _metrics_app(app: FastAPI) -> FastAPI:
    """An application with the metrics of the app alone."""
    alone = FastAPI(openapi_url=None)
    alone.state.metrics, alone.state.budgets = app.state.metrics, app.state.budgets
    add_problem_handlers(alone)
    alone.add_middleware(Gate, rules=app.state.gate)
    alone.include_router(health.metrics_router)
    return alone


def _request_threads() -> list[threading.Thread]:
    """Running threads that may hold a request. Those of `segsort.loops.threads` are left out: they end with Python."""
    others = (thread for thread in threading.enumerate() if not thread.daemon)
    return [one for one in others if one is not threading.main_thread() and not one.name.startswith("segsort")]
