"""What Prometheus is told."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from model_store.flavour import device_memory_used
from service.answering.admission import Admission
from service.answering.engine import Engine
from service.http.readiness import Readiness

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counts of one app.

    Attributes:
        registry: what is read from.
        requests: by method, route and status.
    """

    def __init__(self, engine: Engine, admission: Admission, readiness: Readiness) -> None:
        self.registry = CollectorRegistry()
        about = "Time of each stage of POST /segment; wait: for its turn"
        self._latency = Histogram("segsort_stage_seconds", about, ["stage"], buckets=_SECONDS, registry=self.registry)
        about = "Images that go through the network at once"
        sizes = (1, 2, 4, 8, 16, 32, 64)
        batch = Histogram("segsort_batch_images", about, buckets=sizes, registry=self.registry)
        engine.segmenter.on_batch = batch.observe
        about = "Requests that were answered"
        self.requests = Counter("segsort_requests", about, ["method", "route", "status"], registry=self.registry)
        for name, said, value in (
            ("segsort_index_revision", "The last edit that is part of the live state", lambda: engine.live.revision),
            ("segsort_exemplars", "Exemplars that take part in votes", lambda: engine.live.count),
            ("segsort_edits", "Edits of the release that is served", lambda: len(engine.served.live.log.edits)),
            ("segsort_queue_images", "Images that wait for their turn", lambda: admission.length),
            ("segsort_queue_pixels", "Pixels that wait, as the queue counts them", lambda: admission.pixels),
            ("segsort_running_images", "Images in the engine", lambda: admission.running),
            ("segsort_requests_in_flight", "Requests that are being answered", lambda: readiness.in_flight),
        ):
            Gauge(name, said, registry=self.registry).set_function(value)
        if engine.settings.device == "cuda":
            about = "Memory of the GPU that is in use, of this process and others"
            gauge = Gauge("segsort_device_memory_bytes", about, registry=self.registry)
            gauge.set_function(device_memory_used)
        self.registry.register(_Told(engine, admission))
        ProcessCollector(registry=self.registry)

    def answered(self, stages_ms: Mapping[str, float]) -> None:
        """Count an answer and its stages."""
        for stage, milliseconds in stages_ms.items():
            self._latency.labels(stage).observe(milliseconds / 1000)


class _Told(Collector):
    """What is counted elsewhere, or is a name."""

    def __init__(self, engine: Engine, admission: Admission) -> None:
        self._engine, self._admission = engine, admission

    def collect(self) -> Iterator[CounterMetricFamily | InfoMetricFamily]:
        """The present values."""
        refused = CounterMetricFamily("segsort_refusals", "Images that were turned away or skipped", labels=["reason"])
        for reason, count in list(self._admission.refused.items()):
            refused.add_metric([reason], count)
        yield refused
        served = InfoMetricFamily("segsort_release", "The release that is served, and where each step runs")
        use = self._engine.served.predictor.device_use
        steps = {"network": use.network, "sorting": use.sorting, "search": use.search}
        served.add_metric([], {"release": self._engine.served.name, "device": self._engine.served.runs_on} | steps)
        yield served
