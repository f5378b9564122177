"""The sender: looks for webhooks with events that wait, and delivers them in threads of this process."""

import logging
import os
import socket
import threading
import time
import uuid
from collections import Counter
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from service.problems import Problem
from service.records.ended_jobs import EndedJobs
from service.records.webhook_rows import Progress, Webhook, WebhookRows, waiting
from service.webhooks.addresses import parse_url
from service.webhooks.delivery import Delivery
from service.webhooks.rules import Rules

_POLL_S = 0.5  # between two looks
_IDLE_S = 2.0  # without webhooks
_GAP_S = 0.05  # at least, however often it is woken
_CLOSING_S = 3.0  # for all running tries when the process ends; what they deliver may be sent once more

_log = logging.getLogger("segsort.webhooks")


class Standing(NamedTuple):
    """A webhook, how far it is, and how many of its events wait."""

    webhook: Webhook
    progress: Progress
    waiting: int


class Sender:
    """Sends the events of all webhooks of a database. Of several processes, one at a time sends those of a webhook.

    Args:
        database: holds edits, jobs and webhooks.
        rules: how events are sent.

    Attributes:
        rows: the webhooks.
        rules: as given.
        jobs: numbers ended jobs.
        counts: tries of this process, by webhook and outcome: "delivered" or "failed".
        standings: of all webhooks, when this process looked last.
    """

    def __init__(self, database: Engine, rules: Rules) -> None:
        self._database, self.rules = database, rules
        self.rows, self.jobs = WebhookRows(database), EndedJobs(database)
        self.counts = Counter[tuple[str, str]]()
        self.standings: list[Standing] = []
        self._owner = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._stop, self._woken = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._sending: dict[str, threading.Thread] = {}
        self._trouble: str | None = None

    def start(self) -> None:
        """Begin, in a thread; not where the settings allow no targets."""
        if self.rules.targets != "none":
            self._thread = threading.Thread(target=self._run, name="segsort-webhooks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Begin no further try, and give running ones a little time."""
        self._stop.set()
        self._woken.set()
        end = time.monotonic() + _CLOSING_S
        for thread in (self._thread, *self._sending.values()):
            if thread is not None:
                thread.join(max(0.0, end - time.monotonic()))

    def wake(self) -> None:
        """Look for webhooks now and not at the next poll."""
        self._woken.set()

    def wake_if_any(self) -> None:
        """Look for events that wait now and not at the next poll, if there are webhooks."""
        if self.standings:
            self._woken.set()

    def look(self) -> list[Standing]:
        """Read all webhooks and what waits.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        found = self.rows.all()
        if not found:
            return []
        end = self.rows.end(self.jobs.number())
        return [Standing(webhook, progress, waiting(webhook, progress, end)) for webhook, progress in found]

    def _run(self) -> None:
        while not self._is_stopped():
            try:
                self.standings = self.look()
                self._forget_deleted()
                self._begin_due()
                self._trouble = None
            except Exception as error:  # the thread must not end
                self._note(error)

    def _is_stopped(self) -> bool:
        """Wait for the next look. Returns whether there is none."""
        self._woken.wait(_POLL_S if self.standings else _IDLE_S)
        self._woken.clear()
        return self._stop.wait(_GAP_S)

    def _forget_deleted(self) -> None:
        """Drop the counts of webhooks that are deleted."""
        names = {one.webhook.webhook_id for one in self.standings}
        for key in [key for key in list(self.counts) if key[0] not in names]:
            del self.counts[key]

    def _begin_due(self) -> None:
        """Begin to deliver for each webhook with events that wait, unless a thread of this process does so."""
        self._sending = {name: thread for name, thread in self._sending.items() if thread.is_alive()}
        at = self.rows.time() if any(one.waiting for one in self.standings) else None
        for one in self.standings:
            name = one.webhook.webhook_id
            if at is None or not one.waiting or not one.progress.is_due(at) or name in self._sending:
                continue
            thread = threading.Thread(target=self._deliver, args=(one,), name=f"segsort-webhook-{name}", daemon=True)
            self._sending[name] = thread
            thread.start()

    def _deliver(self, one: Standing) -> None:
        webhook = one.webhook
        try:
            if webhook.altered:
                return self.rows.stop(webhook.webhook_id, "its row in the database was altered; make it anew")
            delivery = Delivery(self._database, self.rows, self._owner, self.rules, self.counts, self._stop)
            delivery.run(webhook, parse_url(webhook.url), self.jobs.number())
        except Exception as error:  # tried again in the next round
            self._note(error)
        return None

    def _note(self, error: Exception) -> None:
        """Log an error once until all goes well again."""
        text = str(error)[:400] or type(error).__name__
        if self._trouble is None:
            known = isinstance(error, (SQLAlchemyError, Problem))
            _log.warning("webhooks are not sent, trying again: %s", text, exc_info=not known)
        self._trouble = text
