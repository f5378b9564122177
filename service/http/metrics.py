"""Metrics for Prometheus."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from model_store.flavour import device_memory_used
from service.answering.admission import Admission
from service.answering.engine import Engine
from service.http.readiness import Readiness

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one app.

    Attributes:
        registry: all metrics, for `generate_latest`.
        requests: counter of answered requests, with the labels method, route and status.
    """

    def __init__(self, engine: Engine, admission: Admission, readiness: Readiness) -> None:
        self.registry = CollectorRegistry()
        self._latency = Histogram(
            "segsort_stage_seconds", "Time of each stage of POST /segment; wait: time in the queue", ["stage"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        batch = Histogram(
            "segsort_batch_images", "Images in one run of the network", buckets=_BATCH_SIZES, registry=self.registry
        )
        engine.segmenter.on_batch = batch.observe
        self.requests = Counter(
            "segsort_requests", "Answered requests", ["method", "route", "status"], registry=self.registry
        )
        for name, about, value in _gauges(engine, admission, readiness):
            Gauge(name, about, registry=self.registry).set_function(value)
        self.registry.register(_OnDemand(engine, admission))
        ProcessCollector(registry=self.registry)

    def answered(self, stages_ms: Mapping[str, float]) -> None:
        """Record the times of one answer, in milliseconds by stage."""
        for stage, milliseconds in stages_ms.items():
            self._latency.labels(stage).observe(milliseconds / 1000)


def _gauges(
    engine: Engine, admission: Admission, readiness: Readiness
) -> Iterator[tuple[str, str, Callable[[], float]]]:
    """Name, description and present value of each gauge."""
    yield "segsort_index_revision", "Number of the last edit in the live state", lambda: engine.live.revision
    yield "segsort_exemplars", "Exemplars that take part in votes", lambda: engine.live.count
    yield "segsort_edits", "Edits of the served release", lambda: len(engine.served.live.log.edits)
    yield "segsort_queue_images", "Images in the queue", lambda: admission.length
    yield "segsort_queue_pixels", "Pixels of the images in the queue", lambda: admission.pixels
    yield "segsort_running_images", "Images in the engine", lambda: admission.running
    yield "segsort_requests_in_flight", "Requests without a complete answer", lambda: readiness.in_flight
    if engine.settings.device == "cuda":
        yield "segsort_device_memory_bytes", "Used memory of the GPU, by all processes", device_memory_used


class _OnDemand(Collector):
    """Metrics that are read from other objects at each scrape."""

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine, self._admission = engine, admission

    def collect(self) -> Iterator[CounterMetricFamily | InfoMetricFamily]:
        """Read the refusals by reason, and the name and devices of the served release."""
        refused = CounterMetricFamily(
            "segsort_refusals", "Images that were refused or removed from the queue", labels=["reason"]
        )
        for reason, count in list(self._admission.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        served = InfoMetricFamily("segsort_release", "The served release, and what each step runs on")
        use = self._engine.served.predictor.device_use
        steps = {"network": use.network, "sorting": use.sorting, "search": use.search}
        served.add_metric([], {"release": self._engine.served.name, "device": self._engine.served.runs_on} | steps)
        yield served
