"""A lock of the database that another program holds: nothing waits for long, and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from service.app import create_app
from service.records.connection import Waits, connect
from service.records.follower import WRITERS
from service.settings import Settings
from tests.service.serving import serving

LOCK_TIMEOUT = 1.0
EDITS = 60
QUICK = 2.0  # seconds; health checks take milliseconds, and the machine may be busy


@pytest.fixture
def served(settings: Settings, database_url: str) -> Iterator[tuple[str, str]]:
    """Addresses of a service and of its database."""
    changes = {"database_url": database_url, "lock_timeout_s": LOCK_TIMEOUT}
    with serving(create_app(settings.model_copy(update=changes))) as address:
        yield address, database_url


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
    return httpx.post(f"{address}/classes", json={"name": f"class {number}"}, timeout=60)


def test_sixty_edits_that_wait_for_a_lock_stop_nothing_else(served: tuple[str, str], photo: bytes) -> None:
    address, url = served
    segment = httpx.post(f"{address}/segment", content=photo, timeout=60).json()["segments"][0]["segment_id"]
    seconds: dict[str, float] = {}
    with ThreadPoolExecutor(EDITS) as pool, locked(url):
        edits = [pool.submit(named, address, n) for n in range(EDITS)]
        time.sleep(LOCK_TIMEOUT / 4)  # all of them wait now
        for path in ("/livez", "/readyz", "/metrics", f"/explain/{segment}"):
            began = time.monotonic()
            answer = httpx.get(address + path, timeout=60)
            seconds[path] = time.monotonic() - began
            assert answer.status_code in ((200, 503) if path == "/readyz" else (200,)), path
        refused = [edit.result() for edit in edits]
    assert {answer.status_code for answer in refused} == {503}
    assert all(answer.json()["fix"] for answer in refused)
    crowd = [answer for answer in refused if answer.headers.get("retry-after")]
    assert len(crowd) >= EDITS - 2 * WRITERS, "most edits are refused at once"
    assert max(seconds.values()) < QUICK, seconds
    assert named(address, 0).status_code == 201
    assert len(httpx.get(f"{address}/edits").json()) == 1
    assert httpx.get(f"{address}/readyz").status_code == 200


def test_an_image_waits_for_a_short_lock_and_is_refused_by_a_long_one(served: tuple[str, str], photo: bytes) -> None:
    address, url = served
    with ThreadPoolExecutor(1) as pool:
        with locked(url):
            waiting = pool.submit(httpx.post, f"{address}/segment", content=photo, timeout=60)
            time.sleep(LOCK_TIMEOUT / 4)
        assert waiting.result().status_code == 200
    with locked(url):
        answer = httpx.post(f"{address}/segment", content=photo, timeout=60)
        if url.startswith("sqlite"):  # the only writer of the file is the other program
            assert answer.status_code == 503
            assert "locked" in answer.json()["received"]
            began = time.monotonic()
            unready = httpx.get(f"{address}/readyz", timeout=60)
            assert unready.status_code == 503
            assert "database" in str(unready.json()["received"])
            assert time.monotonic() - began < QUICK
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
