"""SIGTERM: what has begun ends, nothing new begins, and the process exits with 0."""

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

from benchmarks.running_service import free_port, start_service
from tests.service.serving import wait_until


@dataclass
class Begun:
    """A service, and a request to it of which the larger part is still to be sent."""

    process: Popen[bytes]
    client: httpx.Client
    connection: socket.socket

    def in_flight(self) -> bool:
        """Whether the request has arrived, beside the one that asks."""
        return "segsort_requests_in_flight 2.0" in self.client.get("/metrics").text


@pytest.fixture
def begin(
    tiny_release: Path, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Begun]]:
    """Starts such a service, with a time in which it is to end, seconds."""
    started: list[Begun] = []

    def make(drain: int) -> Begun:
        monkeypatch.setenv("SEGSORT_DRAIN_S", str(drain))
        monkeypatch.setenv("SEGSORT_UPLOAD_TIMEOUT_S", "100")
        monkeypatch.setenv("SEGSORT_LOG_FORMAT", "json")
        process, address = start_service(tmp_path, "--release", str(tiny_release), patience=200)
        place = urlsplit(address)
        connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=60)
        connection.sendall(f"POST /segment HTTP/1.1\r\nhost: x\r\ncontent-length: {len(photo)}\r\n\r\n".encode())
        connection.sendall(photo[:100])
        begun = Begun(process, httpx.Client(base_url=address, timeout=60), connection)
        started.append(begun)
        wait_until(begun.in_flight)
        return begun

    yield make
    for begun in started:
        begun.connection.close()
        begun.client.close()
        begun.process.kill()
        begun.process.wait()


def test_what_has_begun_is_answered_and_nothing_new_begins(
    begin: Callable[[int], Begun], photo: bytes, tmp_path: Path
) -> None:
    begun = begin(100)
    client, connection = begun.client, begun.connection
    begun.process.send_signal(signal.SIGTERM)
    wait_until(lambda: client.get("/readyz").status_code == 503)
    refused = client.post("/segment", content=photo)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "about to end" in client.get("/readyz").text
    assert client.get("/livez").status_code == 200
    assert begun.process.poll() is None
    connection.sendall(photo[100:])
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    assert begun.process.wait(60) == 0
    lines = (tmp_path / "service.log").read_bytes().splitlines()
    assert any(b'"path":"/segment","status":200' in line for line in lines)


def test_what_does_not_end_in_time_is_not_waited_for(begin: Callable[[int], Begun]) -> None:
    begun, started = begin(2), time.monotonic()
    begun.process.send_signal(signal.SIGTERM)
    assert begun.process.wait(60) == 0
    assert time.monotonic() - started > 1.9


def test_a_second_signal_ends_it_at_once(begin: Callable[[int], Begun]) -> None:
    begun = begin(250)
    begun.process.send_signal(signal.SIGINT)
    wait_until(lambda: begun.client.get("/readyz").status_code == 503)
    begun.process.send_signal(signal.SIGINT)
    begun.process.wait(60)


@pytest.mark.parametrize(("drain", "signals"), [(1, 1), (100, 2)])
def test_a_request_that_hangs_does_not_keep_the_process(
    tiny_release: Path, tmp_path: Path, photo: bytes, drain: int, signals: int
) -> None:
    port, log = free_port(), tmp_path / "log"
    hangs = (
        "import time; from service import commands; from service.answering import engine; "
        "engine.Engine._segment = lambda *_: time.sleep(1000); "
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
                f"POST /segment HTTP/1.1\r\nhost: x\r\ncontent-type: image/jpeg\r\ncontent-length: {len(photo)}\r\n\r\n"
            )
            connection.sendall(head.encode() + photo)
            url = f"http://127.0.0.1:{port}/metrics"
            wait_until(lambda: "segsort_requests_in_flight 2.0" in httpx.get(url).text)
            for _ in range(signals):
                process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert "1 requests do not end" in log.read_text()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False
