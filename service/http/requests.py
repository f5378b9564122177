"""Middleware around every request: its id, its metrics, its log line, and an answer to every failure."""

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answering.stages import StageFailure, Stages
from service.http.metrics import Metrics
from service.http.proxied import path_below_root
from service.http.readiness import Readiness
from service.http.tracing import Tracing
from service.logs import request_id
from service.problems import Problem, problem_response

REQUEST_ID_HEADER = "X-Request-ID"
_log = logging.getLogger("segsort.requests")
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROBES = ("/livez", "/readyz", "/metrics")  # answered during shutdown too
_ERRORS = 400  # the first status of an error


class Requests:
    """ASGI middleware that gives each request an id, counts it and logs it.

    An exception that is not a Problem is logged and answered with 500. During shutdown, every request except a probe
    is answered with 503.

    Args:
        app: the ASGI application.
        metrics: counts each request.
        readiness: whether the service is shutting down; its number of requests in flight is updated here.
        tracing: sends traces; None: traces are off.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, readiness: Readiness, tracing: Tracing | None = None) -> None:
        self._app, self._metrics, self._readiness, self._tracing = app, metrics, readiness, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Request(scope, send, self._readiness)
        token = request_id.set(one.id)
        self._readiness.in_flight += 1
        try:
            if self._readiness.draining and path_below_root(scope) not in _PROBES:
                await problem_response(_shutting_down())(scope, receive, one.send)
            else:
                await self._answer(one, scope, receive)
        finally:
            self._readiness.in_flight -= 1
            self._report(one)
            request_id.reset(token)

    async def _answer(self, one: "_Request", scope: Scope, receive: Receive) -> None:
        try:
            await self._app(scope, receive, one.send)
        except Exception as error:
            stage = f" in the stage {error.stage}" if isinstance(error, StageFailure) else ""
            _log.exception("%s %s failed%s", scope["method"], one.path, stage)
            if one.status:  # the head of an answer is already sent
                raise
            await problem_response(_failed(one.id))(scope, receive, one.send)

    def _report(self, one: "_Request") -> None:
        """Count, trace and log a request that has been answered."""
        seconds = one.seconds
        route = getattr(one.scope.get("route"), "path", "none")
        self._metrics.requests.labels(one.scope["method"], route, one.status).inc()
        if one.stages is not None:
            self._metrics.answered({**one.stages.ms, "total": seconds * 1000})
        if self._tracing is not None:
            self._tracing.record(one.scope, route, one.status, one.id, one.started_ns, one.stages)
        fields = {"method": one.scope["method"], "path": one.path, "status": one.status, "ms": round(seconds * 1000, 1)}
        level = logging.DEBUG if path_below_root(one.scope) in _PROBES and one.status < _ERRORS else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "%(method)s %(path)s %(status)d %(ms).1f ms", fields, extra=fields)


class _Request:
    """One request: its id, start, status and stages."""

    def __init__(self, scope: Scope, send: Send, readiness: Readiness) -> None:
        self.scope, self._send, self._readiness = scope, send, readiness
        presented = Headers(scope=scope).get("x-request-id", "")
        self.id = presented if _SAFE.fullmatch(presented) else uuid.uuid4().hex
        self.started, self.started_ns = time.perf_counter(), time.time_ns()
        self.status = 0

    @property
    def path(self) -> str:
        """The path without control characters, at most 300 characters, for the log."""
        path: str = self.scope["path"]
        return path[:300] if path.isprintable() else ascii(path[:300])

    @property
    def seconds(self) -> float:
        """Seconds since the request began."""
        return time.perf_counter() - self.started

    @property
    def stages(self) -> Stages | None:
        """The stages that the route stored in the state of the request; None: the route has no stages."""
        state: dict[str, Any] = self.scope.get("state", {})
        return state.get("stages")

    async def send(self, message: Message) -> None:
        """Send a message; add the headers of every answer to the head: request id, timing and Connection."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID_HEADER] = self.id
            stages = self.stages
            timed = {**(stages.ms if stages is not None else {}), "total": self.seconds * 1000}
            headers["Server-Timing"] = ", ".join(f"{name};dur={ms:.2f}" for name, ms in timed.items())
            if self._readiness.draining:
                headers["Connection"] = "close"
        await self._send(message)


def _failed(logged_id: str) -> Problem:
    return Problem(
        500, "The service failed. The request is not the cause.", received=None,
        fix=f"Send the request again. If it fails again, give the operator the request id {logged_id} of the log.",
    )  # fmt: skip


def _shutting_down() -> Problem:
    return Problem(
        503, "The service is shutting down.", allowed="requests that began before the shutdown",
        fix="Send the request to another process, or again after the restart.", headers={"Retry-After": "1"},
    )  # fmt: skip
