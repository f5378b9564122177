"""Admission: a first-in, first-out queue of images before the engine, bounded by their pixels."""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from service.answering.pace import Pace
from service.problems import CallerLeft, Problem

LEAST = 1_000_000  # pixels that a small image counts as: the network takes the same time for every image

Receive = Callable[[], Awaitable[Any]]


@dataclass(eq=False)
class _Ticket:
    """An image in the queue, later in the engine.

    pixels: as the queue counts them; turn: done when the image may enter; share: `Admission._share` when it entered;
    began: the clock when it entered.
    """

    pixels: int
    turn: "asyncio.Future[None]"
    share: float = 0.0
    began: float = 0.0


@dataclass
class Admission:
    """Limits the images in the engine and the pixels that wait for it. It runs on one event loop and needs no lock.

    Attributes:
        queue_pixels: limit of the pixels that wait. If the queue is empty, an image of any size may wait.
        deadline: longest wait, seconds.
        at_once: limit of the images in the engine.
        engine_pixels: limit of the pixels in the engine, which bounds memory. A single image may have more.
        least: pixels that every image counts as at least.
        clock: monotonic time, seconds.
        pace: predicts the time of an image from recent ones.
        refused: number of refused requests by reason.
    """

    queue_pixels: int
    deadline: float
    at_once: int = 2
    engine_pixels: int = 64_000_000
    least: int = LEAST
    clock: Callable[[], float] = time.monotonic
    pace: Pace = field(default_factory=Pace)
    refused: Counter[str] = field(default_factory=Counter)
    _waiting: deque[_Ticket] = field(default_factory=deque)
    _running: set[_Ticket] = field(default_factory=set)
    _share: float = 0.0
    _ticked: float = 0.0

    @asynccontextmanager
    async def admitted(self, pixels: int, receive: Receive) -> AsyncIterator[float]:
        """Wait for a turn in the engine, and hold it while the block runs.

        Args:
            pixels: of the image.
            receive: ASGI receive of the request, after its body. It reports when the caller disconnects.

        Yields:
            Seconds waited.

        Raises:
            Problem: 429 if the queue is full or the wait would exceed the deadline; 504 if the wait exceeded it.
            CallerLeft: if the caller disconnected while waiting.
        """
        ticket = _Ticket(max(pixels, self.least), asyncio.get_running_loop().create_future())
        self._check_room(ticket.pixels)
        arrived = self.clock()
        self._waiting.append(ticket)
        self._call_next()
        try:
            if not ticket.turn.done():
                await self._wait(ticket, receive)
            yield self.clock() - arrived
            self._tick()
            self.pace.add(ticket.pixels, self._share - ticket.share)  # not reached if the block fails
        finally:
            self._leave(ticket)

    @property
    def length(self) -> int:
        """Number of images that wait."""
        return len(self._waiting)

    @property
    def pixels(self) -> int:
        """Number of pixels that wait."""
        return sum(ticket.pixels for ticket in list(self._waiting))

    @property
    def running(self) -> int:
        """Number of images in the engine."""
        return len(self._running)

    def longest(self) -> float:
        """Seconds since the earliest image in the engine entered; 0 if there is none."""
        return max((self.clock() - ticket.began for ticket in list(self._running)), default=0.0)

    def seconds_ahead(self) -> float:
        """Predicted seconds until all images in the engine and in the queue are done."""
        self._tick()
        done = (max(0.0, self.pace.seconds(t.pixels) - (self._share - t.share)) for t in self._running)
        return sum(done) + sum(self.pace.seconds(t.pixels) for t in self._waiting)

    def _check_room(self, pixels: int) -> None:
        if not self._waiting:  # the common case, without a prediction
            return
        ahead = self.seconds_ahead()
        if self.pixels + pixels > self.queue_pixels:
            raise self._refuse("queue_full", f"{self.pixels} pixels wait already", ahead)
        if ahead > self.deadline:
            raise self._refuse("too_late", f"the wait would be {ahead:.0f} s", ahead)

    def _refuse(self, reason: str, received: str, ahead: float) -> Problem:
        self.refused[reason] += 1
        again = max(1, math.ceil(ahead))
        return Problem(
            429, "Too many images are waiting.", received=received,
            allowed=f"{self.queue_pixels} pixels, and {self.deadline:g} s of waiting",
            fix=f"Send it again in {again} s, or let the operator raise SEGSORT_QUEUE_PIXELS or SEGSORT_DEADLINE_S.",
            headers={"Retry-After": str(again)},
        )  # fmt: skip

    async def _wait(self, ticket: _Ticket, receive: Receive) -> None:
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({ticket.turn, gone}, timeout=self.deadline, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            await asyncio.wait({gone})
        if not gone.cancelled():
            gone.exception()  # retrieve it, so that asyncio does not log it
            self.refused["caller_left"] += 1
            raise CallerLeft
        if not ticket.turn.done():
            self.refused["deadline"] += 1
            raise Problem(
                504, "The image waited too long and was not processed.", received=f"{self.deadline:g} s of waiting",
                allowed=f"less than {self.deadline:g} s", fix="Send it again when the service is less busy.",
            )  # fmt: skip

    def _call_next(self) -> None:
        while self._waiting and len(self._running) < self.at_once:
            inside = sum(ticket.pixels for ticket in self._running)
            if inside and inside + self._waiting[0].pixels > self.engine_pixels:
                return
            self._tick()
            ticket = self._waiting.popleft()
            ticket.share, ticket.began = self._share, self._ticked
            self._running.add(ticket)
            ticket.turn.set_result(None)

    def _leave(self, ticket: _Ticket) -> None:
        if ticket in self._running:
            self._tick()
            self._running.remove(ticket)
        else:
            self._waiting.remove(ticket)
        self._call_next()

    def _tick(self) -> None:
        """Add the time since the last call to the running share: elapsed time divided by the images in the engine.

        If images divide the machine equally, the increase of the share while an image runs is the time that it would
        take alone.
        """
        now = self.clock()
        if self._running:
            self._share += (now - self._ticked) / len(self._running)
        self._ticked = now


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
