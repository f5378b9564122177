"""No request is read into memory past the limit or waited for without end, whatever its route reads of it."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem, problem_response


class BodyLimit:
    """Refuses bodies that say that they are too large, and ends those that become so.

    Args:
        app: what is asked otherwise.
        max_bytes: the largest body.
        timeout: seconds that a body may take to come.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout: float) -> None:
        self._app, self._max_bytes, self._timeout = app, max_bytes, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0").lstrip(b"0")
        if said.isdigit() and (len(said) > 20 or int(said) > self._max_bytes):
            await problem_response(too_large(self._max_bytes))(scope, receive, send)
            return
        size, complete = 0, False
        end = asyncio.get_running_loop().time() + self._timeout

        async def in_time() -> Message:
            nonlocal complete
            if complete:  # what comes now is that the caller leaves
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                raise _too_slow(self._timeout, size) from None
            complete = not message.get("more_body", False)
            return message

        async def limited() -> Message:
            nonlocal size
            message = await in_time()
            size += len(message.get("body", b""))
            # one part more than the limit reaches routes that count for themselves and say so; no route gets a second
            return message if size - len(message.get("body", b"")) <= self._max_bytes else {"type": "http.disconnect"}

        await self._app(scope, limited, send)


def too_large(max_bytes: int) -> Problem:
    """413: a body is past the limit."""
    return Problem(
        413, "The request body is too large.", received=f"more than {max_bytes} bytes",
        allowed=f"at most {max_bytes} bytes",
        fix="Compress or scale the image down, or let the operator raise SEGSORT_MAX_BYTES.",
    )  # fmt: skip


def _too_slow(timeout: float, size: int) -> Problem:
    return Problem(
        408, "The request body took too long to come.", received=f"{size} bytes in {timeout:g} s",
        allowed=f"all of it in {timeout:g} s",
        fix="Send a smaller image or over a faster line, or let the operator raise SEGSORT_UPLOAD_TIMEOUT_S.",
        headers={"Connection": "close"},
    )  # fmt: skip
