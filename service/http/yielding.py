"""Yielding: heavy requests give way while images are in the engine.

They compute in Python for tens to hundreds of milliseconds each. Threads of one process take turns in Python, so that
two of them beside an image make it several times as slow.
"""

import asyncio
import time
from collections.abc import Callable

SHARE = 0.2  # of the time that heavy requests have while images are in the engine
_LINGER_S = 0.25  # after an image, the next one of the same caller may come
_LONGEST_REST_S = 2.0
_LOOK_S = 0.05  # between two looks at the engine while requests wait


class Yielding:
    """Says when a heavy request may begin. It runs on one event loop and needs no lock.

    While images are in the engine, one heavy request runs at a time, and after it a rest of four times its duration,
    so that heavy requests of all kinds together have a fifth of the time. Otherwise they may begin at once.

    Args:
        engaged: whether images are in the engine or wait for it.

    Attributes:
        running: number of heavy requests that run.
        postponed: number of times that one had to wait for images.
    """

    def __init__(self, engaged: Callable[[], bool] = lambda: False) -> None:
        self._engaged = engaged
        self.running = self.postponed = 0
        self._engaged_at = -_LINGER_S
        self._rest_until = 0.0
        self._calls: dict[Callable[[], None], None] = {}  # who waits for a turn, in their order
        self._timer: asyncio.TimerHandle | None = None

    @property
    def free(self) -> bool:
        """Whether a heavy request may begin now."""
        now = time.monotonic()
        if self._engaged():
            self._engaged_at = now
        if now - self._engaged_at >= _LINGER_S:
            return True
        return self.running == 0 and now >= self._rest_until

    def begin(self) -> None:
        """Begin a heavy request."""
        self.running += 1

    def end(self, seconds: float) -> None:
        """End a heavy request that took so long."""
        self.running -= 1
        self._rest_until = time.monotonic() + min(seconds * (1 / SHARE - 1), _LONGEST_REST_S)
        self._call()

    def call(self, begin_next: Callable[[], None]) -> None:
        """Call a function as soon as a heavy request may begin: it begins one, or none if none waits any more."""
        if begin_next not in self._calls:
            self.postponed += 1
            self._calls[begin_next] = None
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and self._calls:
            wait = min(max(self._rest_until - time.monotonic(), 0.001), _LOOK_S)
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _look(self) -> None:
        self._timer = None
        self._call()

    def _call(self) -> None:
        while self._calls and self.free:
            begin_next = next(iter(self._calls))
            del self._calls[begin_next]
            begin_next()
        self._set_timer()
