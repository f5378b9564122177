"""Metrics for Prometheus."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from model_store.flavour import device_memory_used
from service.answering.admission import Admission
from service.answering.decodings import Decodings
from service.answering.engine import Engine
from service.http.readiness import Readiness
from service.http.storage_metrics import StorageMetrics
from service.records.objects.store import ObjectStore

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one app.

    Attributes:
        registry: all metrics, for `generate_latest`.
        requests: counter of answered requests, with the labels method, route and status.
    """

    def __init__(
        self, engine: Engine, admission: Admission, readiness: Readiness, decodings: Decodings | None = None
    ) -> None:
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
        if decodings is not None:
            self.registry.register(_OfDecodings(decodings))
        self.registry.register(StorageMetrics(engine.records))
        if engine.records.images.objects is not None:
            _observe_store(engine.records.images.objects.store, self.registry)
        ProcessCollector(registry=self.registry)

    def answered(self, stages_ms: Mapping[str, float]) -> None:
        """Record the times of one answer, in milliseconds by stage."""
        for stage, milliseconds in stages_ms.items():
            self._latency.labels(stage).observe(milliseconds / 1000)


def _observe_store(store: ObjectStore, registry: CollectorRegistry) -> None:
    """Record the time of each call to the image store, and those that failed."""
    seconds = Histogram(
        "segsort_image_store_seconds", "Time of calls to the image store", ["operation"], buckets=_SECONDS,
        registry=registry,
    )  # fmt: skip
    failures = Counter(
        "segsort_image_store_failures", "Calls to the image store that failed", ["operation"], registry=registry
    )

    def observe(operation: str, taken: float, succeeded: bool) -> None:
        seconds.labels(operation).observe(taken)
        if not succeeded:
            failures.labels(operation).inc()

    store.observe = observe


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


class _OfDecodings(Collector):
    """What is counted of the workers that decode images."""

    def __init__(self, decodings: Decodings) -> None:
        self._decodings = decodings

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Read the decodings that were ended, and the workers."""
        pool = self._decodings.pool
        ended = CounterMetricFamily(
            "segsort_decodings_ended", "Decodings that were ended before they were done", labels=["cause"]
        )
        for cause, count in list(pool.ended.items()):
            ended.add_metric([cause], count)
        yield ended
        yield GaugeMetricFamily("segsort_decoding_workers", "Processes that decode images", pool.workers)
        yield GaugeMetricFamily("segsort_decoding_workers_busy", "Processes that are decoding an image", pool.busy)
        waiting = self._decodings.headers.length + self._decodings.images.length
        yield GaugeMetricFamily("segsort_decoding_queue_images", "Images that wait to be decoded", waiting)


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
        precision = self._engine.served.predictor.embedder.precision
        facts = {"release": self._engine.served.name, "device": self._engine.served.runs_on, "precision": precision}
        served.add_metric([], facts | steps)
        yield served
