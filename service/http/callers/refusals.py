"""Refusals: they are delayed for addresses that collect many, so that loops of bad requests cost little.

Answers to good requests are never delayed, also not those to the same address.
"""

import asyncio
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.addresses import client_address
from service.http.callers.rate import AddressRates

LONGEST_S = 4.0  # of a delay; many clients give up after 5 s
MOST = 500  # refusals that are delayed at the same time; each keeps a connection. Others are not delayed
_WINDOW = 20.0  # seconds
_MEGABYTE = 1_000_000
_CALLER_LEFT = 499
_LEAST = "refusal_delay"


class Refusals:
    """Counts refusals by address, and tells by how much each is delayed.

    A refusal counts as one, and as one more for each megabyte of the request's body.

    Args:
        per_minute: refusals that an address gets without delay in a minute, a third of them at once; 0: none is ever
            delayed for their number.

    Attributes:
        delayed: number of refusals that were delayed.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._rates = AddressRates(max(1, per_minute // 3), _WINDOW)
        self._holding = 0
        self._released = asyncio.Event()
        self.delayed = 0

    @property
    def holding(self) -> int:
        """Number of refusals that are delayed now."""
        return self._holding

    def delay(self, address: str, size: int = 0, least: float = 0.0) -> float:
        """Count a refusal. Returns the seconds by which it is to be delayed.

        Args:
            address: of the client.
            size: bytes of the body that was refused.
            least: shortest delay, seconds, for another reason.
        """
        seconds = least
        if self._per_minute:
            owed = self._rates.of(address).owe(time.monotonic(), 1 + size / _MEGABYTE, LONGEST_S)
            seconds = max(owed, least)
        if not seconds or self._holding >= MOST or self._released.is_set():
            return 0.0
        self.delayed += 1
        return seconds

    async def hold(self, seconds: float) -> None:
        """Wait for a delay, or until `release`."""
        self._holding += 1
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._released.wait(), seconds)
        finally:
            self._holding -= 1

    def release(self) -> None:
        """End all delays: the service is about to stop."""
        self._released.set()


class SlowedRefusals:
    """ASGI middleware that delays refusals (4xx). What the request held is freed before the delay.

    A delay of at least `refusal_delay` seconds in the state of the request is kept, see `at_least`.

    Args:
        app: the ASGI application.
        refusals: how many an address has got.
    """

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app, self._refusals = app, refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, held, delay = _Body(scope, receive), list[Message](), 0.0

        async def holding(message: Message) -> None:
            nonlocal delay
            if message["type"] == "http.response.start" and 400 <= message["status"] < _CALLER_LEFT:
                delay = self._refusals.delay(client_address(scope), body.size, scope.get("state", {}).get(_LEAST, 0.0))
            if delay:
                held.append(message)
            else:
                await send(message)

        await self._app(scope, body.receive, holding)
        if held:
            await self._refusals.hold(delay)
            for message in held:
                await send(message)


def at_least(state: MutableMapping[str, Any], seconds: float) -> None:
    """Delay the answer to a request, if it is a refusal. state: of its scope."""
    state[_LEAST] = seconds


class _Body:
    """The body of a request: its size as it was declared, or as it arrives where it was not."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.size, self.receive = 0, receive
        for name, value in scope["headers"]:
            if name == b"content-length":
                self.size = int(value[:15]) if value.isdigit() else 0
            elif name == b"transfer-encoding":
                self._receive, self.receive = receive, self._counted

    async def _counted(self) -> Message:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        return message
