"""What is asked of every answer to a hostile request, and of the service after it."""

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

LARGEST_REFUSAL = 30_000  # bytes: a refusal names what is wrong and does not send it back
Case = tuple[str, Callable[[], Any]]  # its name, and what sends it


def faults(cases: Iterable[Case]) -> list[str]:
    """Send each case; the names of those that were not answered as they should be, and why."""
    found = ((name, _fault(send)) for name, send in cases)
    return [f"{name[:100]}: {fault}" for name, fault in found if fault is not None]


def _fault(send: Callable[[], Any]) -> str | None:
    try:
        response = send()
    except Exception as error:  # the client raises what the app did not answer
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} at {last.filename}:{last.lineno}"
    return fault_of(response)


def fault_of(response: Any) -> str | None:
    """What is wrong with an answer; None: nothing."""
    status, content = response.status_code, response.content
    if status >= 500:
        return f"answered {status}: {content[:200]!r}"
    if status < 400 or response.request.method == "HEAD":
        return None
    if len(content) > LARGEST_REFUSAL:
        return f"refused with {len(content)} bytes"
    if response.headers["content-type"] != "application/problem+json":
        return f"refused as {response.headers['content-type']}"
    return None if _strict_json(content).get("detail") else "refused without a word"


def _strict_json(content: bytes) -> dict[str, Any]:
    def no(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    told: dict[str, Any] = json.loads(content, parse_constant=no)
    return told


def assert_well(client: TestClient, photo: bytes) -> None:
    """After all of it: a good request works, and the log, its exemplars and the live state say the same."""
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
    """Every exemplar of an edit exists, every exemplar belongs to an edit, and a replay comes to the same state."""
    live, database = engine.served.live, engine.records.engine
    with database.connect() as connection:
        revision = last_revision(connection)
        rows = connection.execute(select(ExemplarRow.exemplar_id, ExemplarRow.revision, ExemplarRow.image_id)).all()
        pictures = set(connection.execute(select(ImageRow.image_id)).scalars())
    assert sorted(live.log.edits) == list(range(1, revision + 1))  # no number is left out
    assert live.state.revision == revision
    for exemplar_id, added_in, image_id in rows:
        assert exemplar_id in live.log.edits[added_in].payload["exemplar_ids"]
        assert image_id in pictures
    stored = {exemplar_id for exemplar_id, _, _ in rows}
    for edit in live.log.edits.values():
        assert stored | set(live.log.released) >= set(edit.sets_alive)
    again = LiveRelease.of(LiveExemplars.of_release(live.release))
    Follower(database).follow(again)
    assert again.log.class_states() == live.log.class_states()
    assert again.state.counts_per_class.tolist() == live.state.counts_per_class.tolist()
    assert again.state.ids(again.state.alive_rows()) == live.state.ids(live.state.alive_rows())
