"""What callers have used of their quotas of a day, in all processes over one database and over restarts."""

import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime

from sqlalchemy import Engine

from service.records.usage_rows import NOTHING, Used, add_usage

DAY = 86_400  # seconds
_REMEMBERED = 10_000  # callers, the last ones


class Usage:
    """Counts images and pixels of each caller on the present day (UTC).

    What this process counts is known at once. The counts of others are known after the next `write`, about a second
    later.

    Args:
        database: stores the counts; None: they are of this process alone, and lost when it ends.
    """

    def __init__(self, database: Engine | None) -> None:
        self._database, self._lock = database, threading.Lock()
        self._day = today()
        self._stored: dict[str, Used] = {}  # as it was read
        self._sending: dict[str, Used] = {}  # perhaps stored already
        self._added: OrderedDict[str, Used] = OrderedDict()  # since then

    def used(self, name: str) -> Used:
        """What a caller has used today."""
        with self._lock:
            self._begin_day()
            found = self._stored.get(name, NOTHING)
            return found.plus(self._sending.get(name, NOTHING)).plus(self._added.get(name, NOTHING))

    def add(self, name: str, used: Used) -> None:
        """Count what a caller uses, or less than nothing where it is given back."""
        with self._lock:
            self._begin_day()
            self._added[name] = self._added.get(name, NOTHING).plus(used)
            self._added.move_to_end(name)
            if self._database is None and len(self._added) > _REMEMBERED:
                self._added.popitem(last=False)

    def write(self) -> None:
        """Store what was counted, and read what other processes have counted.

        Raises:
            SQLAlchemyError: if the database does not store it; it is stored the next time.
        """
        if self._database is None:
            return
        with self._lock:
            self._begin_day()
            day, self._sending, self._added = self._day, dict(self._added), OrderedDict()
        stored = None
        try:
            stored = add_usage(self._database, iso_day(day), self._sending)
        finally:
            with self._lock:
                if day == self._day and stored is not None:
                    self._stored = stored
                elif day == self._day:
                    for name, used in self._sending.items():
                        self._added[name] = used.plus(self._added.get(name, NOTHING))
                self._sending = {}

    def _begin_day(self) -> None:
        day = today()
        if day != self._day:
            self._day = day
            self._stored, self._sending, self._added = {}, {}, OrderedDict()


def today() -> int:
    """The number of the present day in UTC, since 1970."""
    return int(time.time()) // DAY


def iso_day(day: int) -> str:
    """A day as it is stored, such as 2026-05-04."""
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def until_tomorrow() -> float:
    """Seconds until the next day begins in UTC."""
    return DAY - time.time() % DAY
