"""Databases without a schema version, which earlier commits wrote, are upgraded when the service starts."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient

from service.app import create_app
from service.records.schema_version import VERSION_TABLE, open_database
from service.records.tables import Base
from service.settings import Settings
from tests.service.records.migrations.earlier import NAMES, RELEASE, explanations, restore
from tests.service.records.migrations.fixtures.write_fixture import image

BOTH_KINDS = "before_versions_from_row_per_segment"


def segment_ids(file: Path) -> set[str]:
    """The segments of the answers in an upgraded database."""
    query = "SELECT segmentation_id, json_array_length(CAST(segments AS TEXT)) FROM segmentations"
    with closing(sqlite3.connect(file)) as database:
        return {f"{answer}-{n}" for answer, count in database.execute(query) for n in range(count)}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(tmp_path: Path, name: str) -> Settings:
    """Settings of a service over the database of an earlier commit."""
    settings = Settings(data_dir=tmp_path / "data", release=str(RELEASE), threads=1)
    restore(name, settings.data_dir / "segsort.sqlite")
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def essentials(why: dict[str, Any]) -> dict[str, Any]:
    """The fields of an explanation that the fixtures keep."""
    exemplars = [[e["exemplar_id"], e["similarity"], e["weight"]] for e in why["exemplars"]]
    return {name: why[name] for name in ("class_name", "confidence", "known")} | {"exemplars": exemplars}


def test_an_upgraded_schema_equals_the_tables(settings: Settings) -> None:
    with open_database(settings.database).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []


def test_explanations_are_those_of_the_commit_that_answered(client: TestClient, settings: Settings, name: str) -> None:
    expected = explanations(name)
    assert len(expected) >= 8
    for segment_id, why in expected.items():
        now = essentials(client.get(f"/explain/{segment_id}").raise_for_status().json())
        assert [e[0] for e in now["exemplars"]] == [e[0] for e in why["exemplars"]]
        for one, other in zip(now.pop("exemplars"), why.pop("exemplars"), strict=True):
            assert one[1:] == pytest.approx(other[1:], rel=1e-6)
        # a class that was renamed by an edit keeps the name that it had in the answer
        assert now == why | {"confidence": pytest.approx(why["confidence"], rel=1e-6)}
    for segment_id in segment_ids(settings.data_dir / "segsort.sqlite"):
        assert client.get(f"/explain/{segment_id}").status_code == 200


def test_every_answer_is_listed(client: TestClient, name: str) -> None:
    answers = {segment_id.rpartition("-")[0] for segment_id in explanations(name)}
    listed = client.get("/segmentations").raise_for_status().json()
    assert answers <= {one["segmentation_id"] for one in listed}
    assert {one["segments"] for one in listed} <= {1, 3, 4, 6}
    for one in listed:
        again = client.get(f"/segmentations/{one['segmentation_id']}").raise_for_status().json()
        assert len(again["segments"]) == one["segments"]


def test_edits_go_on_with_the_next_revision(client: TestClient) -> None:
    done = [edit["revision"] for edit in client.get("/edits").json()]
    answer = client.post("/segment?segments=4", content=image(1)).raise_for_status().json()
    assert answer["index_revision"] == max(done, default=0)
    segment = answer["segments"][0]
    edit = client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": "ice"}).raise_for_status().json()
    assert edit["edit"]["revision"] == max(done, default=0) + 1
    assert client.post("/segment?segments=4", content=image(1)).json()["segments"][0]["class_name"] == "ice"
    effect = client.get(f"/edits/{edit['edit']['revision']}/effect").raise_for_status().json()
    assert effect["answers"] >= 3


@pytest.mark.parametrize("name", ["row_per_segment", "before_edits"])
def test_an_answer_without_its_image_is_relabelled_but_not_corrected(client: TestClient, name: str) -> None:
    segment_id = next(iter(explanations(name)))
    assert {one["image_url"] for one in client.get("/segmentations").json()} == {None}
    assert client.get(f"/explain/{segment_id}").json()["image_url"] is None
    assert client.get(f"/segments/{segment_id}/crop").status_code == 404
    refused = client.post(f"/segments/{segment_id}/label", json={"class_name": "grass"})
    assert refused.status_code == 409
    assert "POST /segment" in refused.json()["fix"]
    again = client.post(f"/segmentations/{segment_id.split('-')[0]}/relabel").raise_for_status().json()
    assert again["changed"] == []


@pytest.mark.parametrize("name", ["before_versions"])
def test_edits_of_the_earlier_commit_are_in_effect(client: TestClient) -> None:
    edits = client.get("/edits").json()
    assert [edit["kind"] for edit in edits] == ["revert", "revert", "add", "class", "remove", "label"]
    assert [edit["reverted_by"] for edit in edits] == [None, 6, None, None, None, None]
    assert edits[-1]["reason"] == "it glows"
    removed = edits[-2]["exemplar_ids"][0]
    assert client.get(f"/exemplars/{removed}").json()["removed_in"] == 6
    names = [info["name"] for info in client.get("/classes").json()]
    assert names == ["wall", "grass", "water", "lava", "fog"]
    fog = edits[2]["exemplar_ids"][0]
    assert client.get(f"/exemplars/{fog}/image").content == image(7)


@pytest.mark.parametrize("name", ["row_per_segment"])
def test_an_upgraded_answer_has_the_similarity_of_its_image(client: TestClient, name: str) -> None:
    """The oldest schema did not store it. It is the mean of the nearest cosines, weighted by area."""
    for segment_id, why in explanations(name).items():
        answer = client.get(f"/segmentations/{segment_id.rpartition('-')[0]}").json()["segments"]
        nearest = [one["exemplars"][0]["similarity"] for one in answer]
        areas = [one["area"] for one in answer]
        expected = sum(a * s for a, s in zip(areas, nearest, strict=True)) / sum(areas)
        found = client.get(f"/explain/{segment_id}").json()
        assert found["known"] == why["known"]
        assert found["image_similarity"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["row_per_segment", BOTH_KINDS])
def test_an_upgrade_that_fails_leaves_the_database_unchanged(settings: Settings) -> None:
    file = settings.data_dir / "segsort.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE segmentations_aside (segmentation_id VARCHAR)")  # in the way of the upgrade
        database.commit()
        before = list(database.iterdump())
    with pytest.raises(ValueError, match=r"cannot be opened: .*already .*segmentations_aside"):
        open_database(settings.database)
    with closing(sqlite3.connect(file)) as database:
        assert list(database.iterdump()) == before
