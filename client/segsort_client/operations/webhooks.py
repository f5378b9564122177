"""Operations on webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from segsort_client.flow import Flow, operation
from segsort_client.operations.base import Asking
from segsort_client.results.webhooks import NewWebhook, Webhook, WebhookTest
from segsort_client.strokes import id_of


class Webhooks(Asking):
    """Send events of the service to other programs."""

    @operation
    def webhooks(self) -> Flow[tuple[Webhook, ...]]:
        """The webhooks."""
        return self._read(tuple[Webhook, ...], "webhooks")

    @operation
    def webhook(self, webhook: Webhook | str) -> Flow[Webhook]:
        """Read a webhook: how many events wait, and why the last try failed."""
        return self._read(Webhook, "webhooks", id_of(webhook, "webhook_id"))

    @operation
    def add_webhook(
        self, url: str, *, events: Iterable[Literal["edit.made", "job.ended"]] | None = None
    ) -> Flow[NewWebhook]:
        """Send events to an address. events: which; None: all. The secret of the signatures is in the result only.

        A try whose answer is lost is not repeated: see `webhooks` whether it was made.
        """
        body = {"url": url, "events": None if events is None else list(events)}
        return self._post(NewWebhook, ("webhooks",), body, repeatable=False)

    @operation
    def test_webhook(self, webhook: Webhook | str) -> Flow[WebhookTest]:
        """Send a test event, and say what became of it."""
        return self._post(WebhookTest, ("webhooks", id_of(webhook, "webhook_id"), "test"), repeatable=True)

    @operation
    def resume_webhook(self, webhook: Webhook | str, *, skip: bool = False) -> Flow[Webhook]:
        """Send events again after a webhook was stopped. skip: without those that wait."""
        parts = ("webhooks", id_of(webhook, "webhook_id"), "resume")
        return self._post(Webhook, parts, {"skip": skip}, repeatable=not skip)

    @operation
    def delete_webhook(self, webhook: Webhook | str) -> Flow[None]:
        """Delete a webhook, with the events that wait."""
        return self._nothing("DELETE", "webhooks", id_of(webhook, "webhook_id"))
