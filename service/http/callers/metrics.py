"""Metrics of callers for Prometheus. They name no key and no address, because everyone may read them."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from service.http.callers.callers import Callers


class CallerMetrics(Collector):
    """Metrics that are read at each scrape."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Read wrong keys, reached limits, and whether the file of keys can be used."""
        wrong = CounterMetricFamily("segsort_wrong_keys", "Wrong keys, by where they were sent", labels=["sent"])
        for sent, count in list(self._callers.wrong_keys.counts.items()):
            wrong.add_metric([sent], count)
        yield wrong
        slowed = CounterMetricFamily("segsort_wrong_keys_slowed", "Wrong keys that were slowed and answered with 429")
        slowed.add_metric([], self._callers.wrong_keys.slowed)
        yield slowed
        limited = CounterMetricFamily("segsort_limited", "Requests that a limit of a key refused", labels=["limit"])
        for limit, count in list(self._callers.spending.refused.items()):
            limited.add_metric([limit], count)
        yield limited
        if self._callers.access_log is not None:
            lost = CounterMetricFamily("segsort_access_log_lost", "Entries of the access log that could not be written")
            lost.add_metric([], self._callers.access_log.lost)
            yield lost
        fault = GaugeMetricFamily("segsort_key_file_fault", "1: the file of keys cannot be used")
        fault.add_metric([], float(self._callers.key_file.fault is not None))
        yield fault
