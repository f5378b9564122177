"""Traces over real OTLP to a small HTTP collector."""

import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.http.tracing import ENDPOINT, Tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Span]]:
    """The received spans."""
    spans: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                raise AssertionError("the tests read plain bodies")
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.server_port}")
    yield spans
    server.shutdown()
    server.server_close()


def test_a_request_is_a_span_and_each_of_its_stages_is_a_child(
    collected: list[Span], start: Callable[..., TestClient], photo: bytes
) -> None:
    with start() as client:
        client.post("/segment", content=photo, headers={"traceparent": PARENT, "x-request-id": "abc"})
    by_name = {span.name: span for span in collected}
    whole = by_name["POST /segment"]
    assert whole.trace_id.hex() == PARENT.split("-")[1]
    assert whole.parent_span_id.hex() == PARENT.split("-")[2]
    attributes = {a.key: a.value.string_value or a.value.int_value for a in whole.attributes}
    assert (attributes["http.response.status_code"], attributes["segsort.request_id"]) == (200, "abc")
    stages = ["decode", "embed", "sort", "retrieve", "record", "encode"]
    assert [by_name[stage].parent_span_id for stage in stages] == [whole.span_id] * 6
    times = [by_name[stage].start_time_unix_nano for stage in stages]
    assert whole.start_time_unix_nano <= times[0]
    assert times == sorted(times)
    assert by_name["encode"].end_time_unix_nano <= whole.end_time_unix_nano


def test_without_an_endpoint_tracing_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT, raising=False)
    assert Tracing.from_environment() is None


def test_without_the_packages_the_error_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ValueError, match=r"segsort\[otel\]"):
        Tracing.from_environment()
