"""Limits on request bodies: their size, the time that they may take to arrive, and that they are not compressed."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from service.problems import Problem

_MAX_DIGITS = 20  # a Content-Length with more digits is past every limit; `int` refuses numbers of many digits
_MEGABYTE = 1_000_000


def check_declared(headers: Headers, most: int) -> None:
    """Refuse a body by the headers of its request, before it is read.

    Args:
        headers: of the request.
        most: largest size of the body, bytes.

    Raises:
        Problem: 413 if its Content-Length is above the limit, 415 if it has a Content-Encoding.
    """
    declared = headers.get("content-length", "0").lstrip("0")
    if declared.isdigit() and (len(declared) > _MAX_DIGITS or int(declared) > most):
        raise too_large(most)
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise _compressed(coding)


class LimitedBody:
    """The `receive` of a request whose route reads the body in parts, with the limits of the body.

    Only the time counts for which the route waits for the sender, not that in which it stores what it read.

    Args:
        receive: ASGI receive of the request.
        max_bytes: largest size of the body in bytes.
        timeout: seconds that the sender may take, and again for each megabyte that has arrived.
        longest: seconds from now until the end of the body, whatever takes them.
    """

    def __init__(self, receive: Receive, max_bytes: int, timeout: float, longest: float) -> None:
        self._receive, self._max_bytes, self._timeout, self._longest = receive, max_bytes, timeout, longest
        self._end = asyncio.get_running_loop().time() + longest
        self._size, self._waited, self._complete = 0, 0.0, False

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
        clock = asyncio.get_running_loop().time
        started = clock()
        allowed = self._timeout * (1 + self._size / _MEGABYTE)
        try:
            async with asyncio.timeout_at(min(started + allowed - self._waited, self._end)):
                message = await self._receive()
        except TimeoutError:
            taken = self._longest if clock() >= self._end else self._waited + clock() - started
            allowed_at_most = f"{self._timeout:g} s, and as long again for each megabyte; {self._longest:g} s at most"
            raise too_slow(self._size, taken, allowed_at_most) from None
        self._waited += clock() - started
        self._complete = not message.get("more_body", False)
        return message


def too_large(max_bytes: int, setting: str = "SEGSORT_MAX_BYTES") -> Problem:
    """413: the body is larger than the limit, which is in bytes and which a setting raises."""
    return Problem(
        413, "The request body is too large.", received=f"more than {max_bytes} bytes",
        allowed=f"at most {max_bytes} bytes",
        fix="Send less in one request, and many images to POST /jobs/segment. Compress an image or scale it down, or "
        f"ask the operator to raise {setting}.",
    )  # fmt: skip


def too_slow(size: int, taken: float, allowed: str | None = None) -> Problem:
    """408: of a body, `size` bytes arrived in `taken` seconds. allowed: in words; None: the whole body in this time."""
    return Problem(
        408, "The request body did not arrive in time.", received=f"{size} bytes in {taken:.3g} s",
        allowed=allowed or f"the whole body in {taken:g} s",
        fix="Send less, use a faster connection, or ask the operator to raise SEGSORT_UPLOAD_TIMEOUT_S.",
        headers={"Connection": "close"},
    )  # fmt: skip


def _compressed(coding: str) -> Problem:
    return Problem(
        415, "The request body is compressed.", received=f"Content-Encoding: {coding[:40]}",
        allowed="a body without Content-Encoding",
        fix="Send the body as it is. Image files are compressed already.", headers={"Accept-Encoding": "identity"},
    )  # fmt: skip
