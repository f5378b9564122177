"""A cache of byte strings that is bounded by their size."""

import threading
from collections import OrderedDict


class ByteCache:
    """Recently used byte strings by name, at most `limit` bytes. Calls from several threads are safe."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """A byte string; None if it is not kept."""
        with self._lock:
            content = self._kept.get(name)
            if content is not None:
                self._kept.move_to_end(name)
            return content

    def add(self, name: str, content: bytes) -> None:
        """Keep a byte string, and forget those that were not used for longest."""
        with self._lock:
            self._bytes += len(content) - len(self._kept.pop(name, b""))
            self._kept[name] = content
            while self._bytes > self._limit:
                self._bytes -= len(self._kept.popitem(last=False)[1])
