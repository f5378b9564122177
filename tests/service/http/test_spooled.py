"""Spooled answers: who reads one slowly holds no turn, and the files are limited."""

import io
import signal
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.running_service import start_service
from service.app import create_app
from service.http.budgeted import RequestBudgets
from service.http.spooled import Spooled, SpoolRoom
from service.settings import Settings
from tests.service.conftest import encoded
from tests.service.serving import serving, wait_until

NOISE = encoded(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8))  # 3 MB
EXPORT = b"GET /export?images=true HTTP/1.1\r\nHost: localhost\r\n\r\n"


def slow_reader(address: str) -> socket.socket:
    """Ask for an export, and read nothing of it."""
    place = urlsplit(address)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((place.hostname or "", place.port or 0))
    connection.sendall(EXPORT)
    return connection


def fill(client: httpx.Client, count: int) -> None:
    for n in range(count):
        client.post("/segment", content=NOISE + b"%d" % n).raise_for_status()


def test_slow_readers_of_exports_do_not_stop_other_exports(settings: Settings) -> None:
    app = create_app(settings)
    lane, spool = RequestBudgets.of(app).lanes["export"], app.state.spool
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        fill(client, 3)
        readers = [slow_reader(address) for _ in range(3)]
        wait_until(lambda: spool.bytes > 3 * 3 * 3_000_000 and (lane.running, lane.waiting) == (0, 0))
        answer = client.get("/export", params={"images": True})
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        assert sum(name.endswith(".png") for name in names) == 3
        for reader in readers:
            reader.close()
        wait_until(lambda: spool.bytes == 0)


@pytest.mark.parametrize("each", [10**6, 25_000])
def test_the_answer_is_complete_and_its_file_never_larger_than_the_room(tmp_path: Path, each: int) -> None:
    pieces = [bytes([n]) * 10_000 for n in range(100)]
    most, closed, made = 0, list[bool](), list[bool]()

    class Room(SpoolRoom):
        def take(self, size: int, held: int) -> bool:
            nonlocal most
            taken = super().take(size, held)
            most = max(most, self.bytes)
            return taken

    room = Room(tmp_path, each)

    def produced() -> Iterator[bytes]:
        try:
            yield from pieces
        finally:
            closed.append(True)

    app = FastAPI()

    @app.get("/")
    async def get() -> Spooled:
        answer = Spooled(produced(), room, media_type="application/zip")
        answer.when_made = lambda: made.append(True)
        return answer

    with TestClient(app) as client:
        assert client.get("/").content == b"".join(pieces)
    assert most <= each
    assert (closed, made) == ([True], [True])
    assert room.bytes == 0


def test_a_full_disk_takes_no_room_for_ever(tmp_path: Path) -> None:
    class Full(SpoolRoom):
        def open(self) -> IO[bytes]:
            return Path("/dev/full").open("r+b", buffering=0)

    room = Full(tmp_path)
    app = FastAPI()

    @app.get("/")
    async def get() -> Spooled:
        return Spooled(iter([b"0" * 10_000]), room)

    with TestClient(app) as client, pytest.raises(OSError, match="No space left"):
        client.get("/")
    wait_until(lambda: room.bytes == 0)


def test_sigterm_ends_an_export_that_is_read_slowly_without_a_traceback(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DRAIN_S", "1")
    process, address = start_service(tmp_path, "--release", str(tiny_release), patience=200)
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            fill(client, 2)
            reader = slow_reader(address)
            wait_until(lambda: 'segsort_lane_running{lane="export"} 0' in client.get("/metrics").text)
            wait_until(lambda: "segsort_requests_in_flight 2.0" in client.get("/metrics").text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        reader.close()
    finally:
        process.kill()
        process.wait()
    log = (tmp_path / "service.log").read_text()
    assert "GET /export was ended by the shutdown before its answer was complete" in log
    assert "Traceback" not in log
