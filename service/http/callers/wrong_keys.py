"""Wrong keys: they are counted, and slowed where there are many."""

import time
from collections import Counter

from service.http.callers.rate import AddressRates, Rate

PER_ADDRESS = 10  # wrong keys a minute from one address that are answered at once with 401
IN_ALL = 100  # wrong keys a minute from all addresses
_WINDOW = 60.0  # seconds
DELAY = 1.0  # seconds before the answer to a further wrong key, see `service.http.callers.refusals`


class WrongKeys:
    """Limits wrong keys by address and in all. A right key is never refused for the wrong ones of others.

    Attributes:
        counts: wrong keys so far, by where they were sent: `header` or `sign_in`.
        slowed: how many of them were answered with 429.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter({"header": 0, "sign_in": 0})
        self.slowed = 0
        self._all = Rate(IN_ALL, _WINDOW)
        self._rates = AddressRates(PER_ADDRESS, _WINDOW)

    def refused(self, address: str, where: str) -> float:
        """Count a wrong key. Returns the seconds after which the next may be sent; 0: at once."""
        self.counts[where] += 1
        now = time.monotonic()
        wait = max(self._rates.of(address).spend(now), self._all.spend(now))
        self.slowed += wait > 0
        return wait
