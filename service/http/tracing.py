"""Traces by OpenTelemetry. They are on if OTEL_EXPORTER_OTLP_ENDPOINT is set."""

import os
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from service.answering.stages import Stages

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ERROR = 500


class Tracing:
    """Sends one span for each request and a child span for each of its stages, in the background.

    The variables of OpenTelemetry set the endpoint, the sampling and the name of the service.

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
        """The tracing that the environment asks for; None if no endpoint is set.

        Raises:
            ValueError: if OpenTelemetry is not installed.
        """
        return cls() if os.environ.get(ENDPOINT) else None

    def record(
        self, scope: Scope, route: str, status: int, request_id: str, started_ns: int, stages: Stages | None
    ) -> None:
        """Send the spans of an answered request.

        Args:
            scope: ASGI scope of the request. Its header `traceparent` names the parent span.
            route: path template of the route.
            status: HTTP status of the answer.
            request_id: id of the request.
            started_ns: start of the request, nanoseconds since the epoch.
            stages: stages of the request; None: it has none.
        """
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
        """Send the remaining spans and stop."""
        self._provider.shutdown()
