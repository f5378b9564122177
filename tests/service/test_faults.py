"""Internal failures are answered and logged; /readyz reports each one until it has ended."""

import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from service.answering.engine import Engine
from service.app import create_app
from service.http.budgeted import RequestBudgets
from service.records.follower import Follower
from service.settings import Settings
from tests.service.serving import network_held, serving, wait_until


def engine_of(client: TestClient) -> Engine:
    engine: Engine = client.app.state.engine  # type: ignore[attr-defined]
    return engine


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(("stage", "place"), [("embed", "embedder.embed"), ("sort", "sort"), ("retrieve", "retrieve")])
def test_a_stage_that_fails_answers_its_caller_and_is_logged(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stage: str,
    place: str,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        holder: Any = engine_of(client).served.predictor
        *inner, name = place.split(".")
        patch.setattr(getattr(holder, inner[0]) if inner else holder, name, broken)
        response = client.post("/segment", content=photo)
        assert client.get("/livez").status_code == 200
        asked = _asked_until(client, "out of memory")
    problem = response.json()
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["request_id"] in problem["fix"]
    assert "out of memory" not in response.text
    failure = next(r for r in caplog.records if r.levelno == logging.ERROR)
    assert f"stage {stage}" in failure.getMessage()
    assert failure.exc_info is not None
    assert {one.status_code for one in asked} == {503}
    assert "out of memory" in str(asked[-1].json()["received"])
    wait_until(lambda: client.get("/readyz").status_code == 200)  # the probe passes again
    assert client.post("/segment", content=photo).status_code == 200


def _asked_until(client: TestClient, words: str) -> list[httpx.Response]:
    """All answers of /readyz until one has these words. On a busy machine its checks take longer than it waits."""
    asked: list[httpx.Response] = []

    def says() -> bool:
        asked.append(client.get("/readyz"))
        return words in asked[-1].text

    wait_until(says)
    return asked


def test_other_requests_are_answered_while_one_fails(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, calls = engine_of(client).served.predictor, iter(range(100))
    sort = predictor.sort

    def sometimes(*arguments: Any) -> Any:
        if next(calls) % 3 == 1:
            raise RuntimeError("out of memory")
        return sort(*arguments)

    monkeypatch.setattr(predictor, "sort", sometimes)
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: client.post("/segment", content=photo).status_code, range(12)))
    assert sorted(statuses) == [200] * 8 + [500] * 4
    assert client.app.state.admission.running == 0  # type: ignore[attr-defined]


def test_an_image_that_never_ends_makes_the_service_unready(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(deadline_s=0.1) as client, ThreadPoolExecutor(1) as pool:
        with network_held(engine_of(client)):
            asked = pool.submit(client.post, "/segment", content=photo)
            wait_until(lambda: client.app.state.admission.longest() > 0.1)  # type: ignore[attr-defined]
            assert client.get("/readyz").status_code == 503
            assert client.get("/livez").status_code == 200
        assert asked.result().status_code == 200
        wait_until(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize("fault", [SystemExit("killed"), ValueError("the log is damaged"), MemoryError()])
def test_the_thread_that_follows_the_log_survives_every_exception(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    follower = engine_of(client).follower

    def fails(_: Follower) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(Follower, "_look", fails)
        wait_until(lambda: follower.trouble is not None)
        assert "log of edits" in str(client.get("/readyz").json()["received"])
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert follower._thread is not None
    assert follower._thread.is_alive()


def test_a_locked_database_is_answered_with_503_and_loses_nothing(
    start: Callable[..., TestClient], photo: bytes
) -> None:
    with start(lock_timeout_s=0.2) as client:
        _check_a_locked_database(client, photo)


def _check_a_locked_database(client: TestClient, photo: bytes) -> None:
    before = client.post("/segment", content=photo).json()
    engine = engine_of(client)

    locking = sqlite3.connect(engine.records.engine.url.database or "", isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    try:
        assert client.post("/segment", content=photo).status_code == 503
        assert client.post("/classes", json={"name": "kerb"}).status_code == 503
        assert client.get("/readyz").status_code == 503
        assert client.get(f"/explain/{before['segments'][0]['segment_id']}").status_code == 200
    finally:
        locking.close()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert len(client.get("/segmentations").json()) == 1
    assert client.get("/edits").json() == []
    assert client.post("/classes", json={"name": "kerb"}).status_code == 201


def test_a_full_database_is_answered_with_503_and_loses_nothing(client: TestClient, photo: bytes) -> None:
    before = client.post("/segment", content=photo).json()
    engine, full = engine_of(client), threading.Event()

    def limit(connection: Any, *_: object) -> None:
        count = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={count if full.is_set() else 2**30}")

    event.listen(engine.records.engine, "checkout", limit)
    full.set()
    refused = client.post("/segment", content=photo + b"\0" * 100_000)
    assert refused.status_code == 503
    assert "full" in refused.json()["received"]
    assert client.get("/readyz").status_code == 503
    assert client.get(f"/explain/{before['segments'][0]['segment_id']}").status_code == 200
    full.clear()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert client.post("/segment", content=photo).status_code == 200
    assert len(client.get("/segmentations").json()) == 2


def test_a_full_disk_under_a_body_that_waits_for_memory_is_answered_with_503(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def parts() -> Iterator[bytes]:
        for _ in range(10):
            yield bytes(20_000)

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    app = create_app(settings)
    bodies = RequestBudgets.of(app).bodies
    bodies.in_memory = 10**9
    with serving(app) as address:
        response = httpx.post(f"{address}/segment", content=parts(), timeout=60)
    assert bodies.in_memory == 10**9
    assert response.status_code == 503
    assert "No space left" in response.json()["received"]
