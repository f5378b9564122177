"""Open releases: the last ones that requests needed, and all that something still uses."""

import threading
import time
from collections import OrderedDict
from weakref import WeakValueDictionary

from service.records.live_release import LiveRelease

MOST = 8  # releases that stay open though nothing uses them
_PAUSE = 30.0  # seconds before a release that could not be used is tried again


class OpenReleases:
    """Releases by digest. Calls from several threads are safe.

    A release that the service serves, or that a request holds, stays open. Of the others, the `most` that were needed
    last do.

    Args:
        most: number of releases.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._used = WeakValueDictionary[str, LiveRelease]()
        self._recent = OrderedDict[str, LiveRelease]()  # the last needed one at the end
        self._unusable = dict[str, float]()  # by digest: when it may be tried again, by the monotonic clock
        self._lock = threading.Lock()

    def get(self, digest: str) -> LiveRelease | None:
        """An open release, which then counts as the last needed one; None if it is not open."""
        with self._lock:
            live = self._used.get(digest)
            if live is not None:
                self._keep(live)
            return live

    def add(self, live: LiveRelease) -> None:
        """Note an open release, in place of one with its digest."""
        with self._lock:
            self._used[live.digest] = live
            self._keep(live)

    def all(self) -> list[LiveRelease]:
        """The open releases. They do not count as needed."""
        with self._lock:
            return list(self._used.values())

    def refuse(self, digest: str) -> None:
        """Note that a release cannot be used, after all its files were read: it is not tried again for a while."""
        now = time.monotonic()
        with self._lock:
            self._unusable = {one: until for one, until in self._unusable.items() if until > now}
            self._unusable[digest] = now + _PAUSE

    def is_refused(self, digest: str) -> bool:
        """Check whether a release could not be used a moment ago."""
        with self._lock:
            return self._unusable.get(digest, 0.0) > time.monotonic()

    def _keep(self, live: LiveRelease) -> None:
        self._recent[live.digest] = live
        self._recent.move_to_end(live.digest)
        while len(self._recent) > self._most:
            self._recent.popitem(last=False)
