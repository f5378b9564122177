"""Crowd: the images that are in the engine at the same time, and how they share its cores."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from segsort.loops.threads import at_most


class Crowd:
    """Gives an image that is alone every core, and each of several its share: threads of one image wait for each other
    at every step of it, while images do not.

    Args:
        cores: threads that all share.
        lanes: images that the network may work for at the same time.
    """

    def __init__(self, cores: int, lanes: int) -> None:
        self.cores, self.lanes = cores, lanes
        self._free = threading.BoundedSemaphore(lanes)
        self._counting = threading.Lock()
        self._inside = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of those who share."""
        with self._counting:
            self._inside += 1
        try:
            yield
        finally:
            with self._counting:
                self._inside -= 1

    @contextmanager
    def share(self) -> Iterator[None]:
        """Use no more threads in the block than there are for each just now."""
        with at_most(max(1, self.cores // max(1, self._inside))):
            yield

    @contextmanager
    def network(self, patience: float | None = None) -> Iterator[None]:
        """Use the network in the block, as `share` says.

        Raises:
            TimeoutError: if it is not free within so many seconds; None: however long it takes.
        """
        if not self._free.acquire(timeout=patience):
            raise TimeoutError
        try:
            with self.share():
                yield
        finally:
            self._free.release()
