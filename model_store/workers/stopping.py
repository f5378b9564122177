"""Ending of work early: its caller has left, or its deadline is over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stop:
    """Says when the work of one request is to end. Calls from several threads are safe.

    Args:
        until: deadline on the monotonic clock; None: there is none.

    Attributes:
        until: as given.
    """

    def __init__(self, until: float | None = None) -> None:
        self.until = until
        self._lock, self._is_set = threading.Lock(), False
        self._ends: list[Callable[[], None]] = []

    @property
    def is_set(self) -> bool:
        """Whether the work is to end now."""
        return self._is_set

    def set(self) -> None:
        """End the work that is under way, and all that would follow."""
        with self._lock:
            self._is_set = True
            ends = list(self._ends)
        for end in ends:
            end()

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Call a function, from another thread, if the work is to end while the block runs."""
        with self._lock:
            self._ends.append(end)
            already = self._is_set
        try:
            if already:
                end()
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


NEVER = Stop()
_present: ContextVar[Stop] = ContextVar("segsort_stop", default=NEVER)


def present_stop() -> Stop:
    """Says when the work of the present request is to end."""
    return _present.get()


@contextmanager
def stopping_with(stop: Stop) -> Iterator[Stop]:
    """Let all work of the block, and of threads that it starts with its context, end with `stop`."""
    token = _present.set(stop)
    try:
        yield stop
    finally:
        _present.reset(token)
