"""The frame around every request: its id, its line in the log, and an answer whatever happens inside."""

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answering.stages import StageFailure, Stages
from service.http.metrics import Metrics
from service.http.readiness import Readiness
from service.http.tracing import Tracing
from service.logs import request_id
from service.problems import Problem, problem_response

REQUEST_ID_HEADER = "X-Request-ID"
_log = logging.getLogger("segsort.requests")
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ALWAYS = ("/livez", "/readyz", "/metrics")  # answered while the service ends, too


class Requests:
    """Answers each request under an id, counts and logs it; what fails without a Problem becomes a 500 that is logged.

    Args:
        app: what answers.
        metrics: what is told of each request.
        readiness: knows how many are answered, and whether the service ends.
        tracing: where traces go, if they go anywhere.
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
            if self._readiness.draining and scope["path"] not in _ALWAYS:
                await problem_response(_ending())(scope, receive, one.send)
            else:
                await self._answer(one, scope, receive)
        finally:
            self._readiness.in_flight -= 1
            self._tell(one)
            request_id.reset(token)

    async def _answer(self, one: "_Request", scope: Scope, receive: Receive) -> None:
        try:
            await self._app(scope, receive, one.send)
        except Exception as error:
            stage = f" in the stage {error.stage}" if isinstance(error, StageFailure) else ""
            _log.exception("%s %s failed%s", scope["method"], one.path, stage)
            if one.status:  # an answer has begun, and cannot be taken back
                raise
            await problem_response(_failed(one.id))(scope, receive, one.send)

    def _tell(self, one: "_Request") -> None:
        seconds = one.seconds
        route = getattr(one.scope.get("route"), "path", "none")
        self._metrics.requests.labels(one.scope["method"], route, one.status).inc()
        if one.stages is not None:
            self._metrics.answered({**one.stages.ms, "total": seconds * 1000})
        if self._tracing is not None:
            self._tracing.record(one.scope, route, one.status, one.id, one.started_ns, one.stages)
        told = {"method": one.scope["method"], "path": one.path, "status": one.status, "ms": round(seconds * 1000, 1)}
        level = logging.DEBUG if one.scope["path"] in _ALWAYS and one.status < 400 else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(level, "%(method)s %(path)s %(status)d %(ms).1f ms", told, extra=told)


class _Request:
    """One request on its way."""

    def __init__(self, scope: Scope, send: Send, readiness: Readiness) -> None:
        self.scope, self._send, self._readiness = scope, send, readiness
        presented = Headers(scope=scope).get("x-request-id", "")
        self.id = presented if _SAFE.fullmatch(presented) else uuid.uuid4().hex
        self.started, self.started_ns = time.perf_counter(), time.time_ns()
        self.status = 0

    @property
    def path(self) -> str:
        """As it may stand in a line of a log."""
        path: str = self.scope["path"]
        return path[:300] if path.isprintable() else ascii(path[:300])

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def stages(self) -> Stages | None:
        """Those of an answer that has them; its route leaves them in the request's state."""
        state: dict[str, Any] = self.scope.get("state", {})
        return state.get("stages")

    async def send(self, message: Message) -> None:
        """Send on, with what belongs to every answer in its head."""
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


def _failed(told: str) -> Problem:
    return Problem(
        500, "The service failed, through no fault of the request.", received=None,
        fix=f"Send it again; if it fails again, tell the operator the id {told}, under which the fault is logged.",
    )  # fmt: skip


def _ending() -> Problem:
    return Problem(
        503, "The service is about to end.", allowed="what was sent before",
        fix="Send it again, to another process or when this one is back.", headers={"Retry-After": "1"},
    )  # fmt: skip
