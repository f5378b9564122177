"""Open connections: how many there may be, how long each may wait, and which one is closed to make room."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.http.callers.rate import Rate
from service.http.callers.refusals import Refusals
from service.http.open_files import PROBES, RESERVED, body_files, file_limit
from service.settings import Settings

_log = logging.getLogger("segsort.connections")
MOST = 2000  # connections without the setting: more use memory, and no more images are answered
_LOG_S = 10.0  # seconds between two lines of one reason
_SHARE = 16  # to make room, one of so many connections is closed, so that the search for them is rare
_ROOM_PER_S = 1500  # connections that are closed in a second to make room; meanwhile new ones wait in the kernel
_IDLE_S = 1.0  # to make room, connections that are idle for longer are closed first
_SLOW_S = 2.0  # then those that have sent a body or have read an answer for longer
_DISCARDED, _DISCARDED_S = 64, 4.0  # megabytes of refused requests that are read in so many seconds, all together
_LONGEST_PAUSE_S = 1.0  # of a connection whose request was refused, and between two connections that are accepted
_MAX_UNREAD = 256_000_000  # bytes of answers that callers have not read yet, all connections together
_MAX_SOURCES = 1000  # addresses that are counted for one line of the log


class Limits(NamedTuple):
    """Limits of the connections of one process.

    Attributes:
        most: largest number of open connections; the health routes have `PROBES` more.
        header_s: longest time for the head of a request to arrive, seconds.
        idle_s: longest time between two requests, seconds.
        stall_s: longest time in which a caller reads less than 64 kB of an answer, seconds.
    """

    most: int
    header_s: float
    idle_s: float
    stall_s: float

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits by the settings and by the limit of open files.

        Raises:
            ValueError: if the limit of open files is too low for the setting `max_connections`.
        """
        times = (settings.header_timeout_s, settings.idle_timeout_s, settings.stall_timeout_s)
        files = file_limit()
        others = RESERVED + body_files(files)
        if files is None:
            return cls(settings.max_connections or MOST, *times)
        if settings.max_connections is not None and settings.max_connections + others > files:
            raise ValueError(
                f"max_connections={settings.max_connections} needs {settings.max_connections + others} open files, and "
                f"this process may open {files}; raise the limit (ulimit -n), or lower SEGSORT_MAX_CONNECTIONS"
            )
        return cls(settings.max_connections or max(1, min(MOST, files - others)), *times)


class Waiting(Protocol):
    """What `Connections` needs to know of a connection."""

    source: str  # address of the caller
    since: float  # when the present state began, seconds of `time.monotonic`
    provisional: bool  # whether it may only send requests to the health routes

    @property
    def idle(self) -> bool:
        """Whether no request is being answered or received."""

    @property
    def slow(self) -> float | None:
        """Since when the caller sends a body or reads an answer; None: it does neither."""

    @property
    def unread(self) -> int:
        """Bytes of answers that wait for the caller."""

    def overdue(self, now: float) -> str | None:
        """The reason to end the connection at this time; "": one that is not counted; None: there is none."""

    def give_up(self, reason: str) -> None:
        """Answer if that makes sense, and close in a moment."""

    def abort(self) -> None:
        """Close without further answers."""


class Discarding:
    """Limits the bytes of refused requests that are read and discarded, all connections together.

    The rest of a refused request is read, so that its caller can read the refusal. It may be as large as the caller
    wishes, so it is read at a limited rate.

    Attributes:
        bytes: that were discarded so far.
    """

    def __init__(self) -> None:
        self.bytes, self._rate = 0, Rate(_DISCARDED * 1000, _DISCARDED_S)

    def pause(self, size: int) -> float:
        """Take account of discarded bytes. Returns the seconds for which their connection is not read."""
        self.bytes += size
        return self._rate.owe(time.monotonic(), size / 1000, _LONGEST_PAUSE_S)


class Connections:
    """The open connections of one process.

    A connection above the cap takes the place of others: those of the address with the most connections first, and
    the ones that have waited longest first. Connections that are idle for a second make room, then those that have
    sent a body or have read an answer for two seconds, then the older half of the idle ones. If there are none of
    these, the new connection may send requests to the health routes only.

    Attributes:
        limits: of this process.
        refusals: delays them where there are many.
        discarding: limits what is read of refused requests.
        ended: number of connections that were closed or refused, by reason.
    """

    def __init__(self, limits: Limits, refusals: Refusals | None = None) -> None:
        self.limits, self.refusals, self.discarding = limits, refusals or Refusals(0), Discarding()
        self.ended: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))
        self._open: set[Waiting] = set()
        self._stalled: set[Waiting] = set()
        self._room, self._accept_at = Rate(_ROOM_PER_S // 10, 0.1), 0.0
        self._lines = {reason: _Line(reason, text) for reason, text in _REASONS.items()}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, new: Waiting) -> None:
        """Take account of a new connection: make room for it, or restrict it to the health routes, or refuse it."""
        self._open.add(new)
        if len(self._open) <= self.limits.most:
            return
        self._make_room(new)
        if len(self._open) > self.limits.most + PROBES:
            self.end(new, "refused")
        else:
            new.provisional = len(self._open) > self.limits.most

    def pause(self) -> float:
        """Seconds for which no connection is to be accepted, because many were closed to make room.

        Otherwise callers who connect again at once would keep the service busy with nothing else.
        """
        return max(0.0, self._accept_at - time.monotonic())

    def closed(self, one: Waiting) -> None:
        """Forget a connection that is closed."""
        self._open.discard(one)
        self._stalled.discard(one)

    def stalled(self, one: Waiting) -> None:
        """Take account of a caller that reads more slowly than its answer is written. All of them are limited."""
        self._stalled.add(one)
        unread = sum(other.unread for other in self._stalled)
        if unread <= _MAX_UNREAD or len(self._stalled) == 1:
            return
        for other in sorted(self._stalled - {one}, key=lambda other: other.slow or 0.0):
            unread -= other.unread
            self.end(other, "unread")
            if unread <= _MAX_UNREAD:
                return

    def flows(self, one: Waiting) -> None:
        """Take account of a caller that has read what was written."""
        self._stalled.discard(one)

    def end(self, one: Waiting, reason: str) -> None:
        """Close a connection and count the reason."""
        self.count(reason, one.source)
        self.closed(one)
        one.abort()

    def count(self, reason: str, source: str) -> None:
        """Count a connection that is closed for a reason, or a request that is refused with it."""
        self.ended[reason] += 1
        self._lines[reason].count(source)

    def sweep(self) -> None:
        """End what has waited too long, and log what ended. The server calls this twice a second."""
        now = time.monotonic()
        for one in list(self._open):
            reason = one.overdue(now)
            if reason:
                self.count(reason, one.source)
            if reason is not None:
                one.give_up(reason)
        for line in self._lines.values():
            line.log(now, len(self._open), self.limits)

    def _make_room(self, new: Waiting) -> None:
        """Close connections until there is room, or until each of the others may be a good one."""
        others, now = [one for one in self._open if one is not new], time.monotonic()
        idle = [one for one in others if one.idle]
        self._close_some([one for one in idle if one.since < now - _IDLE_S], "made_room")
        if len(self._open) > self.limits.most:
            self._close_some([one for one in others if (one.slow or now) < now - _SLOW_S], "too_slow")
        if len(self._open) > self.limits.most:
            idle.sort(key=lambda one: one.since)
            self._close_some(idle[: (len(idle) + 1) // 2], "made_room")

    def _close_some(self, found: Iterable[Waiting], reason: str) -> None:
        held = Counter(one.source for one in self._open)
        longest = sorted(found, key=lambda one: (-held[one.source], one.since))
        ended, now = longest[: max(1, self.limits.most // _SHARE)], time.monotonic()
        for one in ended:
            self.end(one, reason)
        self._accept_at = now + self._room.owe(now, len(ended), _LONGEST_PAUSE_S)


_ROOM = " to make room (SEGSORT_MAX_CONNECTIONS, and the limit of open files, ulimit -n)"
_REASONS = {  # of an ended connection: the text of its line in the log, after the number of connections
    "made_room": "idle connections were closed" + _ROOM,
    "too_slow": "connections that send or read slowly were closed" + _ROOM,
    "refused": "new connections were refused, because all others have a request; no one could be closed" + _ROOM,
    "header_timeout": "connections sent no complete request head in SEGSORT_HEADER_TIMEOUT_S",
    "body_after_answer": "connections sent a body more slowly than SEGSORT_HEADER_TIMEOUT_S after it was refused",
    "stall_timeout": "connections did not read their answer in SEGSORT_STALL_TIMEOUT_S",
    "unread": f"slow readers were disconnected: together they had not read {_MAX_UNREAD // 10**6} MB of answers",
    "head_too_large": "requests with a head above the limit were refused",
    "malformed": "requests were refused because they are not HTTP/1.1; TLS on this port needs a proxy",
    "pipelined": "connections sent too many requests without reading the answers",
}


class _Line:
    """The line of the log about one reason: at most one in 10 s, with the number of connections since the last."""

    def __init__(self, reason: str, text: str) -> None:
        self._reason, self._text = reason, text
        self._count, self._next = 0, 0.0
        self._sources: Counter[str] = Counter()

    def count(self, source: str) -> None:
        self._count += 1
        if len(self._sources) < _MAX_SOURCES or source in self._sources:
            self._sources[source] += 1

    def log(self, now: float, open_now: int, limits: Limits) -> None:
        if not self._count or now < self._next:
            return
        [(source, most)] = self._sources.most_common(1)
        _log.warning(
            "%d %s: %d of them from %s, %d of at most %d connections are open",
            self._count, self._text, most, source, open_now, limits.most,
        )  # fmt: skip
        self._count, self._next = 0, now + _LOG_S
        self._sources.clear()


class ConnectionMetrics(Collector):
    """Metrics of the connections: how many are open, and how many were ended by reason."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Read the numbers."""
        discarding, refusals = self._connections.discarding, self._connections.refusals
        yield GaugeMetricFamily("segsort_connections", "Open connections", len(self._connections))
        yield GaugeMetricFamily(
            "segsort_max_connections", "Largest number of open connections", self._connections.limits.most
        )
        ended = CounterMetricFamily(
            "segsort_connections_ended", "Connections that were closed or refused by a limit", labels=["reason"]
        )
        for reason, count in self._connections.ended.items():
            ended.add_metric([reason], count)
        yield ended
        yield CounterMetricFamily(
            "segsort_discarded_bytes", "Bytes of refused requests that were discarded", discarding.bytes
        )
        yield CounterMetricFamily("segsort_refusals_delayed", "Refusals that were delayed", refusals.delayed)
        yield GaugeMetricFamily("segsort_refusals_holding", "Refusals that are being delayed", refusals.holding)
