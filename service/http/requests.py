"""Middleware around every request: its id, its metrics, its log line, and an answer to every failure."""

import asyncio
import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answering.stages import StageFailure, Stages
from service.http.addresses import client_address
from service.http.callers.access_log import AccessLog, Entry
from service.http.keys import without_keys
from service.http.metrics import Metrics
from service.http.probes import PROBE_PATHS
from service.http.proxied import path_below_root
from service.http.readiness import Readiness
from service.http.tracing import Tracing
from service.logs import Touched, request_id, touched
from service.problems import Problem, problem_response

REQUEST_ID_HEADER = "X-Request-ID"
_log = logging.getLogger("segsort.requests")
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LINE = "%(method)s %(path)s %(status)d %(ms).1f ms %(who)s %(where)s"
_ERRORS = 400  # the first status of an error


class Requests:
    """ASGI middleware that gives each request an id, counts it and logs it.

    An exception that is not a Problem is logged and answered with 500. During shutdown, every request except a probe
    is answered with 503, and so is one that the end of the shutdown cancels.

    Args:
        app: the ASGI application.
        metrics: counts each request.
        readiness: whether the service is shutting down; its number of requests in flight is updated here.
        tracing: sends traces; None: traces are off.
        access_log: records the requests of known callers; None: it is off.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        readiness: Readiness,
        tracing: Tracing | None = None,
        access_log: AccessLog | None = None,
    ) -> None:
        self._app, self._metrics, self._readiness = app, metrics, readiness
        self._tracing, self._access_log = tracing, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Request(scope, send, self._readiness)
        token = request_id.set(one.id)
        noted = touched.set(one.touched)
        self._readiness.in_flight += 1
        try:
            if self._readiness.draining and path_below_root(scope) not in PROBE_PATHS:
                await problem_response(_shutting_down())(scope, receive, one.send)
            else:
                await self._answer(one, scope, receive)
        finally:
            self._readiness.in_flight -= 1
            self._report(one)
            request_id.reset(token)
            touched.reset(noted)

    async def _answer(self, one: "_Request", scope: Scope, receive: Receive) -> None:
        try:
            await self._app(scope, receive, one.send)
        except asyncio.CancelledError:
            if not self._readiness.draining:
                raise
            _log.warning("%s %s was ended by the shutdown before its answer was complete", scope["method"], one.path)
            if not one.status:
                await problem_response(_shutting_down())(scope, receive, one.send)
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
        if self._access_log is not None and one.caller is not None:
            self._access_log.add(one.entry(one.caller, route))
        fields = {"method": one.scope["method"], "path": one.path, "status": one.status, "ms": round(seconds * 1000, 1)}
        fields |= {"caller": one.caller, "address": client_address(one.scope)}
        level = logging.DEBUG if path_below_root(one.scope) in PROBE_PATHS and one.status < _ERRORS else logging.INFO
        if _log.isEnabledFor(level):
            _log.log(
                level, _LINE, {**fields, "who": one.caller or "-", "where": fields["address"] or "-"}, extra=fields
            )


class _Request:
    """One request: its id, start, status and stages."""

    def __init__(self, scope: Scope, send: Send, readiness: Readiness) -> None:
        self.scope, self._send, self._readiness = scope, send, readiness
        presented = Headers(scope=scope).get("x-request-id", "")
        self.id = presented if _SAFE.fullmatch(presented) else uuid.uuid4().hex
        self.started, self.started_ns = time.perf_counter(), time.time_ns()
        self.status = 0
        self.touched = Touched()

    @property
    def path(self) -> str:
        """The path for the log: without control characters and keys, at most 300 characters."""
        path: str = without_keys(self.scope["path"])
        return path[:300] if path.isprintable() else ascii(path[:300])

    @property
    def caller(self) -> str | None:
        """Name of the key that sent the request; None: nobody that the service knows."""
        identity = self.scope.get("state", {}).get("identity")
        return None if identity is None or identity.caller is None else identity.caller.name

    def entry(self, caller: str, route: str) -> Entry:
        """The request as an entry of the access log."""
        scope, noted = self.scope, self.touched
        ids = [*scope.get("path_params", {}).values(), *noted.ids]
        return Entry(
            self.started_ns, self.id, caller, client_address(scope), scope["method"], route, map(str, ids),
            scope.get("query_string", b"").decode("latin-1"), noted.edit, self.status,
        )  # fmt: skip

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
            if self._readiness.draining or self._readiness.leaving:
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
