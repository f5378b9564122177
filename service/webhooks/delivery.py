"""Delivering the events of one webhook: one after another, until none is left or one fails."""

import logging
import threading
import time
from collections import Counter

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.records.webhook_rows import Position, Progress, Webhook, WebhookRows, waiting
from service.webhooks.addresses import Target
from service.webhooks.events import Event, next_events
from service.webhooks.posting import Poster, Reply
from service.webhooks.rules import Rules
from service.webhooks.signing import signed_headers

_PAUSE_S = 0.5  # between two tries to note in the database what was delivered
_GONE = 410
_DAY_S = 86_400

_log = logging.getLogger("segsort.webhooks")


def headers_of(secret: str, event: Event) -> dict[str, str]:
    """All headers of an event but those of HTTP itself."""
    about = {"Content-Type": "application/json", "User-Agent": "segsort-webhooks"}
    return about | signed_headers(secret, event.event_id, int(time.time()), event.body)


class Delivery:
    """Sends the events of one webhook while this process has the lease for it.

    Args:
        database: holds the events.
        rows: the webhooks.
        owner: names this process.
        rules: how events are sent.
        counts: outcomes of tries, by webhook and outcome; they are counted here.
        stop: set when the process ends.
    """

    def __init__(
        self, database: Engine, rows: WebhookRows, owner: str, rules: Rules, counts: Counter[tuple[str, str]],
        stop: threading.Event,
    ) -> None:  # fmt: skip
        self._database, self._rows, self._owner = database, rows, owner
        self._rules, self._counts, self._stop = rules, counts, stop

    def run(self, webhook: Webhook, target: Target, ended: int) -> None:
        """Send what waits, unless another process has the lease.

        Args:
            webhook: its events are sent.
            target: where.
            ended: number of the last ended job.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if not self._rows.take_lease(webhook.webhook_id, self._owner, self._rules.lease):
            return
        poster = Poster(target, self._rules.targets, self._rules.timeout)
        try:
            while not self._stop.is_set() and self._send_some(webhook, target, poster, ended):
                pass
        finally:
            poster.close()
            self._rows.give_lease_back(webhook.webhook_id, self._owner)

    def _send_some(self, webhook: Webhook, target: Target, poster: Poster, ended: int) -> bool:
        """Send the next events.

        Returns:
            False if there are none, one failed, another process has the lease, or what waited was left out meanwhile.
            The next delivery reads the position again.
        """
        found, secret = self._rows.get(webhook.webhook_id), self._rows.secret(webhook.webhook_id)
        if found is None or secret is None or found[1].lease != self._owner:
            return False
        at, end = Position(found[1].edit, found[1].job), self._rows.end(ended)
        with self._database.connect() as connection:
            events = next_events(connection, webhook.events, at, self._rules.root_path)
        if not events:
            gone = Position(max(at.edit, end.edit), max(at.job, end.job))  # the rows up to there were deleted
            if gone != at:
                self._rows.skip(webhook.webhook_id, self._owner, gone)
            return False
        failures = found[1].failures
        for event in events:
            if self._stop.is_set():
                return False
            reply = poster.post(event.body, headers_of(secret, event))
            if reply.problem is not None:
                self._failed(webhook, target, reply, event, ended)
                return False
            self._counts[webhook.webhook_id, "delivered"] += 1
            if not self._noted(webhook, event):
                return False
            if failures:
                _log.info("webhook %s: %s is answered again", webhook.webhook_id, target.origin)
            failures = 0
        return True

    def _noted(self, webhook: Webhook, event: Event) -> bool:
        """Note that an event was delivered; try for as long as the lease lasts. False: see `WebhookRows.advance`."""
        end = time.monotonic() + self._rules.lease - self._rules.timeout
        while True:
            try:
                return self._rows.advance(
                    webhook.webhook_id, self._owner, event.stream, event.number, self._rules.lease
                )
            except SQLAlchemyError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE_S)

    def _failed(self, webhook: Webhook, target: Target, reply: Reply, event: Event, ended: int) -> None:
        self._counts[webhook.webhook_id, "failed"] += 1
        found = self._rows.get(webhook.webhook_id)
        if found is None:  # it was deleted meanwhile
            return
        problem, progress = f"{event.event_id}: {reply.problem}", found[1]
        why = self._why_stop(webhook, progress, reply, ended)
        if why is not None:
            _log.warning("webhook %s: %s is stopped: %s; %s", webhook.webhook_id, target.origin, why, problem)
            self._rows.stop(webhook.webhook_id, f"{why}; {problem}")
            return
        if not progress.failures:
            _log.warning("webhook %s: %s: %s; trying again", webhook.webhook_id, target.origin, problem)
        pause = self._rules.pause(progress.failures, reply.retry_after)
        self._rows.fail(webhook.webhook_id, self._owner, problem, pause)

    def _why_stop(self, webhook: Webhook, progress: Progress, reply: Reply, ended: int) -> str | None:
        """Why no further try is made; None: one is made."""
        if reply.status == _GONE:
            return "it wants no more events"
        since = progress.failing_since
        if since is not None and (self._rows.time() - since).total_seconds() > self._rules.days * _DAY_S:
            return f"it has failed for more than {self._rules.days:g} days"
        behind = waiting(webhook, progress, self._rows.end(ended))
        return f"{behind} events wait" if behind > self._rules.backlog else None
