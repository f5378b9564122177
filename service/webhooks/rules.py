"""How events are sent, by the settings."""

import random
from typing import NamedTuple

from service.settings import Settings
from service.webhooks.addresses import Targets

_MARGIN_S = 5.0  # by which a lease outlasts a try
_LONGEST_WAIT_S = 86_400.0  # that a receiver may ask for
_JITTER = (0.75, 1.25)


class Rules(NamedTuple):
    """How events are sent.

    targets: addresses that are allowed; timeout: seconds for a try; first_pause, longest_pause: seconds after the first
    failure and at most; days, backlog: a webhook that fails is stopped after so many days, or when so many events wait;
    root_path: path below which a proxy publishes the service.
    """

    targets: Targets
    timeout: float
    first_pause: float
    longest_pause: float
    days: float
    backlog: int
    root_path: str

    @classmethod
    def of(cls, settings: Settings, asks_for_keys: bool, root_path: str) -> "Rules":
        """Read the settings.

        Args:
            settings: of the service.
            asks_for_keys: whether callers need keys. Where they do not, and other machines are let in, whoever reaches
                the service could make it send requests into its network; so nothing is sent unless a setting says so.
            root_path: path below which a proxy publishes the service.
        """
        targets: Targets = "none" if settings.open and not asks_for_keys else "any"
        if settings.webhook_targets != "auto":
            targets = settings.webhook_targets
        return cls(
            targets, settings.webhook_timeout_s, settings.webhook_pause_s, settings.webhook_longest_pause_s,
            settings.webhook_days, settings.webhook_backlog, root_path,
        )  # fmt: skip

    @property
    def lease(self) -> float:
        """Seconds that a process may take for one event."""
        return self.timeout + _MARGIN_S

    def pause(self, failures: int, retry_after: float | None) -> float:
        """Seconds until the next try: doubled after each failure, at least what the receiver asks for.

        Args:
            failures: in a row, before this one.
            retry_after: seconds that the receiver asks for; None: it does not.
        """
        own = min(self.longest_pause, self.first_pause * 2.0 ** min(failures, 60)) * random.uniform(*_JITTER)
        return max(own, min(retry_after or 0.0, _LONGEST_WAIT_S))
