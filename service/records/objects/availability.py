"""Whether calls to an object store are let through: a store that does not answer must not hold up its callers."""

import threading
import time

from service.problems import Problem

_STALLED = 3.0  # seconds without an answer after which further calls do not join the ones that wait
_PAUSE, _LONGEST_PAUSE = 1.0, 30.0  # seconds after a failure in which calls are refused, doubled each time


class StoreUnavailable(Problem):
    """503: the image store does not answer. The image can be sent, or asked for, again."""

    def __init__(self, why: str, retry_after: float) -> None:
        super().__init__(
            503, "The image store does not answer, so the image can be neither kept nor read now.", received=why,
            fix="Try again. If it fails again, the operator should check the store of SEGSORT_IMAGES_URL; the log "
            "names the cause.",
            headers={"Retry-After": str(max(1, round(retry_after)))},
        )  # fmt: skip


class Begun:
    """A call that is under way; at: when it began."""

    def __init__(self) -> None:
        self.at = time.monotonic()


class Availability:
    """Whether calls are let through: after a failure only one at a time, after a pause that doubles.

    Attributes:
        failures: how many calls in a row failed.
    """

    def __init__(self, timeout: float) -> None:
        self._stalled = min(_STALLED, timeout / 2)
        self.failures = 0
        self._not_before = 0.0
        self._last_success = 0.0
        self._running: set[Begun] = set()
        self._lock = threading.Lock()

    def begin(self) -> Begun:
        """Note that a call begins.

        Raises:
            StoreUnavailable: if calls are refused now.
        """
        with self._lock:
            self._check()
            begun = Begun()
            self._running.add(begun)
            return begun

    def check(self) -> None:
        """Raise StoreUnavailable if calls are refused now."""
        with self._lock:
            self._check()

    def _check(self) -> None:
        present = time.monotonic()
        if self.failures and (present < self._not_before or self._running):
            raise StoreUnavailable("the last calls failed", max(1.0, self._not_before - present))
        oldest = min((one.at for one in self._running), default=present)
        if present - max(oldest, self._last_success) > self._stalled:
            raise StoreUnavailable(f"it has not answered for {present - oldest:.1f} s", self._stalled)

    def end(self, begun: Begun) -> None:
        """Note that a call has ended."""
        with self._lock:
            self._running.discard(begun)

    def succeed(self) -> bool:
        """Note that a call succeeded; returns whether the one before it failed."""
        with self._lock:
            failed, self.failures = self.failures, 0
            self._last_success = time.monotonic()
            return failed > 0

    def fail(self) -> tuple[bool, float]:
        """Note that a call failed; returns whether it is the first in a row, and the seconds until the next one."""
        with self._lock:
            present = time.monotonic()
            is_first = self.failures == 0
            if is_first or present >= self._not_before:  # calls that fail together count once
                pause = min(_LONGEST_PAUSE, _PAUSE * 2**self.failures)
                self.failures, self._not_before = self.failures + 1, present + pause
            return is_first, self._not_before - present
