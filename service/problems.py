"""Errors as RFC 9457 problem JSON, naming what was received, what is allowed, and the fix."""

import errno
import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from math import isfinite
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from service.logs import request_id

_log = logging.getLogger("segsort.problems")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_MOST = 20  # faults of one request that are told
CLIENT_CLOSED_REQUEST = 499  # as nginx counts it; nobody reads it


REFUSALS: dict[int | str, dict[str, Any]] = {  # of every route, for the OpenAPI document
    "4XX": {
        "description": "A problem (RFC 9457): what is wrong, what was received, what is allowed, and the fix.",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        **{name: {"type": "string"} for name in ("type", "title", "detail", "fix")},
                        "status": {"type": "integer"},
                        "received": {},
                        "allowed": {},
                    },
                }
            }
        },
    }
}


class Problem(Exception):
    """A fault of a request, to be answered and not to be logged as an error.

    Args:
        status: HTTP status, 4xx, 503 or 504.
        detail: what is wrong, in a sentence.
        received: what came; told in brief.
        allowed: what may come.
        fix: what the caller can do.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        received: Any = None,
        allowed: Any = None,
        fix: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        self.received, self.allowed, self.fix = brief(received), allowed, fix

    def __str__(self) -> str:
        parts = [self.detail]
        if self.received is not None:
            parts.append(f"received: {self.received}")
        if self.allowed is not None:
            parts.append(f"allowed: {self.allowed}")
        if self.fix is not None:
            parts.append(self.fix)
        return "; ".join(parts)


class CallerLeft(Exception):
    """Whoever asked is gone, and nobody would read the answer."""


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The answer that a problem becomes."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    named = {"received": problem.received, "allowed": problem.allowed, "fix": problem.fix}
    named["request_id"] = request_id.get()
    body |= {name: value for name, value in named.items() if value is not None}
    return Response(_encoded(body), problem.status, problem.headers | (headers or {}), "application/problem+json")


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # half a surrogate pair, which JSON may escape and UTF-8 cannot hold
        return json.dumps(body, default=str).encode()


def add_problem_handlers(app: FastAPI) -> None:
    """Let every error of the app, the framework's own included, be answered as a problem."""

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.__cause__ is not None:
            _log.error("%s %s", error.detail, error.__cause__)
        return problem_response(error)

    async def invalid(request: Request, error: Exception) -> Response:
        errors = error.errors()[:_MOST] if isinstance(error, RequestValidationError) else []
        said = "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in errors)
        received = {_place(e["loc"]): e.get("input") for e in errors}
        return problem_response(
            Problem(
                422,
                said or "The request is not valid.",
                received=received,
                fix="Correct the values named; /docs says what is allowed.",
            )
        )

    async def left(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    async def http(request: Request, error: Exception) -> Response:
        if isinstance(error.__cause__, Problem):  # met while the framework read a body
            return problem_response(error.__cause__)
        status = error.status_code if isinstance(error, HTTPException) else 500
        allowed = dict(error.headers or {}).get("Allow") if isinstance(error, HTTPException) else None
        detail = {
            404: f"There is nothing at {brief(request.scope['path'])}.",
            405: f"{request.method} is not possible at {brief(request.scope['path'])}.",
        }.get(status, str(getattr(error, "detail", error)))
        headers = {"Allow": allowed} if allowed else None
        return problem_response(Problem(status, detail, allowed=allowed, fix="/docs lists what there is."), headers)

    async def system(request: Request, error: Exception) -> Response:
        if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
            raise error
        _log.error("the disk takes nothing: %s", error)
        return problem_response(
            Problem(
                503,
                "The disk takes nothing.",
                received=str(error)[:200],
                fix="Try again; the operator should look at the disk.",
            )
        )

    async def database(request: Request, error: Exception) -> Response:
        _log.error("the database does not answer: %s", error)
        return problem_response(
            Problem(
                503,
                "The database does not answer.",
                received=str(getattr(error, "orig", error))[:200],
                fix="Try again; the operator should look at the database.",
            )
        )

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(CallerLeft, left)
    app.add_exception_handler(SQLAlchemyError, database)
    app.add_exception_handler(OSError, system)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def brief(value: Any, longest: int = 500, most: int = 20) -> Any:
    """A received value, cut to what can be read: who sends much gets little of it back.

    Args:
        value: as it came, JSON or bytes.
        longest: characters of a text that are told.
        most: entries of a list or an object, whose own are told in even fewer words.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if not isinstance(value, (Mapping, list, tuple)):
        text = repr(value[:longest]) if isinstance(value, bytes) else str(value)
        return text if len(text) <= longest else f"{text[:longest]}..."
    if not most:
        return "..."
    inner = (longest // 2, most // 4)
    if isinstance(value, Mapping):
        return {str(brief(name, 60)): brief(one, *inner) for name, one in islice(value.items(), most)}
    return [brief(one, *inner) for one in value[:most]]


def _place(location: Iterable[str | int]) -> str:
    """Where in a request a value stands."""
    return ".".join(str(brief(part, 60)) for part in location)
