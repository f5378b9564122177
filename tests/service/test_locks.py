"""A lock of the database that another program holds: nothing waits for long, and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from service.app import create_app
from service.http.budgeted import RequestBudgets
from service.records.connection import Waits, connect
from service.settings import Settings
from tests.service.serving import serving, wait_until

LOCK_TIMEOUT = 1.0
LONG = 60.0  # seconds that no machine stalls
EDITS = 60


class Served(NamedTuple):
    """A service, its address, and the URL of its database."""

    app: FastAPI
    address: str
    url: str


Serve = Callable[[float], AbstractContextManager[Served]]


@pytest.fixture
def serve(settings: Settings, database_url: str) -> Serve:
    """Serves with a time that edits wait for a lock."""

    @contextmanager
    def serve(lock_timeout: float) -> Iterator[Served]:
        changes = {"database_url": database_url, "lock_timeout_s": lock_timeout}
        app = create_app(settings.model_copy(update=changes))
        with serving(app) as address:
            yield Served(app, address, database_url)

    return serve


@contextmanager
def locked(url: str) -> Iterator[None]:
    """A session of another program that holds the lock which every edit needs."""
    engine = create_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT * FROM revisions FOR UPDATE"))
        yield
        connection.rollback()
    engine.dispose()


def named(address: str, number: int) -> httpx.Response:
    return httpx.post(f"{address}/classes", json={"name": f"class {number}"}, timeout=120)


def test_sixty_edits_that_wait_for_a_lock_stop_nothing_else(serve: Serve, photo: bytes) -> None:
    with serve(LONG) as (app, address, url), ThreadPoolExecutor(EDITS) as pool:
        segment = httpx.post(f"{address}/segment", content=photo, timeout=60).json()["segments"][0]["segment_id"]
        lane = RequestBudgets.of(app).lanes["edits"]
        with locked(url):
            edits = [pool.submit(named, address, n) for n in range(EDITS)]
            wait_until(lambda: lane.running + lane.waiting == EDITS)
            for path in ("/livez", "/readyz", "/metrics", f"/explain/{segment}"):
                answer = httpx.get(address + path, timeout=60)
                assert answer.status_code in ((200, 503) if path == "/readyz" else (200,)), path
            assert not any(edit.done() for edit in edits), "they wait still"
        assert {edit.result().status_code for edit in edits} == {201}
        assert len(httpx.get(f"{address}/edits?limit=100", timeout=60).json()) == EDITS
        assert httpx.get(f"{address}/readyz", timeout=60).status_code == 200


def test_edits_that_wait_for_a_lock_for_too_long_are_refused_and_not_made(serve: Serve) -> None:
    with serve(LOCK_TIMEOUT) as (_, address, url):
        with locked(url), ThreadPoolExecutor(6) as pool:
            refused = list(pool.map(lambda number: named(address, number), range(6)))
        assert {answer.status_code for answer in refused} == {503}
        assert all(answer.json()["fix"] and answer.headers["retry-after"] for answer in refused)
        assert named(address, 0).status_code == 201
        assert len(httpx.get(f"{address}/edits", timeout=60).json()) == 1


def test_an_image_waits_for_a_short_lock_and_is_refused_by_a_long_one(serve: Serve, photo: bytes) -> None:
    with serve(LONG) as (_, address, url), ThreadPoolExecutor(1) as pool:
        with locked(url):
            waiting = pool.submit(httpx.post, f"{address}/segment", content=photo, timeout=60)
            time.sleep(0.25)
        assert waiting.result().status_code == 200
    with serve(LOCK_TIMEOUT) as (_, address, url):
        with locked(url):
            answer = httpx.post(f"{address}/segment", content=photo, timeout=60)
            if url.startswith("sqlite"):  # the only writer of the file is the other program
                assert answer.status_code == 503
                assert "locked" in answer.json()["received"]
                unready = httpx.get(f"{address}/readyz", timeout=60)
                assert unready.status_code == 503
                assert "database" in str(unready.json()["received"])
            else:  # rows that another program locks are those of edits
                assert answer.status_code == 200
        assert httpx.post(f"{address}/segment", content=photo, timeout=60).status_code == 200


def test_statements_on_postgresql_have_limits(postgres_url: str) -> None:
    engine = connect(postgres_url, Waits(lock=2.5, statement=30))
    with engine.connect() as connection:
        limits = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        }
    engine.dispose()
    assert limits == {
        "lock_timeout": "2500ms", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "30s"
    }  # fmt: skip


def test_requests_that_find_no_free_connection_are_answered_and_health_has_its_own(
    start: Callable[..., TestClient], photo: bytes
) -> None:
    with start(lock_timeout_s=0.3, database_connections=2) as client:
        engine = client.app.state.engine.records.engine  # type: ignore[attr-defined]
        with engine.connect(), engine.connect():
            refused = client.get("/edits")
            listed = client.get("/segmentations")
            ready = client.app.state.readiness.reasons()  # type: ignore[attr-defined]
        assert listed.status_code == 503
        assert refused.status_code in (200, 503)  # it may be answered from memory
        assert not [reason for reason in ready if "the database does not answer" in reason]
        assert client.get("/segmentations").status_code == 200
