"""Housekeeping: chores that keep the database small, in a thread of their own, so that nothing waits for them."""

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

_PAUSE = 0.25  # seconds between two rounds

_log = logging.getLogger("segsort.records")


class Housekeeping:
    """Calls functions again and again until it is stopped.

    Args:
        chores: each does a small step and returns; each may raise. A chore that fails is tried again in the next round,
            and its failure is logged once until it succeeds.
    """

    def __init__(self, chores: Sequence[Callable[[], object]]) -> None:
        self._chores = list(chores)
        self._failing: set[int] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def also(self, chore: Callable[[], object]) -> None:
        """Call a further function from the next round on."""
        self._chores.append(chore)

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread = threading.Thread(target=self._run, name="segsort-chores", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for the running chore."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            for number, chore in enumerate(self._chores):
                if not self._stop.is_set():
                    self._do(number, chore)

    def _do(self, number: int, chore: Callable[[], object]) -> None:
        try:
            chore()
            self._failing.discard(number)
        except Exception as error:  # the thread must not end
            if number not in self._failing:
                known = isinstance(error, SQLAlchemyError)
                _log.warning("housekeeping failed, trying again: %s", error, exc_info=not known)
            self._failing.add(number)
