"""Room for new rows: answers are refused before the database reaches its quota or the disk is full, edits later."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine

from service.problems import Problem
from service.records.figures import Figures, measure

EDITS = 10  # one part in so many of the quota and of the reserve is left to edits
_PAUSE, _SHARE = 1.0, 50  # seconds between two measurements, and at least so many times the duration of one


class Limits(NamedTuple):
    """quota: largest space of the database, bytes; None: no limit. reserve: bytes of the disk that stay free."""

    quota: int | None = None
    reserve: int = 0


class Room:
    """Knows how much space is left, from a measurement each second and from what was written since.

    Args:
        database: an open database.
        limits: what it may take.

    Attributes:
        figures: the last measurement.
        refused: number of requests that were refused.
    """

    def __init__(self, database: Engine, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self.limits, self._clock = database, limits, clock
        self.figures = Figures()
        self.refused = 0
        self._written = 0  # bytes since the last measurement
        self._next = 0.0
        self._lock = threading.Lock()

    def look(self) -> None:
        """Measure, if the last measurement is old enough.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        begun = self._clock()
        if begun < self._next:
            return
        before = self._written
        self.figures = measure(self._database)
        with self._lock:
            self._written -= before
        ended = self._clock()
        self._next = ended + max(_PAUSE, _SHARE * (ended - begun))

    def note(self, size: int) -> None:
        """Take account of bytes that are written."""
        with self._lock:
            self._written += size

    @property
    def left(self) -> int | None:
        """Bytes that answers may still take; None: there is no limit."""
        return self._left(*self._for_answers)

    def check_answer(self) -> None:
        """Refuse an answer that there is no room for.

        Raises:
            Problem: 507.
        """
        self._check(*self._for_answers, "answers", "Reading, explaining, deleting and editing go on.")

    def check_edit(self) -> None:
        """Refuse an edit that there is no room for. Edits have room when answers have none any more.

        Raises:
            Problem: 507.
        """
        quota, reserve = self.limits
        self._check(quota, reserve // EDITS, "edits", "Reading, explaining and deleting go on.")

    @property
    def _for_answers(self) -> tuple[int | None, int]:
        quota, reserve = self.limits
        return None if quota is None else quota - quota // EDITS, reserve

    def _left(self, quota: int | None, reserve: int) -> int | None:
        figures, written = self.figures, self._written
        limits = [] if quota is None else [quota - figures.used - written]
        limits += [] if figures.free is None else [figures.free + figures.unused - written - reserve]
        return min(limits, default=None)

    def _check(self, quota: int | None, reserve: int, what: str, still: str) -> None:
        left = self._left(quota, reserve)
        if left is None or left > 0:
            return
        self.refused += 1
        figures = self.figures
        full = quota is not None and figures.used + self._written >= quota
        raise Problem(
            507, f"The database has no room for more {what}. {still}",
            received=f"{figures.used} bytes in the database" if full else f"{figures.free} bytes free on the disk",
            allowed=f"less than {quota} bytes for {what}" if full else f"more than {reserve} bytes free for {what}",
            fix="Delete answers, or let the operator raise SEGSORT_QUOTA_MB, free space on the disk, or set a "
            "retention (SEGSORT_RETENTION_ANSWERS).",
            headers={"Retry-After": "60"},
        )  # fmt: skip
