"""The database: what is recorded, a locked or full database, and which images are kept."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from service.answering.engine import Engine
from service.app import create_app
from service.records.follower import Author, Plan
from service.settings import Settings
from tests.service.conftest import encoded


def file_of(settings: Settings) -> Path:
    return settings.data_dir / "segsort.sqlite"


def _pages(settings: Settings) -> int:
    with closing(sqlite3.connect(file_of(settings))) as database:
        return int(database.execute("PRAGMA page_count").fetchone()[0])


def noise(seed: int, size: int = 60) -> bytes:
    return encoded(np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8))


def test_a_locked_database_refuses_an_edit_with_503_and_goes_on_answering(settings: Settings, photo: bytes) -> None:
    engine = Engine(settings)
    with TestClient(create_app(settings, engine)) as client:
        answer = client.post("/segment", content=photo).json()
        _at_connection(engine, "PRAGMA busy_timeout=200")
        lock = sqlite3.connect(file_of(settings), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        body = {"class_name": "grass"}
        refused = client.post(f"/segments/{answer['segments'][0]['segment_id']}/label", json=body)
        assert refused.status_code == 503
        assert "locked" in refused.json()["received"]
        assert client.get(f"/explain/{answer['segments'][0]['segment_id']}").status_code == 200
        assert client.get("/edits").json() == []
        lock.execute("ROLLBACK")
        lock.close()
        made = client.post(f"/segments/{answer['segments'][0]['segment_id']}/label", json=body)
        assert made.json()["index_revision"] == 1


def _at_connection(engine: Engine, statement: str) -> None:
    """Run a statement at the start of every connection."""

    @event.listens_for(engine.records.engine, "connect")
    def begin(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(statement)

    engine.records.engine.dispose()


def test_a_full_database_is_a_503_and_loses_nothing(settings: Settings, photo: bytes) -> None:
    engine = Engine(settings)
    with TestClient(create_app(settings, engine)) as client:
        answer = client.post("/segment", content=photo).json()
        gone = answer["segments"][0]["exemplars"][0]["exemplar_id"]
        client.delete(f"/exemplars/{gone}").raise_for_status()
        _at_connection(engine, f"PRAGMA max_page_count={_pages(settings)}")  # as on a full disk
        files = {"image": ("a.png", noise(1, 400), "image/png")}
        data = {"annotations": '[{"class_name": "fog", "polygons": [[0, 0, 400, 0, 400, 400, 0, 400]]}]'}
        refused = client.post("/exemplars", files=files, data=data)
        assert refused.status_code == 503
        assert "full" in refused.json()["received"]
        assert client.post("/segment", content=noise(2, 400)).status_code == 503
        assert [e["revision"] for e in client.get("/edits").json()] == [1]
        assert "fog" not in [c["name"] for c in client.get("/classes").json()]
        not_ready = client.get("/readyz")
        assert not_ready.status_code == 503
        assert "database" in str(not_ready.json()["received"])
        assert engine.live.revision == 1
    with TestClient(create_app(settings)) as client:
        assert client.post("/exemplars", files=files, data=data).json()["index_revision"] == 2


def test_the_oldest_images_are_removed_and_those_of_exemplars_are_kept(settings: Settings, photo: bytes) -> None:
    engine = Engine(settings)
    images = engine.records.images
    with TestClient(create_app(settings, engine)) as client:
        first = client.post("/segment", content=photo).json()
        client.post(f"/segments/{first['segments'][0]['segment_id']}/label", json={"class_name": "grass"})
        answers = [client.post("/segment", content=noise(seed)).json() for seed in range(4)]
        assert {one["image_url"] is not None for one in client.get("/segmentations").json()} == {True}
        images.budget = int(2.5 * len(noise(0)))
        images._unchecked = images.budget
        images.trim()
        kept = {one["segmentation_id"]: one["image_url"] for one in client.get("/segmentations").json()}
        assert [kept[a["segmentation_id"]] is not None for a in answers] == [False, False, True, True]
        assert client.get(kept[first["segmentation_id"]]).content == photo
        assert client.get(f"/segmentations/{answers[0]['segmentation_id']}/image").status_code == 404
        assert client.get(f"/segmentations/{answers[0]['segmentation_id']}").json()["image_url"] is None
        segment_id = answers[0]["segments"][0]["segment_id"]
        refused = client.post(f"/segments/{segment_id}/label", json={"class_name": "grass"})
        assert refused.status_code == 409
        assert client.post(f"/segmentations/{answers[0]['segmentation_id']}/relabel").status_code == 200


def test_no_image_of_an_answer_is_stored_if_the_budget_is_zero(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(keep_images_mb=0) as client:
        answer = client.post("/segment", content=photo).json()
        assert answer["image_url"] is None
        assert client.get(f"/segmentations/{answer['segmentation_id']}/image").status_code == 404
        shown = client.post(
            "/exemplars",
            files={"image": ("a.png", photo, "image/png")},
            data={"annotations": '[{"class_name": "fog", "polygons": [[0, 0, 9, 0, 9, 9]]}]'},
        ).json()
        assert client.get(f"/exemplars/{shown['exemplars'][0]['exemplar_id']}/image").content == photo


def test_the_start_is_refused_if_edits_were_made_on_another_release_of_the_same_name(
    start: Callable[..., TestClient], settings: Settings
) -> None:
    with start() as client:
        engine, unknown = client.app.state.engine, {"exemplar_ids": ["0123456789abcdef"], "summary": "removed"}
        engine.follower.edit(engine.served.live, Author("anna", None), lambda _, revision: Plan("remove", unknown))
    with pytest.raises(ValueError, match="1 edits of release 'tiny' in the database do not fit it"):
        Engine(settings)
