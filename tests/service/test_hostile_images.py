"""Images that are made to be slow to decode: others are answered meanwhile, and their decoding ends."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from model_store.workers import WorkerPool
from service.answering.decodings import Decodings
from service.app import create_app
from service.settings import Settings
from tests import hostile_images as hostile
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.serving import serving, wait_until

SLOW = hostile.bmp_of_runs(2000)  # as long as a worker may take for 4 million pixels
PLENTY_S = 60.0  # seconds in which a machine under load answers an image


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings.model_copy(update={"decode_s": 600.0}))


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with serving(app) as address:
        yield address


def pool_of(app: FastAPI) -> WorkerPool:
    decodings: Decodings = app.state.decodings
    return decodings.pool


def hold_workers(app: FastAPI, count: int) -> None:
    """Let so many workers be at work, and stay there."""
    pool = pool_of(app)
    wait_until(lambda: pool.busy >= count)
    for worker in list(pool._busy):
        os.kill(worker.pid, signal.SIGSTOP)


ATTACKS = {
    "scans": hostile.jpeg_of_scans(9000),
    "texts": hostile.png_of_chunks(b"tEXt", b"a\0b", 1_250_000),
    "comment": hostile.ppm_with_comment(),
    "strips": hostile.tiff_of_strips(1_000_000),
    "directories": hostile.tiff_of_directories(3_000_000),
    "tiles": hostile.jpeg2000_of_tiles(6000, 1),
    "exif": hostile.jpeg_with_exif(hostile.exif_of_overlaps(400)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_others_are_answered_during_an_attack(attack: str, settings: Settings, photo: bytes) -> None:
    content = ATTACKS[attack]
    app, over = create_app(settings.model_copy(update={"decode_s": 2.0})), threading.Event()
    with serving(app) as address, httpx.Client(base_url=address, timeout=120) as client:
        assert client.post("/segment", content=photo).status_code == 200

        def send() -> set[int]:
            found = set()
            while not over.is_set() or not found:
                found.add(httpx.post(f"{address}/segment", content=content, timeout=120).status_code)
            return found

        with ThreadPoolExecutor(2) as callers:
            sent = [callers.submit(send) for _ in range(2)]
            try:
                for good in (photo, encoded(_pixels(), "WEBP"), encoded(_pixels(), "JPEG")):
                    started = time.monotonic()
                    assert client.post("/segment", content=good).status_code == 200
                    assert client.get("/livez").status_code == 200
                    assert client.get("/readyz").status_code == 200
                    assert time.monotonic() - started < PLENTY_S
            finally:
                over.set()
            statuses = set().union(*(one.result() for one in sent))
        assert statuses <= {413, 422}


def test_an_image_that_is_slow_to_decode_has_no_turn_in_the_engine(app: FastAPI, address: str, photo: bytes) -> None:
    with caller(address, "/segment", content=SLOW) as one, caller(address, "/segment", content=SLOW) as other:
        hold_workers(app, 2)
        for _ in range(3):
            assert httpx.post(f"{address}/segment", content=photo, timeout=60).status_code == 200
        assert app.state.admission.running == 0
        assert not is_answered(one, other)


def test_decoding_ends_when_the_caller_leaves(app: FastAPI, address: str) -> None:
    with caller(address, "/segment", content=SLOW) as one:
        hold_workers(app, 1)
        assert not is_answered(one)
    wait_until(lambda: pool_of(app).ended["stopped"] == 1)
    wait_until(lambda: pool_of(app).busy == 0)
    metrics = httpx.get(f"{address}/metrics", timeout=60).text
    assert 'segsort_decodings_ended_total{cause="stopped"} 1.0' in metrics


def test_decoding_ends_at_its_limit_with_a_problem(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"decode_s": 0.01}))
    with serving(app) as address:
        answer = httpx.post(f"{address}/segment", content=hostile.bmp_of_runs(3000), timeout=60)
        assert answer.status_code == 422
        assert {"received", "allowed", "fix"} <= answer.json().keys()
        assert "SEGSORT_DECODE_S" in answer.json()["fix"]
        metrics = httpx.get(f"{address}/metrics", timeout=60).text
        assert 'segsort_decodings_ended_total{cause="time"} 1.0' in metrics
        assert httpx.get(f"{address}/segmentations", timeout=60).json() == []


def test_the_deadline_covers_the_decoding(settings: Settings) -> None:
    with serving(create_app(settings.model_copy(update={"decode_s": 600.0, "deadline_s": 0.3}))) as address:
        answer = httpx.post(f"{address}/segment", content=SLOW, timeout=60)
        assert answer.status_code == 504
        assert "decoded in time" in answer.json()["detail"]


def test_memory_is_limited_with_a_problem(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"decode_mb": 1.0, "max_pixels": 200_000_000, "max_ratio": 1e9}))
    with serving(app) as address:
        answer = httpx.post(f"{address}/segment", content=hostile.encoded(9500, "GIF", "P"), timeout=60)
    assert answer.status_code == 422
    assert "SEGSORT_DECODE_MB" in answer.json()["fix"]


@pytest.mark.parametrize("form", ["WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"])
def test_answers_are_those_of_a_service_that_decodes_in_its_process(form: str, settings: Settings) -> None:
    content = encoded(_pixels(), form)
    here = TestClient(create_app(settings)).post("/segment", content=content).json()  # its workers are not started
    with TestClient(create_app(settings)) as client:
        there = client.post("/segment", content=content).json()
    for one in (here, there):
        assert one.pop("timings_ms")["decode"] > 0
    ignored = ("segmentation_id", "segment_id", "image_url", "url")
    assert _without(here, ignored) == _without(there, ignored)


def _without(value: object, names: tuple[str, ...]) -> object:
    if isinstance(value, dict):
        return {key: _without(one, names) for key, one in value.items() if not key.endswith(names)}
    return [_without(one, names) for one in value] if isinstance(value, list) else value


def _pixels() -> np.ndarray:
    return Blocks("val")[0].image


@contextmanager
def caller(address: str, path: str, **sent: Any) -> Iterator[socket.socket]:
    """The connection of a caller who sends what `httpx.post` takes, and leaves at the end of the block."""
    request = httpx.Request("POST", address + path, **sent)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection((request.url.host, request.url.port or 80), timeout=60) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
        yield connection


def is_answered(*connections: socket.socket) -> bool:
    return bool(select.select(connections, [], [], 0)[0])


def test_a_mask_that_is_slow_to_decode_has_no_turn_in_the_engine(app: FastAPI, address: str, photo: bytes) -> None:
    sent = {"files": {"image": photo, "mask": hostile.bmp_of_runs(3000)}, "data": {"classes": '{"5": "chalk"}'}}
    with caller(address, "/exemplars", **sent) as one, caller(address, "/exemplars", **sent) as other:
        hold_workers(app, 2)
        assert httpx.post(f"{address}/segment", content=photo, timeout=60).status_code == 200
        assert app.state.admission.running == 0
        assert not is_answered(one, other)
    wait_until(lambda: pool_of(app).ended["stopped"] == 2)
