"""Connections that wait, send or read too slowly, or send too much: their limits, and what others see meanwhile."""

import logging
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.running_service import free_port
from service.http import connections
from service.http.connections import Limits
from service.http.open_files import raise_file_limit
from service.settings import Settings
from tests.robustness.raw_http import CHUNKED, GET, POST, Serve, drip, is_closed, problem_of, received, status_of
from tests.service.serving import wait_until

ATTACK = 1100  # connections


def test_idle_connections_make_room_for_new_ones(serve: Serve, warnings: Callable[[], list[str]]) -> None:
    service = serve(max_connections=10)
    held = [service.connect() for _ in range(30)]
    assert all(service.alive() for _ in range(5))
    wait_until(lambda: sum(map(is_closed, held)) >= 20)
    assert len(service.app.state.connections) <= 10
    assert service.ended("made_room") >= 20
    wait_until(warnings)
    [line] = warnings()
    assert re.match(
        r"\d+ idle connections were closed to make room .*SEGSORT_MAX_CONNECTIONS.* from 127\.0\.0\.1", line
    )
    metrics = httpx.get(f"{service.url}/metrics", timeout=60).text
    assert "segsort_max_connections 10.0" in metrics
    assert re.search(r'segsort_connections_ended_total\{reason="made_room"\} 2\d\.0', metrics)


def test_of_idle_connections_the_one_that_waits_longest_is_closed(serve: Serve) -> None:
    service = serve(max_connections=4)
    held = []
    for _ in range(4):
        held.append(service.connect(GET + b"\r\n"))
        assert held[-1].recv(65536)
    held[0].sendall(GET + b"\r\n")
    assert held[0].recv(65536)
    assert service.alive()
    wait_until(lambda: is_closed(held[1]))
    assert not is_closed(held[0])


def test_if_every_connection_has_a_request_only_health_routes_are_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_SLOW_S", 1000.0)
    service = serve(max_connections=4, upload_timeout_s=100)
    for _ in range(4):
        service.connect(POST + b"Content-Length: 1000\r\n\r\n" + bytes(10))
    wait_until(lambda: service.app.state.readiness.in_flight == 4)
    refused = httpx.get(f"{service.url}/classes", timeout=60)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["detail"] == "Too many connections are open."
    assert service.alive()
    assert httpx.get(f"{service.url}/readyz", timeout=60).status_code == 200
    assert "segsort_max_connections 4.0" in httpx.get(f"{service.url}/metrics", timeout=60).text
    assert service.ended("refused") == 1


def test_slow_bodies_make_room_if_nothing_is_idle(serve: Serve, monkeypatch: pytest.MonkeyPatch, photo: bytes) -> None:
    monkeypatch.setattr(connections, "_SLOW_S", 0.0)
    service = serve(max_connections=4, upload_timeout_s=100)
    held = [service.connect(POST + b"Content-Length: 1000\r\n\r\n" + bytes(10)) for _ in range(4)]
    wait_until(lambda: service.app.state.readiness.in_flight == 4)
    assert httpx.post(f"{service.url}/segment", content=photo, timeout=60).status_code == 200
    wait_until(lambda: sum(map(is_closed, held)) == 1)
    wait_until(lambda: service.app.state.readiness.in_flight == 3)


def test_a_head_that_arrives_byte_by_byte_is_ended(serve: Serve) -> None:
    service = serve(header_timeout_s=0.5)
    drip(service.connect(GET + b"X: "))
    other = service.connect(GET)
    assert status_of(answer := received(other)) == 408
    assert "SEGSORT_HEADER_TIMEOUT_S" in str(problem_of(answer)["fix"])
    assert received(service.connect()) == b"", "a connection without any request is closed without an answer"
    assert service.ended("header_timeout") == 3


def test_a_connection_is_closed_after_a_time_without_requests(serve: Serve) -> None:
    service = serve(idle_timeout_s=0.3)
    one = service.connect(GET + b"\r\n")
    assert status_of(received(one)) == 200
    assert len(service.app.state.connections) == 0


def test_a_caller_that_does_not_read_its_answer_is_disconnected(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(logging.getLogger("uvicorn.error"), "error", lambda *given, **_: failures.append(given))
    service = serve(stall_timeout_s=0.5)
    ask = GET.replace(b"/livez", b"/openapi.json") + b"\r\n"
    service.connect(ask * 16, receive_buffer=4096)
    wait_until(lambda: service.ended("stall_timeout") == 1)
    wait_until(lambda: len(service.app.state.connections) == 0)
    wait_until(lambda: service.app.state.readiness.in_flight == 0)
    assert failures == [], "the app may not write to a closed connection"


def test_a_caller_that_does_not_read_a_last_answer_is_disconnected(serve: Serve) -> None:
    """The service has nothing more to send, so that only the transport knows of the rest."""
    service = serve(stall_timeout_s=0.5)
    ask = GET.replace(b"/livez", b"/openapi.json") + b"Connection: close\r\n\r\n"
    service.connect(ask, receive_buffer=4096)
    wait_until(lambda: service.ended("stall_timeout") + (len(service.app.state.connections) == 0) > 0)
    wait_until(lambda: len(service.app.state.connections) == 0)


def test_a_caller_that_reads_steadily_gets_everything(serve: Serve) -> None:
    service = serve(stall_timeout_s=1)
    ask = GET.replace(b"/livez", b"/openapi.json")
    one = service.connect((ask + b"\r\n") * 9 + ask + b"Connection: close\r\n\r\n", receive_buffer=65536)
    found, began = 0, time.monotonic()
    while part := one.recv(40_000):
        found += len(part)
        time.sleep(0.02)
    assert time.monotonic() - began > 1
    assert found > 10 * len(httpx.get(f"{service.url}/openapi.json", timeout=60).content)
    assert service.ended("stall_timeout") == 0


def test_unread_answers_are_limited_together(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MAX_UNREAD", 500_000)
    service = serve(stall_timeout_s=100)
    ask = GET.replace(b"/livez", b"/openapi.json") + b"\r\n"
    for _ in range(12):
        service.connect(ask * 12, receive_buffer=4096)
    wait_until(lambda: service.ended("unread") > 0)
    unread = sum(one.unread for one in service.app.state.connections._open)
    assert unread <= 500_000 + 2 * len(httpx.get(f"{service.url}/openapi.json", timeout=60).content)


def test_a_half_closed_connection_is_freed(serve: Serve) -> None:
    service = serve()
    for sent in (b"", GET, POST + b"Content-Length: 1000\r\n\r\n", CHUNKED + b"5\r\nab"):
        service.connect(sent).shutdown(socket.SHUT_WR)
    wait_until(lambda: len(service.app.state.connections) == 0)
    wait_until(lambda: service.app.state.readiness.in_flight == 0)


def test_callers_who_connect_again_at_once_are_accepted_at_a_limited_rate(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_ROOM_PER_S", 50)
    service, stop = serve(max_connections=20), threading.Event()

    def again() -> None:
        while not stop.is_set():
            with suppress(OSError), socket.create_connection(("127.0.0.1", service.port), timeout=20) as one:
                one.recv(1)

    callers = [threading.Thread(target=again) for _ in range(40)]
    for caller in callers:
        caller.start()
    try:
        wait_until(lambda: service.ended("made_room") > 40)
        before, began = service.ended("made_room"), time.monotonic()
        time.sleep(2)
        made, seconds = service.ended("made_room") - before, time.monotonic() - began
        assert service.alive(), "a new caller waits for those before it"
    finally:
        stop.set()
        service.end_all(callers)
    assert 0 < made <= 50 * (seconds + 1.5)


def test_a_refused_upload_is_read_at_a_limited_rate(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_DISCARDED", 2)
    monkeypatch.setattr(connections, "_DISCARDED_S", 1.0)
    service, size = serve(max_bytes=1000), 19_000_000
    head = POST + b"Content-Length: %d\r\n\r\n" % size

    def upload() -> None:
        with suppress(OSError):
            one = service.connect(head)
            for _ in range(size // 100_000):
                one.sendall(bytes(100_000))

    callers = [threading.Thread(target=upload) for _ in range(4)]
    began = time.monotonic()
    for caller in callers:
        caller.start()
    wait_until(lambda: service.app.state.connections.discarding.bytes > 2_000_000)
    assert service.alive()
    discarded, seconds = service.app.state.connections.discarding.bytes, time.monotonic() - began
    assert discarded < 2_000_000 * (seconds + 1) + len(callers) * 600_000
    service.end_all(callers)


def test_the_cap_follows_the_limit_of_open_files(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in ((1024, 700), (256, 28), (100, 1), (1_000_000, 2000), (resource.RLIM_INFINITY, 2000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert Limits.of(settings).most == most
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert Limits.of(settings.model_copy(update={"max_connections": 700})).most == 700
    with pytest.raises(ValueError, match=r"max_connections=701 needs 1025 open files.*ulimit -n"):
        Limits.of(settings.model_copy(update={"max_connections": 701}))


def test_the_service_raises_its_limit_of_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for before, after in (
        ((1024, 4096), 4096),
        ((1024, 1_000_000), 65_536),
        ((1024, resource.RLIM_INFINITY), 65_536),
        ((1024, 1024), None),
        ((100_000, 1_000_000), None),
    ):
        raised = list[tuple[int, int]]()
        monkeypatch.setattr(resource, "getrlimit", lambda _, before=before: before)
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits, raised=raised: raised.append(limits))
        raise_file_limit()
        assert raised == ([] if after is None else [(after, before[1])])


@contextmanager
def limited_service(release: Path, folder: Path, files: int) -> Iterator[tuple[int, int]]:
    """The service as a process that may open so many files; its port and process id."""
    port = free_port()
    code = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files})); "
    code += f"from service import commands; commands.serve({str(release)!r}, '127.0.0.1', {port})"
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=log, env=environment)
    try:
        wait_until(lambda: process.poll() is not None or _ready(port), 200)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _bodies_in_files(process: int) -> int:
    """How many files of request bodies a process has open."""
    files = list[str]()
    for one in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            files.append(os.readlink(one))
    return sum("/uploads/" in file for file in files)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("sent", [b"", POST + b"Content-Length: 1000\r\n\r\n"], ids=["idle", "bodies"])
def test_more_connections_than_files_do_not_stop_the_service(
    tiny_release: Path, tmp_path: Path, photo: bytes, sent: bytes
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < ATTACK + 200:
        pytest.skip(f"this process may not open {ATTACK + 200} files")
    with limited_service(tiny_release, tmp_path, 1024) as (port, _), ExitStack() as stack:
        url = f"http://127.0.0.1:{port}"
        for _ in range(ATTACK):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            try:
                one.sendall(sent)
            except OSError:  # it made room already
                continue
        assert httpx.get(f"{url}/livez", timeout=60).status_code == 200
        wait_until(lambda: httpx.post(f"{url}/segment", content=photo, timeout=60).status_code == 200)
        for _ in range(5):
            assert httpx.get(f"{url}/readyz", timeout=60).status_code == 200
            assert httpx.post(f"{url}/segment", content=photo, timeout=60).status_code == 200
        wait_until(lambda: b"to make room" in (tmp_path / "log").read_bytes())


def test_slow_bodies_do_not_take_the_files_of_connections(tiny_release: Path, tmp_path: Path, photo: bytes) -> None:
    part = POST + b"Content-Length: 1000000\r\n\r\n" + bytes(70_000)
    with limited_service(tiny_release, tmp_path, 512) as (port, process), ExitStack() as stack:
        url = f"http://127.0.0.1:{port}"
        for _ in range(220):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)).sendall(part)
        wait_until(lambda: _bodies_in_files(process) > 0)
        assert httpx.get(f"{url}/readyz", timeout=60).status_code == 200
        assert httpx.post(f"{url}/segment", content=photo, timeout=60).status_code == 200
        assert 0 < _bodies_in_files(process) <= (512 - 224) // 8
    assert b"cannot be accepted" not in (tmp_path / "log").read_bytes()
