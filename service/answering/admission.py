"""Admission: a queue of images before the engine, bounded by their pixels and fair to those who send them."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from service.answering.fair_queue import FairQueue, Flow, Queued
from service.answering.pace import Pace
from service.problems import CallerLeft, Problem

LEAST = 1_000_000  # pixels that a small image counts as: the network takes the same time for every image

_ANY = Flow()

Receive = Callable[[], Awaitable[Any]]


@dataclass(eq=False)
class _Ticket:
    """An image in the queue, later in the engine.

    pixels: as the queue counts them; turn: done when the image may enter, an error where it may not any more; flow: of
    the image; share: `Admission._share` when it entered; began: the clock when it entered.
    """

    pixels: int
    turn: "asyncio.Future[None]"
    flow: Flow
    share: float = 0.0
    began: float = 0.0


@dataclass
class Admission:
    """Limits the images in the engine and the pixels that wait for it. It runs on one event loop and needs no lock.

    Flows take turns by their pixels, see `service.answering.fair_queue`. Where the queue is full, the flow with the
    most pixels in it loses its last image to a flow with fewer.

    Attributes:
        queue_pixels: limit of the pixels that wait. If the queue is empty, an image of any size may wait.
        deadline: longest wait, seconds.
        at_once: limit of the images in the engine.
        engine_pixels: limit of the pixels in the engine, which bounds memory. A single image may have more.
        least: pixels that every image counts as at least.
        of_a_flow: limit of the images of one flow in the engine; None: there is none.
        flow_pixels: limit of their pixels; a single image may have more. None: there is none.
        clock: monotonic time, seconds.
        pace: predicts the time of an image from recent ones.
        refused: number of refused requests by reason.
    """

    queue_pixels: int
    deadline: float
    at_once: int = 2
    engine_pixels: int = 64_000_000
    least: int = LEAST
    of_a_flow: int | None = None
    flow_pixels: int | None = None
    clock: Callable[[], float] = time.monotonic
    pace: Pace = field(default_factory=Pace)
    refused: Counter[str] = field(default_factory=Counter)
    _waiting: FairQueue[_Ticket] = field(default_factory=FairQueue)
    _running: set[_Ticket] = field(default_factory=set)
    _share: float = 0.0
    _ticked: float = 0.0

    @asynccontextmanager
    async def admitted(
        self, pixels: int, receive: Receive, until: float | None = None, flow: Flow = _ANY
    ) -> AsyncIterator[float]:
        """Wait for a turn in the engine, and hold it while the block runs.

        Args:
            pixels: of the image.
            receive: ASGI receive of the request, after its body. It reports when the caller disconnects.
            until: deadline of a request that waits or works elsewhere too, on `clock`; None: `deadline` from now.
            flow: with which others take turns.

        Yields:
            Seconds waited.

        Raises:
            Problem: 429 if the queue is full or the wait would exceed the deadline; 504 if the wait exceeded it.
            CallerLeft: if the caller disconnected while waiting.
        """
        ticket = _Ticket(max(pixels, self.least), asyncio.get_running_loop().create_future(), flow)
        self._check_room(ticket.pixels, flow)
        arrived = self.clock()
        queued = self._waiting.add(ticket, flow, ticket.pixels)
        self._call_next()
        try:
            if not ticket.turn.done():
                await self._wait(ticket, receive, self.deadline if until is None else max(until - arrived, 0.0))
            yield self.clock() - arrived
            self._tick()
            self.pace.add(ticket.pixels, self._share - ticket.share)  # not reached if the block fails
        finally:
            self._leave(queued)

    @property
    def length(self) -> int:
        """Number of images that wait."""
        return len(self._waiting)

    @property
    def pixels(self) -> int:
        """Number of pixels that wait."""
        return sum(queued.work.pixels for queued in self._waiting)

    @property
    def running(self) -> int:
        """Number of images in the engine."""
        return len(self._running)

    @property
    def engaged(self) -> bool:
        """Whether urgent images are in the engine or wait for it."""
        return any(one.flow.urgent for one in self._running) or any(one.flow.urgent for one in self._waiting)

    def longest(self) -> float:
        """Seconds since the earliest image in the engine entered; 0 if there is none."""
        return max((self.clock() - ticket.began for ticket in list(self._running)), default=0.0)

    def seconds_ahead(self, start: float = math.inf) -> float:
        """Predicted seconds until all images in the engine and those in the queue up to a tag are done."""
        self._tick()
        done = (max(0.0, self.pace.seconds(t.pixels) - (self._share - t.share)) for t in self._running)
        return sum(done) + sum(self.pace.seconds(one.work.pixels) for one in self._waiting if one.start <= start)

    def _check_room(self, pixels: int, flow: Flow) -> None:
        if not self._waiting:  # the common case, without a prediction
            return
        ahead = self.seconds_ahead(self._waiting.start_of(flow))
        if ahead > self.deadline:
            raise self._refuse("too_late", f"the wait would be {ahead:.0f} s", ahead)
        while len(self._waiting) and (waiting := self.pixels) + pixels > self.queue_pixels:
            costs = self._waiting.costs()
            largest, most = costs.most_common(1)[0]
            if largest == flow.name or most <= costs[flow.name] + pixels:
                raise self._refuse("queue_full", f"{waiting} pixels wait already", ahead)
            displaced = self._waiting.last_of(largest)
            self._waiting.discard(displaced)
            displaced.work.turn.set_exception(self._refuse("displaced", "an image of another caller", ahead))

    def _refuse(self, reason: str, received: str, ahead: float) -> Problem:
        self.refused[reason] += 1
        again = max(1, math.ceil(ahead))
        return Problem(
            429, "Too many images are waiting.", received=received,
            allowed=f"{self.queue_pixels} pixels, and {self.deadline:g} s of waiting",
            fix=f"Send it again in {again} s, or let the operator raise SEGSORT_QUEUE_PIXELS or SEGSORT_DEADLINE_S.",
            headers={"Retry-After": str(again)},
        )  # fmt: skip

    async def _wait(self, ticket: _Ticket, receive: Receive, patience: float) -> None:
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            await asyncio.wait({ticket.turn, gone}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            await asyncio.wait({gone})
        if not gone.cancelled():
            gone.exception()  # retrieve it, so that asyncio does not log it
            self.refused["caller_left"] += 1
            raise CallerLeft
        if ticket.turn.done():
            ticket.turn.result()
        else:
            self.refused["deadline"] += 1
            raise Problem(
                504, "The image waited too long and was not processed.", received=f"{self.deadline:g} s of waiting",
                allowed=f"less than {self.deadline:g} s", fix="Send it again when the service is less busy.",
            )  # fmt: skip

    def _call_next(self) -> None:
        while len(self._running) < self.at_once:
            queued = next(filter(self._has_place, self._waiting), None)
            inside = sum(ticket.pixels for ticket in self._running)
            if queued is None or (inside and inside + queued.work.pixels > self.engine_pixels):
                return
            self._tick()
            self._waiting.take(queued)
            ticket = queued.work
            ticket.share, ticket.began = self._share, self._ticked
            self._running.add(ticket)
            ticket.turn.set_result(None)

    def _has_place(self, queued: Queued[_Ticket]) -> bool:
        """Whether a flow has less in the engine than it may have."""
        if self.of_a_flow is None and self.flow_pixels is None:
            return True
        inside = [one.pixels for one in self._running if one.flow.name == queued.flow.name]
        if self.of_a_flow is not None and len(inside) >= self.of_a_flow:
            return False
        return self.flow_pixels is None or not inside or sum(inside) + queued.work.pixels <= self.flow_pixels

    def _leave(self, queued: Queued[_Ticket]) -> None:
        ticket = queued.work
        if ticket in self._running:
            self._tick()
            self._running.remove(ticket)
        else:
            self._waiting.discard(queued)
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


async def until_gone(receive: Receive) -> None:
    """Wait until the caller disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
