"""No request is read into memory past the limit, whatever its route reads of it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem, problem_response


class BodyLimit:
    """Refuses bodies that say that they are too large, and ends those that become so.

    Args:
        app: what is asked otherwise.
        max_bytes: the largest body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._max_bytes:
            await problem_response(too_large(self._max_bytes))(scope, receive, send)
            return
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            # one part more than the limit reaches routes that count for themselves and say so; no route gets a second
            return message if size - len(message.get("body", b"")) <= self._max_bytes else {"type": "http.disconnect"}

        await self._app(scope, limited, send)


def too_large(max_bytes: int) -> Problem:
    """413: a body is past the limit."""
    return Problem(
        413, "The request body is too large.", received=f"more than {max_bytes} bytes",
        allowed=f"at most {max_bytes} bytes",
        mend="Compress or scale the image down, or let the operator raise SEGSORT_MAX_BYTES.",
    )  # fmt: skip
