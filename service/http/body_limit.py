"""Limits on request bodies: their size, the time that they may take to arrive, and that they are not compressed."""

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem, problem_response

_MAX_DIGITS = 20  # a Content-Length with more digits is past every limit; `int` refuses numbers of many digits


class BodyLimit:
    """ASGI middleware that limits the body of every HTTP request.

    - A body whose Content-Length is above the limit is answered with 413 before it is read.
    - A body with a Content-Encoding is answered with 415 before it is read.
    - A body that grows past the limit is cut off: the route receives a disconnect.
    - A body that does not arrive in time raises a Problem with status 408 in the route that reads it.

    Args:
        app: the ASGI application.
        max_bytes: largest size of a body in bytes.
        timeout: seconds from the start of the request until the end of its body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self._app, self._max_bytes, self._timeout = app, max_bytes, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose headers show that its body is not accepted; pass others on with a limited body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._refusal(dict(scope["headers"]))
        if problem is not None:
            await problem_response(problem)(scope, receive, send)
        else:
            await self._app(scope, _LimitedBody(receive, self._max_bytes, self._timeout), send)

    def _refusal(self, headers: Mapping[bytes, bytes]) -> Problem | None:
        declared = headers.get(b"content-length", b"0").lstrip(b"0")
        if declared.isdigit() and (len(declared) > _MAX_DIGITS or int(declared) > self._max_bytes):
            return too_large(self._max_bytes)
        coding = headers.get(b"content-encoding", b"").strip().lower()
        return _compressed(coding) if coding not in (b"", b"identity") else None


class _LimitedBody:
    """The `receive` of one request, with the limits of its body."""

    def __init__(self, receive: Receive, max_bytes: int, timeout: float) -> None:
        self._receive, self._max_bytes, self._timeout = receive, max_bytes, timeout
        self._end = asyncio.get_running_loop().time() + timeout
        self._size, self._complete = 0, False

    async def __call__(self) -> Message:
        """The next message of the request.

        The part that passes the limit still reaches the route. So a route that counts bytes itself can answer with 413.
        Later parts become a disconnect.

        Raises:
            Problem: 408 if the body is not complete in time.
        """
        message = await self._next_in_time()
        before = self._size
        self._size += len(message.get("body", b""))
        return message if before <= self._max_bytes else {"type": "http.disconnect"}

    async def _next_in_time(self) -> Message:
        if self._complete:  # after the body, the only message is the disconnect, which may come at any time
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow(self._timeout, self._size) from None
        self._complete = not message.get("more_body", False)
        return message


def too_large(max_bytes: int) -> Problem:
    """413: the body is larger than the limit, which is in bytes."""
    return Problem(
        413, "The request body is too large.", received=f"more than {max_bytes} bytes",
        allowed=f"at most {max_bytes} bytes",
        fix="Compress the image or scale it down, or ask the operator to raise SEGSORT_MAX_BYTES.",
    )  # fmt: skip


def _compressed(coding: bytes) -> Problem:
    return Problem(
        415, "The request body is compressed.", received=f"Content-Encoding: {coding[:40].decode('latin-1')}",
        allowed="a body without Content-Encoding",
        fix="Send the body as it is. Image files are compressed already.", headers={"Accept-Encoding": "identity"},
    )  # fmt: skip


def _too_slow(timeout: float, size: int) -> Problem:
    return Problem(
        408, "The request body did not arrive in time.", received=f"{size} bytes in {timeout:g} s",
        allowed=f"the whole body in {timeout:g} s",
        fix="Send a smaller image, use a faster connection, or ask the operator to raise SEGSORT_UPLOAD_TIMEOUT_S.",
        headers={"Connection": "close"},
    )  # fmt: skip
