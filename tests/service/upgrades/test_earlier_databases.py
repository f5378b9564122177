"""Databases that earlier commits wrote open, whatever became of their release; the fixtures name the commits."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import MetaData, create_engine, text

from service.app import create_app
from service.records.connection import connect
from service.records.schema_version import alembic_config
from service.settings import Settings
from tests.service.records.migrations.earlier import RELEASE, explanations, restore
from tests.service.serving import ended, wait_until
from tests.service.upgrades.changed import with_another_network

EDITS = {"before_versions": 6, "revision_0001": 6, "revision_0005": 9}  # by fixture
pytestmark = pytest.mark.parametrize("name", list(EDITS))


@pytest.fixture(scope="module")
def other(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another release with the name of the one that the databases were written with."""
    return with_another_network(tiny_run, tmp_path_factory.mktemp("other"))


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> Settings:
    """Settings of a service over the database of an earlier commit, whose release is not where it was."""
    settings = Settings(data_dir=tmp_path / "data", threads=1)
    file = settings.data_dir / "segsort.sqlite"
    restore(name, file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE segmentations SET release_path = '/gone'")
        database.commit()
    if request.param == "sqlite":
        return settings
    if name != "revision_0005":
        pytest.skip("only versioned databases were written to PostgreSQL")
    url = str(request.getfixturevalue("empty_postgres_url"))
    copy_rows(f"sqlite:///{file}", url)
    return settings.model_copy(update={"database_url": url})


def copy_rows(sqlite: str, postgres: str) -> None:
    """Copy a database of schema revision 0005 to an empty PostgreSQL database."""
    source, target = create_engine(sqlite), connect(postgres)
    with target.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
    tables = MetaData()
    tables.reflect(source)
    with source.connect() as reading, target.begin() as writing:
        writing.execute(text("DELETE FROM revisions"))
        for table in tables.sorted_tables:
            rows = [dict(row) for row in reading.execute(table.select()).mappings()]
            if rows and table.name != "segsort_schema_version":
                writing.execute(table.insert(), rows)
    source.dispose()
    target.dispose()


@pytest.fixture
def changed(settings: Settings, other: Path) -> Iterator[TestClient]:
    """The service after the release changed under its name, without a copy of the earlier one."""
    with TestClient(create_app(settings.model_copy(update={"release": str(other)}))) as client:
        yield client


def get(client: TestClient, path: str) -> Any:
    return client.get(path).raise_for_status().json()


def test_edits_are_kept_and_in_effect_where_the_release_is_the_same(settings: Settings, name: str) -> None:
    for _ in range(2):
        with TestClient(create_app(settings.model_copy(update={"release": str(RELEASE)}))) as client:
            assert get(client, "/readyz")["earlier_edits"] == 0
            assert len(get(client, "/edits")) == EDITS[name]
            assert {"wall", "lava", "fog"} <= {info["name"] for info in get(client, "/classes")}
            for segment_id, why in explanations(name).items():
                now = get(client, f"/explain/{segment_id}")
                assert now["class_name"] == why["class_name"]
                assert [one["exemplar_id"] for one in now["exemplars"]] == [one[0] for one in why["exemplars"]]


def test_edits_are_kept_without_effect_where_the_release_changed(changed: TestClient, name: str) -> None:
    assert get(changed, "/readyz")["earlier_edits"] == EDITS[name]
    assert len(get(changed, "/edits")) == EDITS[name]
    assert [info["name"] for info in get(changed, "/classes")] == ["brick", "grass", "water"]
    exemplars = get(changed, "/exemplars?limit=100")["exemplars"]
    assert {one["added_in"] for one in exemplars} == {None}


def test_explanations_are_answered_where_the_release_is_gone(changed: TestClient, name: str) -> None:
    for segment_id, why in explanations(name).items():
        now = get(changed, f"/explain/{segment_id}")
        assert now["known"] == why["known"]
        recorded = now["incomplete"]["neighbours"]
        assert [one["exemplar_id"] for one in recorded if one["voted"]] == [one[0] for one in why["exemplars"]]
        read = get(changed, f"/segmentations/{segment_id.rpartition('-')[0]}")
        assert segment_id in {one["segment_id"] for one in read["segments"]}


def test_edits_are_carried_over_to_the_changed_release(changed: TestClient, name: str) -> None:
    done = ended(changed, changed.post("/releases/tiny/carry").raise_for_status().json())["result"]
    assert done["exemplars"] >= 2
    assert {"lava", "fog", "wall"} <= {info["name"] for info in get(changed, "/classes")}
    wait_until(lambda: get(changed, "/readyz")["earlier_edits"] == 0)
    assert ended(changed, changed.post("/releases/tiny/carry").json())["result"]["revision"] is None
    alive = get(changed, "/exemplars?limit=100")["exemplars"]
    assert sum(one["added_in"] == done["revision"] for one in alive) == done["exemplars"]
