"""Middleware that compresses text answers by gzip for callers that accept it."""

import gzip
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LEAST = 1000  # bytes; smaller answers fit in one packet anyway
_MOST_AT_ONCE = 100_000  # bytes; larger answers are compressed in a thread, about a millisecond for this many
_LEVEL = 1  # of 9; 6 takes two to six times as long, for answers smaller by 8 % (run lengths) to 27 % (polygons)
_TEXT = re.compile(r"text/|application/(\w+\+)?(json|xml)|image/svg\+xml|application/geo\+json")
_REFUSING = re.compile(r"q=0(\.0{0,3})?")


class Compression:
    """ASGI middleware that compresses JSON, text, scripts and styles above a kilobyte, if Accept-Encoding has gzip.

    Images are not compressed again, and neither are answers that are sent in several parts. The ETag of a compressed
    answer is weak, because its bytes differ from those of the file.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif accepts_gzip(Headers(scope=scope).get("accept-encoding")):
            await self._app(scope, receive, _Compressed(send))
        else:
            await self._app(scope, receive, _varying(send))


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether a caller accepts gzip, by its header Accept-Encoding."""
    if accept_encoding is None:
        return False
    accepted: dict[str, bool] = {}
    for entry in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in entry.split(";"))
        accepted[coding] = not any(_REFUSING.fullmatch(parameter.replace(" ", "")) for parameter in parameters)
    return accepted.get("gzip", accepted.get("x-gzip", accepted.get("*", False)))


class _Compressed:
    """The `send` of one request, which compresses the answer if that helps."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None  # held until the body is known

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_compressible(message):
            self._start = message
            return
        if self._start is not None:
            start, self._start = self._start, None
            headers = MutableHeaders(scope=start)
            headers.add_vary_header("Accept-Encoding")
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                message = {**message, "body": await _compressed(message.get("body", b""))}
                headers["Content-Encoding"], headers["Content-Length"] = "gzip", str(len(message["body"]))
                if headers.get("etag", "W/").startswith('"'):
                    headers["ETag"] = f"W/{headers['etag']}"
            await self._send(start)
        await self._send(message)


def _varying(send: Send) -> Callable[[Message], Awaitable[Any]]:
    """A `send` that says of answers that they could have been compressed."""

    async def varying(message: Message) -> None:
        if message["type"] == "http.response.start" and _is_compressible(message):
            MutableHeaders(scope=message).add_vary_header("Accept-Encoding")
        await send(message)

    return varying


def _is_compressible(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    length = headers.get("content-length", "0")
    known = _TEXT.match(headers.get("content-type", "")) is not None and "content-encoding" not in headers
    return known and int(length) >= _LEAST


async def _compressed(body: bytes) -> bytes:
    if len(body) < _MOST_AT_ONCE:
        return gzip.compress(body, _LEVEL, mtime=0)
    return await run_in_threadpool(gzip.compress, body, _LEVEL, mtime=0)
