"""Turns of jobs in the engine: all of it when it is free, a small share beside single requests."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.answering.admission import Admission
from service.answering.fair_queue import Flow

SHARE = 0.1  # of the time that a job has an image in the engine while single requests arrive
_LOOK = 0.02  # seconds between two looks at the queue
_RECENT = 0.5  # seconds after a single request in which another one may follow
_LONGEST_REST_S = 10.0
_FOREVER = 1e9
_FLOW = Flow("jobs", weight=0.5, urgent=False)


class BackgroundTurns:
    """Lets images of jobs into the engine. It runs on one event loop.

    While single requests arrive, a job has one image in the engine at a time, and after it a rest of nine times its
    duration. Otherwise it has the whole engine.

    Args:
        admission: the queue before the engine.

    Attributes:
        inside: number of images of jobs in the engine and in its queue.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission, self.inside = admission, 0
        self._others_at, self._rest_until = -_RECENT, 0.0

    @asynccontextmanager
    async def turn(self, pixels: int) -> AsyncIterator[None]:
        """Wait for a turn in the engine, and hold it while the block runs.

        Raises:
            Problem: 429 if the queue is full.
        """
        while not self._may_enter():
            await asyncio.sleep(_LOOK)
        self.inside += 1
        began = time.monotonic()
        try:
            async with self._admission.admitted(pixels, _never, time.monotonic() + _FOREVER, _FLOW):
                yield
        finally:
            self.inside -= 1
            ended = time.monotonic()
            self._rest_until = ended + min((ended - began) * (1 / SHARE - 1), _LONGEST_REST_S)

    def _may_enter(self) -> bool:
        queue, now = self._admission, time.monotonic()
        if queue.running + queue.length > self.inside:
            self._others_at = now
        if now - self._others_at < _RECENT:
            return not self.inside and now >= self._rest_until
        return self.inside < queue.at_once


async def _never() -> Any:
    """An ASGI receive of nobody."""
    return await asyncio.get_running_loop().create_future()
