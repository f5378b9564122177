"""Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says where they go."""

import os
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from service.answering.stages import Stages

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ERROR = 500


class Tracing:
    """Sends a span of each request, and one of each of its stages, in the background.

    Where it goes, how it is sampled and what the service is called is set by OpenTelemetry's own variables.

    Raises:
        ValueError: if OpenTelemetry is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ValueError(
                f"{ENDPOINT} is set, but OpenTelemetry is not installed ({error}); install segsort[otel], or unset it"
            ) from error
        name = os.environ.get("OTEL_SERVICE_NAME", "segsort")
        self._provider = TracerProvider(resource=Resource.create({"service.name": name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("segsort")
        self._trace, self._propagator = trace, TraceContextTextMapPropagator()

    @classmethod
    def from_environment(cls) -> "Tracing | None":
        """Traces, if the environment says where they go.

        Raises:
            ValueError: if OpenTelemetry is not installed.
        """
        return cls() if os.environ.get(ENDPOINT) else None

    def record(
        self, scope: Scope, route: str, status: int, request_id: str, started_ns: int, stages: Stages | None
    ) -> None:
        """Send the spans of a request that has been answered; started_ns: nanoseconds since the epoch."""
        context = self._propagator.extract(dict(Headers(scope=scope)))
        span = self._tracer.start_span(
            f"{scope['method']} {route}",
            context=context,
            kind=self._trace.SpanKind.SERVER,
            start_time=started_ns,
            attributes={
                "http.request.method": scope["method"],
                "http.route": route,
                "http.response.status_code": status,
                "segsort.request_id": request_id,
            },
        )
        if status >= _ERROR:
            span.set_status(self._trace.StatusCode.ERROR)
        inside = self._trace.set_span_in_context(span, context)
        for name, begun_ns in stages.begun_ns.items() if stages is not None else ():
            self._record_stage(inside, name, begun_ns, stages.ms[name] if stages is not None else 0.0)
        span.end()

    def _record_stage(self, context: Any, name: str, begun_ns: int, ms: float) -> None:
        child = self._tracer.start_span(name, context=context, start_time=begun_ns)
        child.end(end_time=begun_ns + int(ms * 1e6))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()
