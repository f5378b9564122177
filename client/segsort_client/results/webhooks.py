"""Webhooks: addresses that the service sends events to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Webhook:
    """An address that events are sent to.

    Attributes:
        webhook_id: id of the webhook.
        url: where events are sent.
        events: what is sent: edit.made, each edit; job.ended, each job that succeeded, failed or was cancelled
            or interrupted.
        author: name of the key of the author; `local` where the service asked for no keys.
        created: time in UTC, RFC 3339 with milliseconds.
        state: failing: the last try failed, and another one follows. stopped: nothing is sent until it is
            resumed.
        waiting: number of events that wait.
        failures: number of tries in a row that failed.
        problem: why the last try failed, or why it was stopped; None: it neither failed nor was stopped.
        next_try: nothing is sent before; None: the next event is sent at once.
        delivered: when the last event was delivered; None: none was.
    """

    webhook_id: str
    url: str
    events: tuple[str, ...]
    author: str
    created: str
    state: str
    waiting: int
    failures: int
    problem: str | None
    next_try: str | None
    delivered: str | None


@dataclass(frozen=True)
class NewWebhook(Webhook):
    """A webhook that was just made.

    Attributes:
        secret: verifies the signatures of its events. It is shown here only, and not in `repr`.
    """

    secret: str = field(repr=False)


@dataclass(frozen=True)
class WebhookTest:
    """What became of a test event.

    Attributes:
        delivered: whether the receiver answered with a status 2XX.
        status: its status; None: there was no answer.
        problem: why the event was not delivered; None: it was.
        seconds: time of the try, seconds.
    """

    delivered: bool
    status: int | None
    problem: str | None
    seconds: float
