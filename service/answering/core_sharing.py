"""Core sharing: how the images that are in the engine at the same time divide the cores."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from segsort.loops import at_most


class CoreSharing:
    """Divides the cores equally among the images in the engine; a single image gets all of them.

    The threads of one image wait for each other at every step, but images do not wait for each other. So several
    images finish sooner with few threads each.

    Args:
        cores: threads in total.
        lanes: images that may use the network at the same time.
    """

    def __init__(self, cores: int, lanes: int) -> None:
        self.cores, self.lanes = cores, lanes
        self._free = threading.BoundedSemaphore(lanes)
        self._counting = threading.Lock()
        self._inside = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Count the caller's image among those that share the cores while the block runs."""
        with self._counting:
            self._inside += 1
        try:
            yield
        finally:
            with self._counting:
                self._inside -= 1

    @contextmanager
    def share(self) -> Iterator[None]:
        """Limit the threads of the block to one image's share of the cores, at least 1."""
        with at_most(max(1, self.cores // max(1, self._inside))):
            yield

    @contextmanager
    def network(self, patience: float | None = None) -> Iterator[None]:
        """Hold one of the lanes through the network while the block runs, with one image's share of the cores.

        Args:
            patience: longest wait for a lane, seconds; None: no limit.

        Raises:
            TimeoutError: if no lane is free in time.
        """
        if not self._free.acquire(timeout=patience):
            raise TimeoutError
        try:
            with self.share():
                yield
        finally:
            self._free.release()
