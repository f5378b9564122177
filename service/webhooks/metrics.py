"""Metrics of webhooks for Prometheus. They name webhooks by their ids, because everyone may read them."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.webhooks.sender import Sender


class WebhookMetrics(Collector):
    """Metrics as the sender saw them last: a scrape does not read the database."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Read the tries of this process, and the webhooks of the database."""
        tries = CounterMetricFamily(
            "segsort_webhook_tries", "Events that this process sent, by outcome", labels=["webhook", "outcome"]
        )
        for (webhook_id, outcome), count in list(self._sender.counts.items()):
            tries.add_metric([webhook_id, outcome], count)
        yield tries
        waiting = GaugeMetricFamily("segsort_webhook_waiting_events", "Events that wait", labels=["webhook"])
        failures = GaugeMetricFamily("segsort_webhook_failures", "Tries in a row that failed", labels=["webhook"])
        stopped = GaugeMetricFamily(
            "segsort_webhook_stopped", "1: nothing is sent until it is resumed", labels=["webhook"]
        )
        for webhook, progress, count in self._sender.standings:
            waiting.add_metric([webhook.webhook_id], count)
            failures.add_metric([webhook.webhook_id], progress.failures)
            stopped.add_metric([webhook.webhook_id], float(progress.stopped))
        yield from (waiting, failures, stopped)
