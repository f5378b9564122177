"""The commands `segsort database ...` on databases of this version and of earlier ones."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from command_line.main import cli
from segsort.masks import decode_rle
from service.app import create_app
from service.records.database import Records
from service.settings import Settings
from tests.service.records.answers import names, record
from tests.service.records.migrations.earlier import RELEASE, explanations, restore


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGSORT_DATA_DIR", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["database", *arguments])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def recorded(folder: Path, count: int) -> Records:
    records = Records(f"sqlite:///{folder / 'segsort.sqlite'}")
    for n in range(count):
        record(records, f"a{n}")
    return records


def test_sizes_are_shown_for_people_and_for_programs(folder: Path) -> None:
    recorded(folder, 3).close()
    found = json.loads(run("show", "--json"))
    assert (found["answers"], found["images"], found["pinned"]) == (3, 0, 0)
    assert found["used"] > found["answer_bytes"] > 100
    assert found["oldest"].endswith("Z")
    assert found["left"] > 0
    assert "answers: 3" in run("show")


def test_pruning_follows_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = recorded(folder, 5)
    result = CliRunner().invoke(cli, ["database", "prune"])
    assert isinstance(result.exception, ValueError)
    assert "SEGSORT_RETENTION_ANSWERS" in str(result.exception)
    monkeypatch.setenv("SEGSORT_RETENTION_ANSWERS", "2")
    assert run("prune") == "3 answers were deleted, 2 are left\n"
    assert names(records) == ["a3", "a4"]
    records.close()
    assert "done" in run("vacuum")


def pixels(value: Any) -> Any:
    """JSON with masks as pixels, because the first versions wrote some run lengths with an empty run at the end.

    The digest of the release is left out: compaction finds it.
    """
    if isinstance(value, dict) and set(value) == {"size", "counts"}:
        return decode_rle(value["counts"], tuple(value["size"])).tobytes()
    if isinstance(value, dict):
        return {name: pixels(one) for name, one in value.items() if name != "release_digest"}
    return [pixels(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["before_versions", "row_per_segment"])
def test_answers_of_earlier_versions_are_compacted_and_explained_as_before(folder: Path, name: str) -> None:
    file = folder / "segsort.sqlite"
    restore(name, file)
    settings = Settings(data_dir=folder, release=str(RELEASE), threads=1)
    with TestClient(create_app(settings)) as client:
        before = {one: client.get(f"/explain/{one}").raise_for_status().json() for one in explanations(name)}
        listed = client.get("/segmentations").json()
        whole = [client.get(f"/segmentations/{one['segmentation_id']}").json() for one in listed]
    assert run("compact").startswith(f"{len(listed)} answers were compacted; 0 were left")
    assert run("compact").startswith("0 answers were compacted; 0 were left")
    with TestClient(create_app(settings)) as client:
        assert pixels(client.get("/segmentations").json()) == pixels(listed)
        again = [client.get(f"/segmentations/{one['segmentation_id']}").json() for one in listed]
        assert pixels(again) == pixels(whole)
        for segment_id, why in before.items():
            assert pixels(client.get(f"/explain/{segment_id}").raise_for_status().json()) == pixels(why)
    records = Records(settings.database)
    assert all(one.facts.votes_part is not None for one in records.newest(99))
    records.close()


def test_answers_whose_release_is_gone_are_left(folder: Path) -> None:
    file = folder / "segsort.sqlite"
    restore("before_versions", file)
    Records(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as database:
        database.execute("UPDATE segmentations SET release = 'gone', release_path = '/gone'")
        count = database.execute("SELECT count(*) FROM segmentations").fetchone()[0]
    assert run("compact").startswith(f"0 answers were compacted; {count} were left")
