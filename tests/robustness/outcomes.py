"""Checks of each answer to a hostile request, and of the state of the service after it."""

import json
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from model_store.live import LiveExemplars
from service.answering.engine import Engine
from service.records.follower import Follower
from service.records.live_release import LiveRelease
from service.records.tables import ExemplarRow, ImageRow, last_revision

LARGEST_REFUSAL = 30_000  # bytes: a refusal does not repeat a large request
Case = tuple[str, Callable[[], Any]]  # name, and a function that sends the request


def faults(cases: Iterable[Case]) -> list[str]:
    """Send each case; return the name and the fault of each wrong answer."""
    found = ((name, _fault(send)) for name, send in cases)
    return [f"{name[:100]}: {fault}" for name, fault in found if fault is not None]


def _fault(send: Callable[[], Any]) -> str | None:
    try:
        response = send()
    except Exception as error:  # the test client raises exceptions that the app did not handle
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} at {last.filename}:{last.lineno}"
    return fault_of(response)


def fault_of(response: Any) -> str | None:
    """The fault of an answer; None if it has none."""
    status, content = response.status_code, response.content
    if status >= 500:
        return f"answered {status}: {content[:200]!r}"
    if status < 400 or response.request.method == "HEAD":
        return None
    if len(content) > LARGEST_REFUSAL:
        return f"refused with {len(content)} bytes"
    if response.headers["content-type"] != "application/problem+json":
        return f"refused as {response.headers['content-type']}"
    return None if _strict_json(content).get("detail") else "refused without a detail"


def _strict_json(content: bytes) -> dict[str, Any]:
    def no(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    parsed: dict[str, Any] = json.loads(content, parse_constant=no)
    return parsed


def assert_well(client: TestClient, photo: bytes) -> None:
    """Check that a valid request works, and that the log, its exemplars and the live state agree."""
    answer = client.post("/segment", content=photo).raise_for_status().json()
    for segment in answer["segments"]:
        client.get(f"/explain/{segment['segment_id']}").raise_for_status()
    ready = client.get("/readyz").raise_for_status().json()
    assert isinstance(client.app, FastAPI)
    engine: Engine = client.app.state.engine
    assert_consistent(engine)
    assert ready["index_revision"] == engine.live.revision
    newest = client.get("/edits", params={"limit": 1}).raise_for_status().json()
    assert [edit["revision"] for edit in newest] == ([engine.live.revision] if engine.live.revision else [])


def assert_consistent(engine: Engine) -> None:
    """Check that exemplars and edits refer to each other, and that a replay of the log gives the same state."""
    live, database = engine.served.live, engine.records.engine
    with database.connect() as connection:
        revision = last_revision(connection)
        rows = connection.execute(select(ExemplarRow.exemplar_id, ExemplarRow.revision, ExemplarRow.image_id)).all()
        stored_images = set(connection.execute(select(ImageRow.image_id)).scalars())
    assert sorted(live.log.edits) == list(range(1, revision + 1))  # without gaps
    assert live.state.revision == revision
    for exemplar_id, added_in, image_id in rows:
        assert exemplar_id in live.log.edits[added_in].payload["exemplar_ids"]
        assert image_id in stored_images
    stored = {exemplar_id for exemplar_id, _, _ in rows}
    for edit in live.log.edits.values():
        assert stored | set(live.log.released) >= set(edit.sets_alive)
    again = LiveRelease.of(LiveExemplars.of_release(live.release))
    Follower(database).follow(again)
    assert again.log.class_states() == live.log.class_states()
    assert again.state.counts_per_class.tolist() == live.state.counts_per_class.tolist()
    assert again.state.ids(again.state.alive_rows()) == live.state.ids(live.state.alive_rows())
