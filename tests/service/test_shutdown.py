"""Shutdown by SIGTERM: running requests finish, new requests are refused, and the process exits with 0."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import httpx
import pytest

from benchmarks.running_service import ServiceStartError, free_port, start_service
from tests.service.serving import wait_until


@dataclass
class HalfSent:
    """A service, and a request to it whose body is not complete."""

    process: Popen[bytes]
    client: httpx.Client
    connection: socket.socket

    def in_flight(self) -> bool:
        """Whether the service counts two requests: the incomplete one, and the one that reads the metrics."""
        return "segsort_requests_in_flight 2.0" in self.client.get("/metrics").text


@pytest.fixture
def begin(
    tiny_release: Path, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], HalfSent]]:
    """Makes such a service and request; the argument is SEGSORT_DRAIN_S in seconds."""
    started: list[HalfSent] = []

    def make(drain: int) -> HalfSent:
        monkeypatch.setenv("SEGSORT_DRAIN_S", str(drain))
        monkeypatch.setenv("SEGSORT_UPLOAD_TIMEOUT_S", "100")
        monkeypatch.setenv("SEGSORT_LOG_FORMAT", "json")
        process, address = start_service(tmp_path, "--release", str(tiny_release), patience=200)
        place = urlsplit(address)
        connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=60)
        connection.sendall(
            f"POST /segment HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(photo)}\r\n\r\n".encode()
        )
        connection.sendall(photo[:100])
        begun = HalfSent(process, httpx.Client(base_url=address, timeout=60), connection)
        started.append(begun)
        wait_until(begun.in_flight)
        return begun

    yield make
    for begun in started:
        begun.connection.close()
        begun.client.close()
        begun.process.kill()
        begun.process.wait()


def test_a_running_request_is_answered_and_a_new_one_is_refused(
    begin: Callable[[int], HalfSent], photo: bytes, tmp_path: Path
) -> None:
    begun = begin(100)
    client, connection = begun.client, begun.connection
    begun.process.send_signal(signal.SIGTERM)
    wait_until(lambda: client.get("/readyz").status_code == 503)
    refused = client.post("/segment", content=photo)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "shutting down" in client.get("/readyz").text
    assert client.get("/livez").status_code == 200
    assert begun.process.poll() is None
    connection.sendall(photo[100:])
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    assert begun.process.wait(60) == 0
    lines = (tmp_path / "service.log").read_bytes().splitlines()
    assert any(b'"path":"/segment","status":200' in line for line in lines)


def test_a_request_that_is_not_complete_in_time_does_not_delay_the_exit(begin: Callable[[int], HalfSent]) -> None:
    begun, started = begin(2), time.monotonic()
    begun.process.send_signal(signal.SIGTERM)
    assert begun.process.wait(60) == 0
    assert time.monotonic() - started > 1.9


def test_a_second_signal_stops_the_process_immediately(begin: Callable[[int], HalfSent]) -> None:
    begun = begin(250)
    begun.process.send_signal(signal.SIGINT)
    wait_until(lambda: begun.client.get("/readyz").status_code == 503)
    begun.process.send_signal(signal.SIGINT)
    begun.process.wait(60)


@pytest.mark.parametrize(("drain", "signals"), [(1, 1), (100, 2)])
def test_a_request_that_hangs_does_not_prevent_the_exit(
    tiny_release: Path, tmp_path: Path, photo: bytes, drain: int, signals: int
) -> None:
    port, log = free_port(), tmp_path / "log"
    hangs = (
        "import time; from service import commands; from service.answering import engine; "
        "assert engine.Engine._answer; engine.Engine._answer = lambda *_: time.sleep(1000); "
        f"commands.serve({str(tiny_release)!r}, '127.0.0.1', {port})"
    )
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(tmp_path), "SEGSORT_DRAIN_S": str(drain)}
    with (
        log.open("wb") as sink,
        Popen([sys.executable, "-c", hangs], env=environment, stderr=sink) as process,
        socket.socket() as connection,
    ):
        try:
            wait_until(lambda: _answers(port), 200)
            connection.connect(("127.0.0.1", port))
            head = (
                "POST /segment HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\n"
                f"content-length: {len(photo)}\r\n\r\n"
            )
            connection.sendall(head.encode() + photo)
            url = f"http://127.0.0.1:{port}/metrics"
            wait_until(lambda: "segsort_requests_in_flight 2.0" in httpx.get(url, timeout=60).text)
            process.send_signal(signal.SIGTERM)
            if signals > 1:  # two at once would be one
                wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 503)
                process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert "1 requests are still running" in log.read_text()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def test_for_a_moment_after_sigterm_requests_are_still_accepted(
    tiny_release: Path, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balancer sees that the service is not ready, while it still sends requests."""
    monkeypatch.setenv("SEGSORT_DRAIN_DELAY_S", "4")
    process, address = start_service(tmp_path, "--release", str(tiny_release), patience=200)
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            try:
                wait_until(lambda: client.get("/readyz").status_code == 503)
                answer = client.post("/segment", content=photo)
                found = (answer.status_code, answer.headers["connection"], process.poll())
            except httpx.TransportError:
                found = (0, "none", process.poll())
            late = time.monotonic() - began > 3  # on a machine that stalled
            assert found == (200, "close", None) or late, "without requests it waits too"
        assert process.wait(60) == 0
        assert time.monotonic() - began > 3.9
    finally:
        process.kill()


def test_after_ctrl_c_there_is_no_delay(tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGSORT_DRAIN_DELAY_S", "250")
    process, _ = start_service(tmp_path, "--release", str(tiny_release), patience=200)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


def test_metrics_have_a_port_of_their_own(tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("SEGSORT_METRICS_PORT", str(port))
    process, address = start_service(tmp_path, "--release", str(tiny_release), patience=200)
    own = f"http://127.0.0.1:{port}"
    try:
        assert "segsort_max_connections" in httpx.get(f"{own}/metrics", timeout=60).text
        assert httpx.get(f"{address}/metrics", timeout=60).status_code == 404
        assert "/metrics" not in httpx.get(f"{address}/openapi.json", timeout=60).json()["paths"]
        for path in ("/readyz", "/classes", "/docs", "/"):
            answer = httpx.get(f"{own}{path}", timeout=60)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        for host, status in ((f"localhost:{port}", 200), ("evil.example", 421), (f"evil.example:{port}", 421)):
            assert httpx.get(f"{own}/metrics", headers={"Host": host}, timeout=60).status_code == status
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()


def test_a_port_of_metrics_that_is_taken_ends_the_start(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SEGSORT_METRICS_PORT", str(taken.getsockname()[1]))
        with pytest.raises(ServiceStartError, match="ended with 3"):
            start_service(tmp_path, "--release", str(tiny_release), patience=200)
