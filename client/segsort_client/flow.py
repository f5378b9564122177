"""The core that both clients share: operations as generators that ask for a request, a pause or some work.

An operation yields steps and receives their outcomes. It never touches the network, so that it is the same for the
client that blocks and for the one that awaits; each client only carries out the steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import httpx

P = ParamSpec("P")
T = TypeVar("T")
_OF_EVERY_CLIENT = ("accept", "accept-encoding", "connection", "user-agent")


@dataclass(frozen=True)
class Send:
    """Send a request. The outcome is an `httpx.Response` whose content is read, or an `httpx.RequestError`.

    foreign: it goes to another server, which gets no header, key or password of the service; redirects are followed.
    out: file to write the content of a successful answer to; None: keep it in memory.
    """

    request: httpx.Request
    foreign: bool = False
    out: Path | None = None

    def options(self, headers: httpx.Headers) -> dict[str, Any]:
        """The arguments of httpx's `send`. The request gets the headers that a client of httpx sends by default."""
        for name, value in headers.items():
            if not self.foreign or name in _OF_EVERY_CLIENT:
                self.request.headers.setdefault(name, value)
        options: dict[str, Any] = {"follow_redirects": self.foreign, "stream": True}
        return options | {"auth": None} if self.foreign else options


@dataclass(frozen=True)
class Sleep:
    """Wait. The outcome is None."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Read a file or encode an image, beside the event loop. The outcome is what the function returns."""

    function: Callable[[], Any]


Flow = Generator[Send | Sleep | Work, Any, T]


class Blocking:
    """A client whose operations return when they are done."""

    def run(self, flow: Flow[T]) -> T:
        """Carry out an operation."""
        raise NotImplementedError


class Awaiting:
    """A client whose operations are awaited."""

    async def run(self, flow: Flow[T]) -> T:
        """Carry out an operation."""
        raise NotImplementedError


class operation(Generic[P, T]):  # noqa: N801
    """A method that is written once, as a generator: of a `Client` it returns T, of an `AsyncClient` it is awaited."""

    def __init__(self, function: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self._function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Flow[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self._function

        @functools.wraps(self._function)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._function(client, *args, **kwargs))

        return method
