"""Middleware that finds who sends a request, before its body is read."""

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.addresses import client_address, subscriber
from service.http.callers.callers import Callers
from service.http.callers.refusals import at_least
from service.http.callers.spending import Charge
from service.http.callers.wrong_keys import DELAY
from service.http.probes import PROBE_PATHS
from service.http.proxied import path_below_root
from service.problems import Problem, database_problem, problem_response

_OPEN = frozenset(("/", "/docs", "/openapi.json", "/session", *PROBE_PATHS))  # ask for no key
_OPEN_BELOW = "/static/"
_ERRORS = 400  # the first status of an error


class Identified:
    """ASGI middleware that puts the `Identity` of the sender in the state of each request, and spends what it needs.

    A request that needs a key and sends none, or whose caller has reached a limit, is answered before its body is read.

    Args:
        app: the ASGI application.
        callers: find the sender.
    """

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app, self._callers = app, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state, path = scope.setdefault("state", {}), path_below_root(scope)
        if is_open(path):
            state["identity"] = self._callers.anyone
            await self._app(scope, receive, send)
            return
        try:
            charge = await self._identify(scope, path)
        except Problem as problem:
            await problem_response(problem)(scope, receive, send)
        except SQLAlchemyError as error:
            await problem_response(database_problem(error))(scope, receive, send)
        else:
            await (self._app(scope, receive, send) if charge is None else self._charged(charge, scope, receive, send))

    async def _identify(self, scope: Scope, path: str) -> Charge | None:
        """Find the sender, and what the request spends; None: nothing.

        Raises:
            Problem: if the sender is unknown and sends a body, or has reached a limit.
            SQLAlchemyError: if a session cannot be read.
        """
        address, secure = client_address(scope), scope.get("scheme") == "https"
        identity = await self._callers.identify(scope["headers"], address, secure)
        scope["state"]["identity"] = identity
        if identity.wait:
            at_least(scope["state"], DELAY)
        if identity.caller is not None:
            return self._callers.spending.begin(identity.key, address, scope["method"], path)
        if _has_body(scope):
            raise identity.refusal()
        return None

    async def _charged(self, charge: Charge, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of a caller with limits. What a refused or failed request spent of the day is given back."""
        scope["state"]["charge"] = charge
        succeeded = False

        async def with_limits(message: Message) -> None:
            nonlocal succeeded
            if message["type"] == "http.response.start":
                succeeded = message["status"] < _ERRORS
                if not succeeded:
                    charge.give_back()
                headers = MutableHeaders(scope=message)
                for name, value in charge.headers.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, with_limits)
        finally:
            if not succeeded:
                charge.give_back()


def is_open(path: str) -> bool:
    """Whether the routes of a path ask for no key. path: without the root path."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def sender(scope: Scope) -> str:
    """Who sends a request: the name of its key, or else what stands for its address."""
    identity = scope.get("state", {}).get("identity")
    if identity is not None and identity.key is not None:
        return f"key {identity.caller.name}"
    return subscriber(client_address(scope))


def _has_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b""):
            return True
    return False
