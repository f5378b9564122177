"""A rate: how many requests are accepted in a window of time, spread evenly (the generic cell rate algorithm)."""

from collections import OrderedDict

from service.http.addresses import subscriber

_ADDRESSES = 10_000  # most addresses that are remembered, the last ones; some 2 MB


class Rate:
    """Accepts at most `quota` requests at once, and as many again in each window. It stores one number.

    Args:
        quota: number of requests; 0: none is accepted.
        window: seconds.
    """

    __slots__ = ("_full", "quota", "window")

    def __init__(self, quota: int, window: float) -> None:
        self.quota, self.window = quota, window
        self._full = 0.0  # when the whole quota is available again

    def spend(self, now: float) -> float:
        """Spend one request. Returns 0 if it is accepted, or else the seconds until the next would be.

        Args:
            now: seconds of a clock that is never set back.
        """
        if self.quota == 0:
            return self.window
        each = self.window / self.quota
        full = max(self._full, now) + each
        wait = full - now - self.window
        if wait > each * 1e-6:  # more than rounding
            return wait
        self._full = full
        return 0.0

    def owe(self, now: float, amount: float, most: float) -> float:
        """Spend an amount whether it is accepted or not. Returns the seconds by which it is early; 0: it is accepted.

        Args:
            now: seconds of a clock that is never set back.
            amount: in requests.
            most: largest result, seconds; what is owed beyond it is forgotten.
        """
        if self.quota == 0:
            return most
        full = max(self._full, now) + amount * self.window / self.quota
        self._full = min(full, now + self.window + most)
        return max(0.0, self._full - now - self.window)

    def remaining(self, now: float) -> int:
        """How many requests would be accepted at once."""
        if self.quota == 0:
            return 0
        used = max(0.0, self._full - now) / self.window * self.quota
        return max(0, int(self.quota - used + 1e-6))

    def reset(self, now: float) -> float:
        """Seconds until the whole quota is available again."""
        return max(0.0, self._full - now)


class AddressRates:
    """A rate for each address of callers; the last addresses are remembered.

    Args:
        quota, window: of each, see `Rate`.
    """

    def __init__(self, quota: int, window: float) -> None:
        self._quota, self._window = quota, window
        self._rates: OrderedDict[str, Rate] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rates)

    def of(self, address: str) -> Rate:
        """The rate of an address, which it shares with all addresses of its subscriber."""
        name = subscriber(address)
        found = self._rates.pop(name, None) or Rate(self._quota, self._window)
        self._rates[name] = found  # the last one
        if len(self._rates) > _ADDRESSES:
            self._rates.popitem(last=False)
        return found
