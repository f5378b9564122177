"""What callers may still ask for: rates a minute, which each process counts for itself, and quotas of a day."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Engine

from service.http.addresses import subscriber
from service.http.budgets import Kind, kind_of
from service.http.callers.rate import Rate
from service.http.callers.usage import DAY, Usage, until_tomorrow
from service.http.keys import Access, Key
from service.http.limits import Limits
from service.problems import Problem
from service.records.usage_rows import Used
from service.settings import Settings

_MINUTE = 60
_ACCOUNTS = 10_000  # most callers that are remembered, the last; some 6 MB
RATE_LIMIT_HEADERS = ("RateLimit-Policy", "RateLimit")
_WHAT = {"reads": "requests", "edits": "edits", "images": "images", "pixels": "pixels"}


class Standing(NamedTuple):
    """How a caller stands with one limit.

    name: of the limit; quota: its number; window: its time, seconds; remaining: what is left of the quota; reset:
    seconds until the whole quota is available again.
    """

    name: str
    quota: int
    window: int
    remaining: int
    reset: float


class LimitReached(Problem):
    """429: a limit of the key, or of the address where the service asks for no keys."""

    def __init__(self, standing: Standing, wait: float) -> None:
        self.limit = standing.name
        seconds = max(1, math.ceil(wait))
        kind, _, window = standing.name.partition("_per_")
        what = _WHAT[kind] if standing.quota != 1 else _WHAT[kind].removesuffix("s")
        super().__init__(
            429,
            f"The limit of {standing.quota:,} {what} in a {window} is reached.",
            received=f"{standing.remaining} left of {standing.name}",
            allowed=f"{standing.name}={standing.quota}",
            fix=f"Wait {_in_words(seconds)}, then try again. The operator can raise the limit.",
            headers={"Retry-After": str(seconds), **rate_limit_headers([standing])},
        )


class Charge:
    """What one request spends."""

    def __init__(self, account: "Account", kind: Kind, usage: Usage, refused: Counter[str]) -> None:
        self._account, self._kind, self._usage, self._refused = account, kind, usage, refused
        self._spent = Used()

    @property
    def headers(self) -> dict[str, str]:
        """The headers `RateLimit-Policy` and `RateLimit` of the answer."""
        return rate_limit_headers(list(self._account.standings(self._usage, self._kind)))

    def spend_image(self) -> None:
        """Spend one image of the day.

        Raises:
            LimitReached: if images or pixels are used up.
        """
        self._account.check_day(self._usage, Used(images=1))
        self._add(Used(images=1))

    def another(self) -> "Charge":
        """What a further image of the request spends: as much as a request for it alone.

        Raises:
            LimitReached: if a limit is reached.
        """
        more = Charge(self._account, self._kind, self._usage, self._refused)
        try:
            more.spend_image()
            self._account.spend(self._kind)
        except LimitReached as reached:
            more.give_back()
            self._refused[reached.limit] += 1
            raise
        return more

    def spend_images(self, count: int) -> None:
        """Spend images of the day beside the first one. What is in the background does not count for the minute.

        Raises:
            LimitReached: if fewer are left.
        """
        try:
            self._account.check_day(self._usage, Used(images=count))
        except LimitReached as reached:
            self._refused[reached.limit] += 1
            raise
        self._add(Used(images=count))

    def spend_pixels(self, pixels: int) -> None:
        """Spend pixels of the day, when the size of an image is known.

        Raises:
            LimitReached: if fewer are left.
        """
        if self._account.limits.pixels_per_day is not None:
            try:
                self._account.check_day(self._usage, Used(pixels=pixels))
            except LimitReached as reached:
                self._refused[reached.limit] += 1
                raise
            self._add(Used(pixels=pixels))

    def give_back(self) -> None:
        """Give back what a refused or failed request spent of the day."""
        if self._spent != Used():
            self._usage.add(self._account.name, Used(-self._spent.images, -self._spent.pixels))
            self._spent = Used()

    def _add(self, used: Used) -> None:
        if self._account.limits.of_day:
            self._usage.add(self._account.name, used)
            self._spent = self._spent.plus(used)


class Account:
    """The limits of one caller, and its rates.

    Attributes:
        name: of the key, or the address.
        limits: that hold.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        quotas = {kind: getattr(limits, f"{kind}_per_minute") for kind in ("reads", "edits", "images")}
        self._rates = {kind: Rate(quota, _MINUTE) for kind, quota in quotas.items() if quota is not None}

    def spend(self, kind: Kind) -> None:
        """Spend one request of the minute.

        Raises:
            LimitReached: if there are too many.
        """
        rate = self._rates.get(kind)
        wait = 0.0 if rate is None else rate.spend(time.monotonic())
        if wait:
            raise LimitReached(self._of_rate(kind), wait)

    def check_day(self, usage: Usage, more: Used) -> None:
        """Check that the quotas of the day have more left.

        Raises:
            LimitReached: if not, or if a quota is used up.
        """
        used = usage.used(self.name)
        for standing, spent, asked in zip(
            self._of_day(used), used, (max(more.images, 0), max(more.pixels, 1)), strict=True
        ):
            if standing is not None and spent + asked > standing.quota:
                raise LimitReached(standing, standing.reset)

    def standings(self, usage: Usage, only: Kind | None = None) -> Iterator[Standing]:
        """How the caller stands with each of its limits, or with those of one kind of requests."""
        for kind in self._rates:
            if only in (None, kind):
                yield self._of_rate(kind)
        if self.limits.of_day and only in (None, "images"):
            yield from filter(None, self._of_day(usage.used(self.name)))

    def _of_rate(self, kind: str) -> Standing:
        rate, now = self._rates[kind], time.monotonic()
        return Standing(f"{kind}_per_minute", rate.quota, _MINUTE, rate.remaining(now), rate.reset(now))

    def _of_day(self, used: Used) -> list[Standing | None]:
        """Images, then pixels; None: no limit."""
        reset, found = until_tomorrow(), list[Standing | None]()
        for name, spent in (("images_per_day", used.images), ("pixels_per_day", used.pixels)):
            quota = getattr(self.limits, name)
            found.append(None if quota is None else Standing(name, quota, DAY, max(0, quota - spent), reset))
        return found


class Spending:
    """The accounts of all callers: of keys by name, and without keys of addresses.

    Args:
        settings: limits of callers whose key has none of its own.
        database: stores what keys use of a day.

    Attributes:
        refused: how many requests each limit refused, by its name.
    """

    def __init__(self, settings: Settings, database: Engine) -> None:
        self._defaults = Limits.of(settings)
        self._of_keys, self._of_addresses = Usage(database), Usage(None)
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self.refused: Counter[str] = Counter()

    def begin(self, key: Key | None, address: str, method: str, path: str) -> Charge | None:
        """Spend what a request needs before its body is read; None: the caller has no limits.

        Args:
            key: of the caller; None where the service asks for no keys.
            address: of the client.
            method: of the request.
            path: of the request, without the root path.

        Raises:
            LimitReached: if a limit is reached.
        """
        account = self._account(key, address)
        if account is None:
            return None
        kind = kind_of(method, path)
        charge = Charge(account, kind, self._usage(key), self.refused)
        try:
            if kind == "images":
                charge.spend_image()
            account.spend(kind)
        except LimitReached as reached:
            charge.give_back()
            self.refused[reached.limit] += 1
            raise
        return charge

    def standings(self, key: Key | None, address: str) -> list[Standing]:
        """How a caller stands with each of its limits."""
        account = self._account(key, address)
        return [] if account is None else list(account.standings(self._usage(key)))

    def write(self, access: Access) -> None:
        """Store what keys have used of the day, and read what they used in other processes.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if self._defaults.of_day or any(self._defaults.changed(key.options).of_day for key in access.keys):
            self._of_keys.write()

    def _usage(self, key: Key | None) -> Usage:
        return self._of_addresses if key is None else self._of_keys

    def _account(self, key: Key | None, address: str) -> Account | None:
        if not self._defaults.any and (key is None or not key.options):
            return None
        name = subscriber(address) if key is None else key.caller.name
        limits = self._defaults if key is None else self._defaults.changed(key.options)
        found = self._accounts.pop(name, None)
        if found is None or found.limits != limits:  # the file of keys may have changed them
            found = Account(name, limits)
        self._accounts[name] = found  # the last one
        if len(self._accounts) > _ACCOUNTS:
            self._accounts.popitem(last=False)
        return found if limits.any else None


def rate_limit_headers(standings: list[Standing]) -> dict[str, str]:
    """The headers of the draft standard `RateLimit header fields for HTTP`."""
    if not standings:
        return {}
    policies = ", ".join(f'"{one.name}";q={one.quota};w={one.window}' for one in standings)
    present = ", ".join(f'"{one.name}";r={one.remaining};t={math.ceil(one.reset)}' for one in standings)
    return dict(zip(RATE_LIMIT_HEADERS, (policies, present), strict=True))


def _in_words(seconds: int) -> str:
    """A time for people, such as 12 seconds or 5 hours."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds > 2 * size:
            return f"{math.ceil(seconds / size)} {unit}"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
