"""The class of all routes: it applies the budget of a route before anything of a request is read or done."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, get_args

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from service.http.bodies import Bodies
from service.http.body_limit import LimitedBody, check_declared
from service.http.budgets import LANES, ON_DISK, Budget, Heavy, budget_of
from service.http.identified import sender
from service.http.lanes import Lane, lanes_of
from service.http.open_files import body_files, file_limit
from service.http.spooled import Spooled
from service.http.yielding import Yielding
from service.json_parsing import LARGE, parsed_json
from service.problems import Problem
from service.settings import Settings

Check = TypeVar("Check", bound=Callable[[Request], Awaitable[Any]])
LONGEST_PATH = 2000  # bytes of an address before its query
_MOST_COOKIES = 16_000  # bytes of the header Cookie
_ARCHIVE_S = 3600.0  # longest time to receive an archive, seconds
_FIRST = set[Callable[..., Any]]()


def before_the_body(check: Check) -> Check:
    """Mark a dependency that refuses callers. `Budgeted` calls it before it reads the body of a request too."""
    _FIRST.add(check)
    return check


class RequestBudgets:
    """What the requests to one app hold.

    Args:
        settings: of the service.
        engaged: whether images are in the engine or wait for it.

    Attributes:
        settings: of the service.
        bodies: bodies of requests.
        lanes: requests that run and wait, by lane.
        yielding: when those of heavy lanes may begin, by group.
    """

    def __init__(self, settings: Settings, engaged: Callable[[], bool] = lambda: False) -> None:
        self.settings = settings
        self.yielding: dict[Heavy, Yielding] = {group: Yielding(engaged) for group in get_args(Heavy)}
        self.bodies = Bodies(
            settings.bodies_mb * 1_000_000, settings.uploads_mb * 1_000_000, settings.data_dir / "uploads",
            settings.upload_timeout_s, settings.deadline_s, body_files(file_limit()),
        )  # fmt: skip
        self.lanes = lanes_of(LANES, settings.deadline_s, self.yielding)

    @classmethod
    def of(cls, app: FastAPI) -> "RequestBudgets":
        """Those of an app. An app without any gets them by the settings of the environment."""
        if not hasattr(app.state, "budgets"):
            app.state.budgets = cls(Settings())
        budgets: RequestBudgets = app.state.budgets
        return budgets


class Budgeted(APIRoute):
    """A route with a budget, see `service.http.budgets`.

    The address, the key and the declared size of a request are checked first. Then its body is received, then it waits
    for its turn in the lane of the route, and only then FastAPI sees it.

    Raises:
        ValueError: when it is made, if the route has no budget.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler of requests, within the budget."""
        (method,) = set(self.methods or ()) - {"HEAD"}
        budget, inner = budget_of(method, self.path), super().get_route_handler()
        checks = [one.call for one in self.dependant.dependencies if one.call in _FIRST]

        async def handle(request: Request) -> Response:
            _check_address(request, budget)
            for check in checks:
                await check(request)
            budgets = RequestBudgets.of(request.app)
            most = budget.most(budgets.settings)
            check_declared(request.headers, most)
            lane = None if budget.lane is None else budgets.lanes[budget.lane]
            if budget.body == "none":
                return await _in_lane(lane, request, inner)
            if budget.body in ON_DISK:  # the route reads the body in its turn, so nothing reads it before
                limited = LimitedBody(request.receive, most, budgets.settings.upload_timeout_s, _ARCHIVE_S)
                return await _in_lane(lane, Request(request.scope, limited), inner, _nothing)
            async with budgets.bodies.received(request.receive, most) as content:
                return await _in_lane(lane, _Received(request, content, budget), inner)

        return handle


class _Received(Request):
    """A request whose body has been received."""

    def __init__(self, request: Request, content: bytes, budget: Budget) -> None:
        super().__init__(request.scope, request.receive)
        self._body, self._budget = content, budget

    async def json(self) -> Any:
        """The parsed body. Large JSON does not stop the event loop.

        Raises:
            Problem: 400 if it is nested too deeply, 413 if it has too many values.
            json.JSONDecodeError: if it is not JSON.
        """
        if not hasattr(self, "_json"):
            if len(self._body) < LARGE:
                self._json = parsed_json(self._body, self._budget.values)
            else:
                self._json = await anyio.to_thread.run_sync(parsed_json, self._body, self._budget.values)
        return self._json

    def taken(self) -> bytes:
        """The body, which the request forgets."""
        content, self._body = self._body, b""
        return content


def taken_body(request: Request) -> bytes:
    """The body of a request to a route with a budget for it. The request forgets it, so that it is in memory once."""
    if not isinstance(request, _Received):
        raise TypeError(f"the body of {request.url.path} was not received; give its route a budget with a body")
    return request.taken()


async def _in_lane(
    lane: Lane | None,
    request: Request,
    inner: Callable[[Request], Coroutine[Any, Any, Response]],
    receive: Receive | None = None,
) -> Response:
    """Handle a request in its turn. The turn of an answer that is made while it is sent lasts until it is made, if it
    is spooled, and else until it is sent.

    Args:
        lane: of the route; None: it has no turns.
        request: what is handled.
        inner: handles it.
        receive: what shows while it waits that the caller left; None: that of the request.
    """
    if lane is None:
        return await inner(request)
    turn = await lane.enter(receive or request.receive, sender(request.scope))
    try:
        response = await inner(request)
    except BaseException:
        lane.leave(turn)
        raise
    if isinstance(response, Spooled):
        response.when_made = lambda: lane.leave(turn)
        return response
    if isinstance(response, StreamingResponse):
        return _Sent(response, lambda: lane.leave(turn))
    lane.leave(turn)
    return response


async def _nothing() -> Message:
    """An ASGI receive that never returns."""
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never


class _Sent(Response):
    """A response, with a function that is called when it is sent, or cannot be."""

    def __init__(self, response: Response, done: Callable[[], None]) -> None:
        self._response, self._done = response, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._done()


def _check_address(request: Request, budget: Budget) -> None:
    """Refuse a long address, and long cookies, before anything parses them.

    Raises:
        Problem: 414 or 431.
    """
    path, query = len(request.scope["path"]), len(request.scope["query_string"])
    if path > LONGEST_PATH or query > budget.query:
        raise Problem(
            414, "The address is too long.", received=f"{path} bytes of path, {query} bytes of query",
            allowed=f"{LONGEST_PATH} bytes of path, {budget.query} bytes of query",
            fix="Shorten it. POST /export takes many ids in its body.",
        )  # fmt: skip
    cookies = sum(len(value) for name, value in request.scope["headers"] if name == b"cookie")
    if cookies > _MOST_COOKIES:
        raise Problem(
            431, "The cookies are too long.", received=f"{cookies} bytes", allowed=f"at most {_MOST_COOKIES} bytes",
            fix="Delete the cookies of this site in the browser.",
        )  # fmt: skip
