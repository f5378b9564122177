"""Errors as RFC 9457 problem JSON, naming what was received, what is allowed, and the mend."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

CLIENT_CLOSED_REQUEST = 499  # as nginx counts it; nobody reads it


class Problem(Exception):
    """A fault of a request, to be answered and not to be logged as an error.

    Args:
        status: HTTP status, 4xx, 503 or 504.
        detail: what is wrong, in a sentence.
        received: what came.
        allowed: what may come.
        mend: what the caller can do.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        received: Any = None,
        allowed: Any = None,
        mend: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        self.received, self.allowed, self.mend = received, allowed, mend

    def __str__(self) -> str:
        parts = [self.detail]
        if self.received is not None:
            parts.append(f"received: {self.received}")
        if self.allowed is not None:
            parts.append(f"allowed: {self.allowed}")
        if self.mend is not None:
            parts.append(self.mend)
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
    named = {"received": problem.received, "allowed": problem.allowed, "mend": problem.mend}
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
        return problem_response(error) if isinstance(error, Problem) else problem_response(Problem(500, str(error)))

    async def invalid(request: Request, error: Exception) -> Response:
        errors = error.errors() if isinstance(error, RequestValidationError) else []
        said = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in errors)
        received = {".".join(str(part) for part in e["loc"]): _short(e.get("input")) for e in errors}
        return problem_response(
            Problem(
                422,
                said or "The request is not valid.",
                received=received,
                mend="Correct the values named; /docs says what is allowed.",
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
            404: f"There is nothing at {request.url.path}.",
            405: f"{request.method} is not possible at {request.url.path}.",
        }.get(status, str(getattr(error, "detail", error)))
        headers = {"Allow": allowed} if allowed else None
        return problem_response(Problem(status, detail, allowed=allowed, mend="/docs lists what there is."), headers)

    async def database(request: Request, error: Exception) -> Response:
        return problem_response(
            Problem(
                503,
                "The database does not answer.",
                received=str(getattr(error, "orig", error))[:200],
                mend="Try again; the operator should look at the database.",
            )
        )

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(CallerLeft, left)
    app.add_exception_handler(SQLAlchemyError, database)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _short(value: Any) -> Any:
    """A received value, cut to what can be read."""
    text = value if isinstance(value, (int, float, bool)) or value is None else str(value)
    return text[:200] if isinstance(text, str) else text
