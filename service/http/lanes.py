"""Lanes: requests of one kind that run at once, and a bounded queue of those that wait for it, fair to callers."""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.types import Receive

from service.http.budgets import Heavy, LaneBudget, LaneName
from service.http.yielding import Yielding
from service.problems import CallerLeft, Problem

_WEIGHT = 0.2  # of the newest request in the mean time


class Turn(NamedTuple):
    """A turn of a request in a lane. began: the clock when it began; caller: who sent it."""

    began: float
    caller: str


class Lane:
    """Limits how many requests of one kind run at once. It runs on one event loop and needs no lock.

    Callers take turns: the next request is that of the caller who waited longest for one, however many requests others
    have. The last place of a lane is kept for another caller than the one who has the others. Where the queue is full,
    the caller with the most requests in it loses its last one to a caller with fewer.

    Args:
        name: for messages and metrics.
        budget: how many run and wait.
        deadline: longest wait, seconds.
        yielding: when requests of a heavy lane may begin; None: as soon as there is a place.

    Attributes:
        running: number of requests that run.
        refused: number of refused requests by reason: queue_full, displaced, deadline or caller_left.
    """

    def __init__(self, name: str, budget: LaneBudget, deadline: float, yielding: Yielding | None = None) -> None:
        self.name, self.budget, self._deadline = name, budget, deadline
        self._yielding = yielding
        self._of: Counter[str] = Counter()  # requests that run, by caller
        self.refused: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # the next caller is the first
        self._seconds = 0.0  # mean time of a request

    @property
    def running(self) -> int:
        """Number of requests that run."""
        return self._of.total()

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return sum(len(queue) for queue in list(self._queues.values()))  # in a thread: others may be added

    async def enter(self, receive: Receive, caller: str = "") -> Turn:
        """Wait for a turn. `leave` ends it.

        Args:
            receive: ASGI receive of the request, after its body. It reports when the caller disconnects.
            caller: who sends it.

        Raises:
            Problem: 429 if too many wait, or the wait reached the deadline.
            CallerLeft: if the caller disconnected while waiting.
        """
        if caller not in self._queues and self._has_place(caller) and self._may_begin():
            self._begin(caller)
            return Turn(time.monotonic(), caller)
        if self.waiting >= self.budget.waiting:
            self._displace(caller)
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(turn)
        self._call_next()
        try:
            await self._wait(turn, receive)
        except BaseException:
            if turn.done() and turn.exception() is None:
                self._end(caller, 0.0)
            else:
                self._forget(caller, turn)
            raise
        return Turn(time.monotonic(), caller)

    def leave(self, turn: Turn) -> None:
        """End a turn, and begin the next."""
        took = time.monotonic() - turn.began
        self._seconds += _WEIGHT * (took - self._seconds)
        self._end(turn.caller, took)

    async def _wait(self, turn: "asyncio.Future[None]", receive: Receive) -> None:
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({turn, gone}, timeout=self._deadline, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            await asyncio.wait({gone})
        if turn.done() and gone.cancelled():
            turn.result()
            return
        if not gone.cancelled():
            gone.exception()  # retrieve it, so that asyncio does not log it
            self.refused["caller_left"] += 1
            raise CallerLeft
        raise self._refuse("deadline")

    def _has_place(self, caller: str) -> bool:
        """Whether a request of this caller has a place: the last one is for another caller."""
        most = max(1, self.budget.at_once - 1)
        return self.running < self.budget.at_once and self._of[caller] < most

    def _may_begin(self) -> bool:
        return self._yielding is None or self._yielding.free

    def _begin(self, caller: str) -> None:
        self._of[caller] += 1
        if self._yielding is not None:
            self._yielding.begin()

    def _end(self, caller: str, seconds: float) -> None:
        self._of[caller] -= 1
        if not self._of[caller]:
            del self._of[caller]
        if self._yielding is not None:
            self._yielding.end(seconds)
        self._call_next()

    def _call_next(self) -> None:
        """Begin as many of those that wait as may begin now."""
        while (caller := next(filter(self._has_place, self._queues), None)) is not None:
            if not self._may_begin():
                if self._yielding is not None:
                    self._yielding.call(self._call_one)
                return
            self._call(caller)

    def _call_one(self) -> None:
        """Begin one of those that wait, if there is any; see `Yielding.call`."""
        caller = next(filter(self._has_place, self._queues), None)
        if caller is not None:
            self._call(caller)
            self._call_next()

    def _call(self, caller: str) -> None:
        queue = self._queues.pop(caller)
        turn = queue.popleft()
        if queue:
            self._queues[caller] = queue  # behind the other callers
        self._begin(caller)
        turn.set_result(None)

    def _forget(self, caller: str, turn: "asyncio.Future[None]") -> None:
        queue = self._queues.get(caller)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._queues[caller]

    def _displace(self, caller: str) -> None:
        """Refuse the last request of the caller who has the most in the queue, or this one.

        Raises:
            Problem: 429, if no other caller has more.
        """
        longest = max(self._queues, key=lambda one: len(self._queues[one]), default=caller)
        if longest == caller or len(self._queues[longest]) <= len(self._queues.get(caller, ())) + 1:
            raise self._refuse("queue_full")
        turn = self._queues[longest].pop()
        turn.set_exception(self._refuse("displaced"))

    def _refuse(self, reason: str) -> Problem:
        self.refused[reason] += 1
        ahead = math.ceil(self._seconds * (self.waiting + 1) / self.budget.at_once)
        again = min(max(1, ahead), 60)
        return Problem(
            429, "Too many requests of this kind are waiting.", received=f"{self.waiting} that wait",
            allowed=f"{self.budget.at_once} at once and {self.budget.waiting} waiting, {self._deadline:g} s at most",
            fix=f"Send it again in {again} s, and fewer at once.", headers={"Retry-After": str(again)},
        )  # fmt: skip


def lanes_of(
    budgets: Mapping[LaneName, LaneBudget], deadline: float, yielding: Mapping[Heavy, Yielding] = {}
) -> dict[LaneName, Lane]:
    """The lanes of an app, all empty. deadline: longest wait in each, seconds; yielding: of the heavy ones."""
    return {
        name: Lane(name, budget, deadline, None if budget.yields is None else yielding.get(budget.yields))
        for name, budget in budgets.items()
    }


async def _until_gone(receive: Receive) -> None:
    message: Any = {"type": "http.request"}
    while message["type"] != "http.disconnect":
        message = await receive()
