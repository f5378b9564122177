"""Middleware that answers HEAD wherever GET is answered."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FOUND = ("route", "path_params", "state")  # what the app adds to the scope, for the middleware outside


class Heads:
    """ASGI middleware that answers a HEAD request like a GET request: the same status and headers, without the body.

    Args:
        app: the ASGI application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, _without_body(send))
        finally:
            scope.update({name: as_get[name] for name in _FOUND if name in as_get})


def _without_body(send: Send) -> Send:
    async def without_body(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return without_body
