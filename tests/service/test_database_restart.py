"""PostgreSQL stops and starts again under a running service: answers are 503 meanwhile, and nothing is lost."""

import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from service.answering.engine import Engine
from service.app import create_app
from service.records.schema_version import open_database
from service.settings import Settings
from tests.service.postgres_server import PostgresServer, postgres_server
from tests.service.serving import serving, wait_until


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.start()
        yield server


def test_a_service_survives_the_restart_of_its_database(
    server: PostgresServer, settings: Settings, photo: bytes
) -> None:
    app = create_app(settings.model_copy(update={"database_url": server.url}))
    engine: Engine = app.state.engine
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        segments = client.post("/segment", content=photo).raise_for_status().json()["segments"]
        explained = client.get(f"/explain/{segments[0]['segment_id']}").raise_for_status().json()
        client.post("/classes", json={"name": "before"}).raise_for_status()
        wait_until(lambda: engine.notices.listening)
        server.stop()
        for refused in (
            client.post("/classes", json={"name": "meanwhile"}),
            client.post(f"/segments/{segments[0]['segment_id']}/label", json={"class_name": "meanwhile"}),
            client.post("/segment", content=photo),
            client.get("/segmentations"),
        ):
            assert refused.status_code == 503, refused.text
            assert refused.headers["retry-after"] == "1", refused.text
            assert "database" in refused.json()["detail"]
        assert client.get("/livez").status_code == 200
        wait_until(lambda: client.get("/readyz").status_code == 503)
        server.start()
        wait_until(lambda: client.get("/readyz").status_code == 200)
        client.post("/classes", json={"name": "after"}).raise_for_status()
        assert client.get(f"/explain/{segments[0]['segment_id']}").raise_for_status().json() == explained
        assert [edit["classes"][0]["name"] for edit in client.get("/edits").json()] == ["after", "before"]
        assert client.post("/segment", content=photo).status_code == 200
        wait_until(lambda: engine.notices.listening)


def test_a_start_waits_for_the_server(server: PostgresServer) -> None:
    server.stop()
    later, began = threading.Timer(0.5, server.start), time.monotonic()
    later.start()
    open_database(server.url).dispose()
    assert time.monotonic() - began >= 0.5
    later.join()
