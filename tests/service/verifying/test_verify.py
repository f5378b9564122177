"""`segsort verify` names what is wrong; `segsort recover` keeps what is sound and does not touch the old file."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from benchmarks.damage import contents, damage_copies, fill_client, random_images, settle
from model_store.release import Release
from service.answering.engine import Engine
from service.problems import DamageError
from service.records.checksums import part_checksum
from service.records.head_file import HeadFile
from service.records.packing.votes import PackedVotes
from service.settings import Settings
from service.verifying.recover import recover_database
from service.verifying.replaying import replay_on
from service.verifying.verify import verify_database

COMMAND = Path(sys.executable).with_name("segsort")

ALTERATIONS = {
    "an edit is deleted": ("DELETE FROM edits WHERE revision = 2", "edits"),
    "an edit of an unknown kind": ("UPDATE edits SET kind = 'smile' WHERE revision = 2", "edits"),
    "an edit of another release": ("UPDATE edits SET release = 'other' WHERE revision = 2", "edits"),
    "an exemplar of another class": ("UPDATE exemplars SET class_id = 0 WHERE revision = 1", "exemplars"),
    "an exemplar of no edit": ("UPDATE exemplars SET revision = 999 WHERE revision = 1", "exemplars"),
    "the number is set back": ("UPDATE revisions SET number = 1", "revisions"),
    "a table is dropped": ("DROP TABLE jobs", "jobs"),
    "a column is dropped": ("ALTER TABLE jobs DROP COLUMN problem", "jobs"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON edits BEGIN SELECT 1; END", "edits"),
    "a view": ("CREATE VIEW v AS SELECT 1", "v"),
    "an index is dropped": ("DROP INDEX exemplars_by_image", "exemplars"),
    "another schema version": ("UPDATE segsort_schema_version SET version_num = '0001'", "segsort_schema_version"),
    "no schema version": ("DELETE FROM segsort_schema_version", "segsort_schema_version"),
    "an image of other content": ("UPDATE images SET content = x'00'", "images"),
    "an image of another size": ("UPDATE images SET width = width + 1", "images"),
    "an answer of another release": ("UPDATE segmentations SET k = k + 1", "segmentations"),
    "an answer after a lost edit": ("UPDATE segmentations SET index_revision = 999", "segmentations"),
    "a part of an answer": ("UPDATE answer_parts SET content = x'00' WHERE part_id = 2", "answer_parts"),
    "a part is deleted": ("DELETE FROM answer_parts WHERE part_id = 2", "segmentations"),
    "a text that is not UTF-8": ("UPDATE edits SET author = CAST(x'ff' AS TEXT) WHERE revision = 2", "edits"),
}


@pytest.fixture(scope="module")
def filled(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose database has answers and edits of several kinds."""
    from service.app import create_app

    data = tmp_path_factory.mktemp("filled")
    with TestClient(create_app(Settings(data_dir=data, release=str(tiny_release), threads=1))) as client:
        fill_client(client, random_images(8, 0))
    settle(data / "segsort.sqlite")
    return data


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(filled, tmp_path / "data"))


@pytest.fixture
def settings(data: Path, tiny_release: Path) -> Settings:
    return Settings(data_dir=data, release=str(tiny_release), threads=1)


def run(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / "segsort.sqlite")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def findings(settings: Settings) -> list[Any]:
    return verify_database(settings.database, HeadFile.of(settings.data_dir, settings.database)).findings


def releases_of(settings: Settings) -> Callable[[str], Release | None]:
    """Finds the release that is served, which is outside of the store."""
    release = Release.open(str(settings.release))
    return lambda digest: release if digest == release.digest else None


def segsort(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(data)}
    command = [str(COMMAND), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_sound_database_is_sound_also_while_a_service_writes_it(settings: Settings, data: Path) -> None:
    before = hashlib.sha256((data / "segsort.sqlite").read_bytes()).digest()
    found = verify_database(settings.database, HeadFile.of(data, settings.database))
    assert found.findings == []
    assert found.rows["edits"] == found.edits
    assert found.rows["segmentations"] >= 8
    assert not found.unchecked
    assert hashlib.sha256((data / "segsort.sqlite").read_bytes()).digest() == before
    with closing(sqlite3.connect(data / "segsort.sqlite")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert findings(settings) == []


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_named(settings: Settings, data: Path, name: str) -> None:
    statement, table = ALTERATIONS[name]
    run(data, statement)
    found = findings(settings)
    assert table in {finding.table for finding in found}, found


def test_random_damage_is_detected_or_harmless(settings: Settings, data: Path, tiny_release: Path) -> None:
    """The benchmark does more of them."""
    outcomes = damage_copies(data / "segsort.sqlite", Release.open(tiny_release), 30, seed=1)
    assert [one for one in outcomes if one.outcome == "missed"] == []
    assert sum(one.outcome == "named" for one in outcomes) >= 5


@pytest.mark.parametrize("kind", ["shapes", "votes"])
def test_a_part_that_was_altered_with_its_checksum_is_named(settings: Settings, data: Path, kind: str) -> None:
    """Each byte of the header, and others at random. Confidences and shares are stored, and not computed again."""
    deep = releases_of(settings)
    found = verify_database(settings.database, None, deep=deep)
    assert (found.findings, found.uncompared) == ([], 0)
    with closing(sqlite3.connect(data / "segsort.sqlite")) as database:
        query = f"SELECT part_id, content FROM answer_parts JOIN segmentations ON part_id = {kind}_part LIMIT 1"
        part_id, content = database.execute(query).fetchone()
    random = np.random.default_rng(0)
    places = [*range(28 if kind == "votes" else 15), *random.integers(28, len(content), 40).tolist()]
    harmless = []
    for place in places:
        altered = bytearray(content)
        altered[place] ^= 1 << int(random.integers(8))
        with closing(sqlite3.connect(data / "segsort.sqlite")) as database:
            values = bytes(altered), part_checksum(bytes(altered)), part_id
            database.execute("UPDATE answer_parts SET content = ?, checksum = ? WHERE part_id = ?", values)
            database.commit()
        assert verify_database(settings.database, None).sound, "its checksum fits"
        named = {(one.table, one.row) for one in verify_database(settings.database, None, deep=deep).findings}
        if ("answer_parts", str(part_id)) not in named and not (
            kind == "votes" and same_votes(content, bytes(altered))
        ):
            harmless.append(place)
    assert harmless in ([], [1]), "any value but 0 says that cosines are predicted"


def same_votes(one: bytes, other: bytes) -> bool:
    """Whether two packed answers differ in confidences and shares alone, of which each is still a share."""
    mine, others = PackedVotes(one), PackedVotes(other)
    others.check()
    same = [np.array_equal(mine.labels.class_ids, others.labels.class_ids)]
    same += [np.array_equal(a, b) for a, b in zip(mine._unpacked()[:2], others._unpacked()[:2], strict=True)]
    return all(same) and np.array_equal(mine.labels.known, others.labels.known) and one[:28] == other[:28]


def test_similarities_are_not_compared_where_the_release_is_gone(settings: Settings) -> None:
    found = verify_database(settings.database, None, deep=lambda digest: None)
    assert found.sound
    assert found.uncompared == found.rows["segmentations"]


@pytest.mark.parametrize("size", [0, 100, 4096, 20_000])
def test_a_truncated_database_is_detected(settings: Settings, data: Path, size: int) -> None:
    with (data / "segsort.sqlite").open("r+b") as file:
        file.truncate(size)
    assert findings(settings)
    with pytest.raises(ValueError, match="segsort"):
        Engine(settings)


def test_a_deleted_write_ahead_log_is_noticed_and_taken_on_request(settings: Settings, data: Path) -> None:
    """The database is that before the last edits; the file beside it is of after them."""
    old = (data / "segsort.sqlite").read_bytes()
    with TestClient(_app(settings)) as client:
        last = client.post("/classes", json={"name": "lost"}).raise_for_status().json()["index_revision"]
        copied = (data / "segsort.sqlite-head.json").read_bytes()
    for left in data.glob("segsort.sqlite*"):
        left.unlink()
    (data / "segsort.sqlite").write_bytes(old)
    (data / "segsort.sqlite-head.json").write_bytes(copied)
    with pytest.raises(DamageError, match=f"edit {last} is missing"):
        Engine(settings)
    assert any(f"edit {last} is missing" in str(finding) for finding in findings(settings))
    assert segsort(data, "recover", "--accept").returncode == 0
    assert findings(settings) == []
    with TestClient(_app(settings)) as client:
        assert client.post("/classes", json={"name": "again"}).status_code == 201


def test_the_write_ahead_log_of_another_database_is_noticed(settings: Settings, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as foreign:
        foreign.execute("PRAGMA journal_mode=WAL")
        foreign.execute("CREATE TABLE t AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 9000) "
                        "SELECT x, hex(randomblob(30)) AS y FROM n")  # fmt: skip
        foreign.commit()
        shutil.copy(f"{other}-wal", data / "segsort.sqlite-wal")
    assert findings(settings)
    with pytest.raises(ValueError, match="segsort"):
        Engine(settings)


def test_a_set_back_number_makes_readiness_and_edits_say_so_and_is_recovered(settings: Settings, data: Path) -> None:
    with TestClient(_app(settings)) as client:
        run(data, "UPDATE revisions SET number = 1")
        refused = client.post("/classes", json={"name": "new"})
        assert refused.status_code == 503
        assert "revisions" in refused.json()["received"]
        assert "says that the last edit is 1" in refused.json()["detail"]
        assert "segsort recover" in refused.json()["fix"]
        _wait_until(lambda: client.get("/readyz").status_code == 503)
        assert any("revisions" in reason for reason in client.get("/readyz").json()["received"])
    done = recover(settings, data / "new.sqlite")
    assert done.lost_edits == []
    (data / "new.sqlite").replace(data / "segsort.sqlite")
    for left in data.glob("segsort.sqlite-[ws]*"):
        left.unlink()
    assert findings(settings) == []
    with TestClient(_app(settings)) as client:
        assert client.post("/classes", json={"name": "new"}).status_code == 201


def recover(settings: Settings, new: Path) -> Any:
    keeper = HeadFile.of(settings.data_dir, settings.database)
    return recover_database(
        settings.database, f"sqlite:///{new}", keeper, replay=replay_on(settings.data_dir, settings.release)
    )


def test_a_sound_database_is_recovered_as_it_is(settings: Settings, data: Path) -> None:
    old = (data / "segsort.sqlite").read_bytes()
    done = recover(settings, data / "new.sqlite")
    assert done.report.findings == []
    assert contents(data / "new.sqlite") == contents(data / "segsort.sqlite")
    assert (data / "segsort.sqlite").read_bytes() == old
    with pytest.raises(ValueError, match="exists"):
        recover(settings, data / "new.sqlite")


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_a_lost_edit_costs_itself_and_what_needs_it(settings: Settings, data: Path, revision: int) -> None:
    run(data, f"DELETE FROM edits WHERE revision = {revision}")
    with pytest.raises(DamageError):
        Engine(settings)
    done = recover(settings, data / "new.sqlite")
    assert revision in done.lost_edits
    assert done.number not in done.lost_edits
    (data / "new.sqlite").replace(data / "segsort.sqlite")
    HeadFile.of(data, settings.database).forget()  # type: ignore[union-attr]
    assert findings(settings) == []
    with TestClient(_app(settings)) as client:
        edits = [edit["revision"] for edit in client.get("/edits?limit=100").json()]
        assert sorted({*edits, *done.lost_edits}) == list(range(1, done.number + 1))
        assert len(done.lost_edits) <= 3, done.report.findings
        names = [one["name"] for one in client.get("/classes").json()]
        assert any(name.startswith("lost class") for name in names)
        made = client.post("/classes", json={"name": "after"}).raise_for_status().json()
        assert made["index_revision"] == done.number + 1


def test_rows_around_a_damaged_page_are_recovered(settings: Settings, data: Path) -> None:
    with closing(sqlite3.connect(data / "segsort.sqlite")) as database:
        rows = database.execute("SELECT count(*) FROM answer_parts").fetchone()[0]
        page = database.execute(
            "SELECT pageno FROM dbstat WHERE name = 'answer_parts' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1"
        ).fetchone()[0] if _has_dbstat(database) else None  # fmt: skip
    if page is None:
        pytest.skip("this SQLite has no table dbstat")
    with (data / "segsort.sqlite").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    assert any(finding.table == "answer_parts" for finding in findings(settings))
    done = recover(settings, data / "new.sqlite")
    assert done.lost_edits == []
    assert 0 < done.report.rows["answer_parts"] < rows


def _has_dbstat(database: sqlite3.Connection) -> bool:
    try:
        database.execute("SELECT * FROM dbstat LIMIT 1")
    except sqlite3.Error:
        return False
    return True


def test_a_damaged_header_is_no_loss(settings: Settings, data: Path) -> None:
    with (data / "segsort.sqlite").open("r+b") as file:
        file.write(b"no database!")
    assert "cannot be read as a database" in str(findings(settings))
    done = recover(settings, data / "new.sqlite")
    assert done.lost_edits == []
    assert done.report.rows["segmentations"] >= 8
    assert (data / "segsort.sqlite").read_bytes().startswith(b"no database!")


def test_a_damaged_declaration_of_a_table_is_no_loss(settings: Settings, data: Path) -> None:
    content = (data / "segsort.sqlite").read_bytes()
    (data / "segsort.sqlite").write_bytes(content.replace(b"CREATE TABLE exemplars", b"CREATE TAB\x00E exemplars"))
    assert {finding.table for finding in findings(settings)} == {"sqlite_schema"}
    with pytest.raises(DamageError, match="segsort recover"):
        Engine(settings)
    done = recover(settings, data / "new.sqlite")
    assert (done.lost_edits, done.report.findings) == ([], [])


def test_the_command_says_what_is_wrong_with_its_exit_status(data: Path, tmp_path: Path) -> None:
    sound = segsort(data, "verify", "--json")
    assert (sound.returncode, json.loads(sound.stdout)["sound"]) == (0, True)
    run(data, "UPDATE edits SET author = 'eve' WHERE revision = 2")
    damaged = segsort(data, "verify")
    assert damaged.returncode == 1
    assert "table edits, revision 2: it was altered" in damaged.stdout
    recovered = segsort(data, "recover", "--out", str(tmp_path / "new.sqlite"))
    assert recovered.returncode == 1
    assert "lost edits: 2" in recovered.stdout
    nothing = segsort(data, "recover")
    assert (nothing.returncode, "--accept" in nothing.stderr) == (2, True)
    missing = segsort(data, "verify", "--database", f"sqlite:///{tmp_path / 'none.sqlite'}")
    assert (missing.returncode, "does not exist" in missing.stderr) == (2, True)
    assert "Traceback" not in damaged.stderr + recovered.stderr + missing.stderr


def test_a_damaged_answer_and_image_are_gone_and_named_and_lists_go_on(settings: Settings, data: Path) -> None:
    with TestClient(_app(settings)) as client:
        answers = client.get("/segmentations").raise_for_status().json()
        first, second = answers[0]["segmentation_id"], answers[1]["segmentation_id"]
        run(
            data,
            f"UPDATE segmentations SET k = k + 1 WHERE segmentation_id = '{first}'",
            f"UPDATE answer_parts SET content = x'00' WHERE part_id = (SELECT votes_part FROM segmentations WHERE "
            f"segmentation_id = '{second}')",
            "UPDATE images SET content = x'00' WHERE image_id = (SELECT image_id FROM segmentations WHERE "
            f"segmentation_id = '{second}')",
        )
        for path, named in (
            (f"/segmentations/{first}", f"table segmentations, {first}"),
            (f"/segmentations/{second}", "table answer_parts"),
            (f"/segmentations/{second}/image", "table images"),
        ):
            refused = client.get(path)
            assert refused.status_code == 410, path
            assert named in refused.json()["received"]
        listed = client.get("/segmentations").raise_for_status().json()
        assert first not in {one["segmentation_id"] for one in listed}
        assert len(listed) == len(answers) - 1
        assert client.get("/clusters").status_code == 200


def _app(settings: Settings) -> Any:
    from service.app import create_app

    return create_app(settings)


def _wait_until(holds: Callable[[], bool]) -> None:
    from tests.service.serving import wait_until

    wait_until(holds)


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path, tiny_release: Path) -> Settings:
    settings = Settings(data_dir=tmp_path / "pg", release=str(tiny_release), threads=1, database_url=postgres_url)
    with TestClient(_app(settings)) as client:
        fill_client(client, random_images(4, 0))
    return settings


def test_a_postgresql_database_is_verified_and_recovered(postgres: Settings, tmp_path: Path) -> None:
    assert findings(postgres) == []
    found = verify_database(postgres.database, None, deep=releases_of(postgres))
    assert (found.findings, found.uncompared) == ([], 0)
    engine = create_engine(postgres.database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE edits SET author = 'eve' WHERE revision = 2"))
        connection.execute(text("UPDATE answer_parts SET content = '\\x00' WHERE part_id = 2"))
    engine.dispose()
    assert {"edits", "answer_parts"} <= {finding.table for finding in findings(postgres)}
    done = recover(postgres, tmp_path / "new.sqlite")
    assert 2 in done.lost_edits
    assert verify_database(f"sqlite:///{tmp_path / 'new.sqlite'}").sound is False  # an answer without its part
