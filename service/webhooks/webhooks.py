"""Webhooks as callers make and change them."""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.problems import Problem
from service.records.tables import now
from service.records.webhook_rows import MOST, Webhook
from service.webhooks.addresses import check_literal, parse_url
from service.webhooks.delivery import headers_of
from service.webhooks.events import Name, new_test_event
from service.webhooks.posting import Poster, Reply
from service.webhooks.rules import Rules
from service.webhooks.sender import Sender, Standing
from service.webhooks.signing import new_secret

_log = logging.getLogger("segsort.webhooks")


class Tried(NamedTuple):
    """What became of a test event, and how many seconds it took."""

    reply: Reply
    seconds: float


class Webhooks:
    """Makes, lists, tests, resumes and deletes webhooks, and owns their sender.

    Args:
        database: an open database.
        rules: how events are sent.

    Attributes:
        sender: sends the events.
    """

    def __init__(self, database: Engine, rules: Rules) -> None:
        self.sender = Sender(database, rules)
        self._rules, self._rows = rules, self.sender.rows

    def make(self, url: str, events: Sequence[Name], author: str) -> tuple[Standing, str]:
        """Make a webhook, which gets the events from now on.

        Returns:
            The webhook, and its secret, which is never shown again.

        Raises:
            Problem: 403 where the settings allow none; 409 if there are too many; 422 if the URL is not allowed; 503 if
                the database refuses it.
        """
        self._check_allowed()
        target = parse_url(url)
        check_literal(target, self._rules.targets)
        secret = new_secret()
        webhook = Webhook(uuid.uuid4().hex, url, tuple(dict.fromkeys(events)), author, now(), False)
        ended = self.sender.jobs.number()
        if not self._stored(webhook, secret, ended):
            raise Problem(
                409, f"There are {MOST} webhooks already.", received=MOST + 1, allowed=MOST,
                fix="Delete one that is not needed any more.",
            )  # fmt: skip
        _log.info("webhook %s was made by %s: %s", webhook.webhook_id, author, target.origin)
        return self.get(webhook.webhook_id), secret

    def all(self) -> list[Standing]:
        """All webhooks, the oldest first."""
        return self.sender.look()

    def get(self, webhook_id: str) -> Standing:
        """A webhook.

        Raises:
            Problem: 404 if there is none.
        """
        found = next((one for one in self.all() if one.webhook.webhook_id == webhook_id), None)
        if found is None:
            raise _none(webhook_id)
        return found

    def remove(self, webhook_id: str, author: str) -> None:
        """Delete a webhook. What waits for it is not sent.

        Raises:
            Problem: 404 if there is none.
        """
        self.get(webhook_id)
        self._rows.remove(webhook_id)
        _log.info("webhook %s was deleted by %s", webhook_id, author)

    def resume(self, webhook_id: str, skip: bool, author: str) -> Standing:
        """Send the events of a webhook again, at once.

        Args:
            webhook_id: of the webhook.
            skip: leave out the events that wait.
            author: who asked for it.

        Raises:
            Problem: 404 if there is none.
        """
        left_out = self.get(webhook_id).waiting if skip else 0
        self._rows.resume(webhook_id, self._rows.end(self.sender.jobs.number()) if skip else None)
        _log.info("webhook %s was resumed by %s; %d events are left out", webhook_id, author, left_out)
        return self.get(webhook_id)

    def test(self, webhook_id: str) -> Tried:
        """Send a test event, once.

        Raises:
            Problem: 403 where the settings allow no webhooks; 404 if there is none.
        """
        self._check_allowed()
        webhook, secret = self.get(webhook_id).webhook, self._rows.secret(webhook_id)
        if secret is None:
            raise _none(webhook_id)
        if webhook.altered:
            return Tried(Reply(None, "its row in the database was altered; delete it and make it anew"), 0.0)
        start, event = time.monotonic(), new_test_event(webhook_id)
        poster = Poster(parse_url(webhook.url), self._rules.targets, self._rules.timeout)
        try:
            reply = poster.post(event.body, headers_of(secret, event))
        finally:
            poster.close()
        return Tried(reply, time.monotonic() - start)

    def _stored(self, webhook: Webhook, secret: str, ended: int) -> bool:
        try:
            return self._rows.add(webhook, secret, ended)
        except SQLAlchemyError as error:
            received = str(getattr(error, "orig", None) or type(error).__name__)[:200]
        raise Problem(  # outside of the block: the text of the error contains the secret
            503, "The database does not answer.", received=received,
            fix="Try again later. The operator should check the database.",
        )  # fmt: skip

    def _check_allowed(self) -> None:
        if self._rules.targets == "none":
            raise Problem(
                403, "This service sends no webhooks.", received="none", allowed="any or public",
                fix="Ask the operator to set SEGSORT_API_KEYS, or SEGSORT_WEBHOOK_TARGETS. Without keys, whoever "
                "reaches an open service could make it send requests into its network.",
            )  # fmt: skip


def _none(webhook_id: str) -> Problem:
    return Problem(
        404, "There is no such webhook.", received=webhook_id, allowed="the webhook_id of a webhook",
        fix="Take the id from GET /webhooks.",
    )  # fmt: skip
