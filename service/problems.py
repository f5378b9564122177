"""Errors as RFC 9457 problem JSON: what was received, what is allowed, and the fix."""

import errno
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from math import isfinite
from typing import Any, TypeVar, cast

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.logs import request_id, touched

E = TypeVar("E", bound=Exception)
_log = logging.getLogger("segsort.problems")
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_MAX_ERRORS = 20  # listed for one request
_READING = ("GET", "HEAD")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
AGAIN = {"Retry-After": "1"}  # of an answer 503 to a request that was not carried out
CLIENT_CLOSED_REQUEST = 499  # nginx uses this status where the caller closed the connection
PROBLEM_TYPE = "application/problem+json"
REPAIR = (
    "run `segsort verify` for everything that is wrong, then restore a backup or run `segsort recover` "
    "(docs/database.md, Recover)"
)

REFUSALS: dict[int | str, dict[str, Any]] = {  # answers of every route in the OpenAPI document
    "4XX": {
        "description": "The request is refused. The problem gives what was received, what is allowed and the fix.",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


class Problem(Exception):
    """A refused request. The app answers with it as problem JSON and does not log it as an error.

    Args:
        status: HTTP status, 4xx, 503, 504 or 507.
        detail: what is wrong, in one sentence.
        received: what the request contained; it is shortened by `brief`.
        allowed: what it may contain.
        fix: what the caller can do.
        headers: HTTP headers of the answer.
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
    """The caller closed the connection before it received the answer."""


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The HTTP response of a problem.

    Args:
        problem: the problem.
        headers: headers in addition to those of the problem.
    """
    return Response(problem_body(problem), problem.status, problem.headers | (headers or {}), PROBLEM_TYPE)


def problem_json(problem: Problem) -> dict[str, Any]:
    """The JSON of a problem, without the id of a request."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    named = {"received": problem.received, "allowed": problem.allowed, "fix": problem.fix}
    return body | {name: value for name, value in named.items() if value is not None}


def problem_body(problem: Problem) -> bytes:
    """The JSON of a problem, with the id of the present request."""
    body, known = problem_json(problem), request_id.get()
    if known is not None:
        body["request_id"] = known
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate: JSON can escape it, UTF-8 cannot encode it
        return json.dumps(body, default=str).encode()


class DamageError(ValueError):
    """Stored data is not as it was written. The app answers with it as problem JSON.

    Args:
        table: name of the table; None: the database as a whole.
        row: which row of it, in words; None: the table as a whole.
        what: what is wrong, in one sentence.
        fix: what the operator can do; empty: `REPAIR`.
        status: HTTP status: 503, or 410 where only the one row that was asked for is of no use.
    """

    def __init__(
        self, table: str | None, row: str | None, what: str, fix: str | None = None, status: int = 503
    ) -> None:
        self.table, self.row, self.what, self.status = table, row, what, status
        self.fix = REPAIR if fix is None else fix
        super().__init__(f"{self.place}: {what}; {self.fix}")

    @property
    def place(self) -> str:
        """The table and the row, in words."""
        return ", ".join(filter(None, (f"table {self.table}" if self.table else "the database", self.row)))


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of the app as a problem, including the framework's own errors."""
    add_handler(app, Problem, _on_problem)
    add_handler(app, CallerLeft, _on_caller_left)
    add_handler(app, SQLAlchemyError, _on_database_error)
    add_handler(app, DamageError, _on_damage)
    add_handler(app, OSError, _on_os_error)
    add_handler(app, RequestValidationError, _on_validation_error)
    add_handler(app, HTTPException, _on_http_error)


def add_handler(app: FastAPI, kind: type[E], handle: Callable[[Request, E], Awaitable[Response]]) -> None:
    """Answer errors of one kind, and of its subclasses that have no handler of their own.

    Starlette declares that a handler takes any exception. It calls a handler with errors of its kind only.

    Args:
        app: the application.
        kind: class of the errors.
        handle: makes the answer, or raises the error again.
    """
    app.add_exception_handler(kind, cast("Callable[[Request, Exception], Awaitable[Response]]", handle))


async def _on_problem(request: Request, error: Problem) -> Response:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.__cause__ is not None:
        _log.error("%s %s", error.detail, error.__cause__)
    return problem_response(error)


async def _on_caller_left(request: Request, error: CallerLeft) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:
    errors = error.errors()[:_MAX_ERRORS]
    return problem_response(
        Problem(
            422,
            "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in errors) or "The request is not valid.",
            received={_place(e["loc"]): e.get("input") for e in errors},
            allowed={_place(e["loc"]): e["msg"].removeprefix("Input should be ") for e in errors},
            fix="Correct these values. /docs lists the allowed values.",
        )
    )


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, Problem):  # a problem that was raised while FastAPI read the body
        return problem_response(error.__cause__)
    status, allowed = error.status_code, _methods_of(request) if error.status_code == 405 else None
    path = brief(request.scope["path"])
    detail = {
        404: f"No route has the path {path}.",
        405: f"The method {request.method} is not allowed at {path}.",
    }.get(status, str(error.detail))
    headers = {"Allow": allowed} if allowed else None
    received, fix = {404: path, 405: request.method}.get(status), "/docs lists all routes."
    if status == HTTPStatus.BAD_REQUEST:  # FastAPI cannot read a body
        received, allowed = str(error.__cause__ or detail), "JSON in UTF-8 that is not nested very deeply"
        fix = "Correct the body. /docs has an example of each."
    return problem_response(Problem(status, detail, received=received, allowed=allowed, fix=fix), headers)


def _methods_of(request: Request) -> str:
    """The methods that are allowed at the path of a request. HEAD is answered wherever GET is."""
    scopes = {method: dict(request.scope) | {"method": method} for method in _METHODS}
    found = [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]
    return ", ".join(found + ["HEAD"] * ("GET" in found))


async def _on_os_error(request: Request, error: OSError) -> Response:
    if error.errno not in _DISK_FULL:
        raise error
    _log.error("the disk is full or cannot be written: %s", error)
    return problem_response(
        Problem(
            503,
            "The disk is full or cannot be written.",
            received=str(error)[:200],
            fix="Try again later. The operator should check the disk.",
        )
    )


async def _on_damage(request: Request, error: DamageError) -> Response:
    _log.error("stored data is damaged: %s", error)
    detail = f"What the database holds is damaged: {error.what}."
    fix = f"The operator should look at the log and {error.fix}."
    return problem_response(Problem(error.status, detail, received=error.place, fix=fix))


async def _on_database_error(request: Request, error: SQLAlchemyError) -> Response:
    return problem_response(database_problem(error, request.method in _READING))


def database_problem(error: SQLAlchemyError, reading: bool = False) -> Problem:
    """503: the database does not answer. The error is logged.

    Args:
        error: of the database.
        reading: whether the request changes nothing. It may be sent again then, and also where nothing was changed yet.
    """
    _log.error("the database does not answer: %s", error)
    again = reading or (_changed_nothing(error) and (noted := touched.get()) is not None and noted.edit is None)
    return Problem(
        503,
        "The database does not answer.",
        received=str(getattr(error, "orig", error))[:200],
        fix="Try again later. The operator should check the database.",
        headers=AGAIN if again else None,
    )


def _changed_nothing(error: SQLAlchemyError) -> bool:
    """Whether there was no connection to the database, or it refused a transaction: not that its answer was lost."""
    refused = isinstance(error, DBAPIError) and error.statement is None and not error.connection_invalidated
    return refused or isinstance(error, PoolTimeout)


def brief(value: Any, longest: int = 500, most: int = 20) -> Any:
    """Shorten a received value, so that a large request does not cause a large answer.

    Args:
        value: a JSON value or bytes; other objects are converted to text.
        longest: largest number of characters of a text; nested texts keep half as many.
        most: largest number of entries of a list or an object; nested ones keep a quarter as many.

    Returns:
        A JSON value. Numbers that JSON cannot hold, such as NaN, become text.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, bytes):
        return _brief_bytes(value, longest)
    if not isinstance(value, (Mapping, list, tuple)):
        text = str(value)
        return text if len(text) <= longest else f"{text[:longest]}..."
    if not most:
        return "..."
    inner = (longest // 2, most // 4)
    if isinstance(value, Mapping):
        return {str(brief(name, 60)): brief(one, *inner) for name, one in islice(value.items(), most)}
    return [brief(one, *inner) for one in value[:most]]


def _brief_bytes(value: bytes, longest: int) -> str:
    """Printable UTF-8 bytes as text; for other bytes, their number."""
    try:
        text = value[:longest].decode()
    except UnicodeDecodeError:
        text = ""
    if not text or not all(character.isprintable() or character.isspace() for character in text):
        return f"{len(value)} bytes that are not text" if value else "no bytes"
    return text if len(value) <= longest else f"{text}..."


def printable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by question marks."""
    return text.encode(errors="replace").decode()


def _place(location: Iterable[str | int]) -> str:
    """The place of a value in a request, for example query.limit."""
    return ".".join(str(brief(part, 60)) for part in location)
