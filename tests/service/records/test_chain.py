"""The chain over the log of edits: every alteration of a row is found and named."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import text

from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from service.problems import DamageError
from service.records import chain
from service.records.edit_rows import ReleaseKey, edit_of, read_edits_and_exemplars
from service.records.follower import Author, Follower, Plan
from service.records.head_file import HeadFile
from service.records.live_release import LiveRelease
from service.records.schema_version import open_database
from service.records.tables import EditRow

ANNA = Author("anna", "because ☃")
EDITS = 6

ALTERATIONS = {  # by what is done: statements, and what the message says
    "an edit is deleted": (["DELETE FROM edits WHERE revision = 3"], "before revision 4: edit 3 is missing"),
    "two edits are deleted": (["DELETE FROM edits WHERE revision IN (2, 3)"], "edits 2 to 3 are missing"),
    "the first edit is deleted": (["DELETE FROM edits WHERE revision = 1"], "edit 1 is missing"),
    "the last edit is deleted": (["DELETE FROM edits WHERE revision = 6"], "edit 6 is missing"),
    "all edits are deleted": (["DELETE FROM edits"], "edits 1 to 6 are missing"),
    "an unknown kind": (["UPDATE edits SET kind = 'smile' WHERE revision = 2"], "table edits, revision 2"),
    "another known kind": (["UPDATE edits SET kind = 'mark' WHERE revision = 2"], "table edits, revision 2"),
    "another release": (["UPDATE edits SET release = 'other' WHERE revision = 2"], "table edits, revision 2"),
    "another author": (["UPDATE edits SET author = 'eve' WHERE revision = 2"], "edits, revision 2: it was altered"),
    "no reason": (["UPDATE edits SET reason = NULL WHERE revision = 2"], "edits, revision 2: it was altered"),
    "another time": (["UPDATE edits SET created = '2020-01-01 00:00:00.000000' WHERE revision = 5"], "revision 5"),
    "another digest": (["UPDATE edits SET digest = 'x' WHERE revision = 5"], "table edits, revision 5"),
    "another chain": (["UPDATE edits SET chain = 'x' WHERE revision = 5"], "table edits, revision 5"),
    "added by nothing": (["UPDATE edits SET added = NULL WHERE revision = 5"], "table edits, revision 5"),
    "two edits swapped": (
        [f"UPDATE edits SET revision = {new} WHERE revision = {old}" for old, new in ((2, 99), (3, 2), (99, 3))],
        "table edits, revision 2",
    ),
    "an edit moved to the end": (["UPDATE edits SET revision = 7 WHERE revision = 2"], "edits has rows up to 7"),
    "an edit of nobody": (
        ["INSERT INTO edits (revision, release, kind, payload, author, created, digest, chain) "
         "SELECT 7, release, kind, payload, author, created, digest, chain FROM edits WHERE revision = 6"],
        "edits has rows up to 7",
    ),
    "another class": (["UPDATE exemplars SET class_id = 0 WHERE revision = 4"], "exemplars, of revision 4"),
    "another mask": (["UPDATE exemplars SET mask = 'masl' WHERE revision = 4"], "exemplars, of revision 4"),
    "another strength": (["UPDATE exemplars SET strength = 2.25 WHERE revision = 4"], "exemplars, of revision 4"),
    "another scope": (["UPDATE exemplars SET scope = 'image' WHERE revision = 4"], "exemplars, of revision 4"),
    "another image": (["UPDATE exemplars SET image_id = 'b' WHERE revision = 4"], "exemplars, of revision 4"),
    "another place": (["UPDATE exemplars SET place = 1 WHERE revision = 4"], "exemplars, of revision 4"),
    "exemplar of another edit": (["UPDATE exemplars SET revision = 3 WHERE revision = 4"], "of revision [34]"),
    "exemplar of another release": (["UPDATE exemplars SET release = 'b' WHERE revision = 4"], "of revision 4"),
    "an exemplar is deleted": (["DELETE FROM exemplars WHERE revision = 4"], "exemplars, of revision 4"),
    "the number is set back": (["UPDATE revisions SET number = 3"], "table revisions, its only row: .* is 3"),
    "the number is set forward": (["UPDATE revisions SET number = 9"], "table revisions, its only row: .* is 9"),
    "the head names another edit": (
        ["UPDATE revisions SET chain = (SELECT chain FROM edits WHERE revision = 3)"], "table revisions"
    ),
    "the seal is another": (["UPDATE revisions SET seal = 'x'"], "table revisions"),
    "the database is named anew": (["UPDATE revisions SET database_id = 'x'"], "table revisions"),
    "no head": (["DELETE FROM revisions"], "table revisions: it has 0 rows"),
    "two heads": (
        ["INSERT INTO revisions SELECT 2, number, chain, seal, database_id FROM revisions"],
        "table revisions: it has 2 rows",
    ),
    "no edits": (["DROP TABLE edits"], "edits"),
    "no exemplars": (["DROP TABLE exemplars"], "exemplars"),
    "no revisions": (["DROP TABLE revisions"], "revisions"),
}  # fmt: skip


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return Release.open(tiny_release)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def opened(release: Release) -> LiveRelease:
    return LiveRelease.of(LiveExemplars.of_release(release))


def addition(live: LiveRelease, n: int) -> Plan:
    prototype = np.eye(live.state.prototypes(np.array([0])).shape[1], dtype=np.float32)[n]
    new = AddedExemplar(f"new{n}", prototype, 1, 2.5, "image", "söurce", 8, 6, (1, 2, 3, 4), 12, "mask")
    return Plan("add", {"exemplar_ids": [new.exemplar_id], "classes": [], "summary": "added"}, [new])


def make_edits(follower: Follower, live: LiveRelease, first: int = 1, last: int = EDITS) -> None:
    """Edits that each add an exemplar, apart from each third, which removes one of the release."""
    for n in range(first, last + 1):
        removed = Plan("remove", {"exemplar_ids": [live.release.exemplars.ids[n]], "summary": "removed"})
        plan = removed if n % 3 == 0 else addition(live, n)
        edit = follower.edit(live, ANNA, lambda connection, revision, plan=plan: plan)
        assert edit is not None


@pytest.fixture
def live(database: Database, release: Release) -> LiveRelease:
    """A release after the edits."""
    live, follower = opened(release), Follower(database)
    follower.follow(live)
    make_edits(follower, live)
    return live


def run(database: Database, *statements: str) -> None:
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_is_named_at_the_start(
    database: Database, live: LiveRelease, release: Release, name: str
) -> None:
    Follower(database).follow(opened(release))
    statements, said = ALTERATIONS[name]
    run(database, *statements)
    with pytest.raises(DamageError, match=said) as found:
        Follower(database).follow(opened(release))
    assert "segsort verify" in str(found.value)
    assert found.value.table in ("edits", "exemplars", "revisions")


@pytest.mark.parametrize("table", ["edits", "exemplars"])
def test_every_column_is_covered(database: Database, live: LiveRelease, release: Release, table: str) -> None:
    """Also those that a later version adds; this test then tells what it adds to the alterations above."""
    covered = {"added", "digest", "chain", *chain._EDIT, *chain._EXEMPLAR, "payload", "prototype", "bbox"}
    with database.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table}")).mappings().first()
    columns = [name for name in found or () if name not in covered]
    for name in columns:
        run(database, f"UPDATE {table} SET {name} = 'x' WHERE revision = 4")
        with pytest.raises(DamageError, match="revision 4"):
            Follower(database).follow(opened(release))
        run(database, f"UPDATE {table} SET {name} = NULL WHERE revision = 4")
    for name in {"edits": ["payload"], "exemplars": ["prototype", "bbox"]}[table]:
        with database.begin() as connection:
            value = connection.execute(text(f"SELECT {name} FROM {table} WHERE revision = 4")).scalar_one()
            changed = bytes(value)[:-1] + bytes([value[-1] ^ 1])
            connection.execute(text(f"UPDATE {table} SET {name} = :new WHERE revision = 4"), {"new": changed})
        with pytest.raises(DamageError, match="revision 4"):
            Follower(database).follow(opened(release))


def test_an_alteration_while_the_service_runs_is_noticed_with_the_next_edit_of_another_process(
    database: Database, live: LiveRelease, release: Release
) -> None:
    follower, other = opened(release), Follower(database)
    following = Follower(database)
    following.follow(follower)
    theirs = opened(release)
    other.follow(theirs)
    make_edits(other, theirs, 7, 7)
    run(database, "UPDATE exemplars SET class_id = 0 WHERE revision = 7")
    with pytest.raises(DamageError, match="exemplars, of revision 7"):
        following.catch_up()
    assert follower.state.revision == EDITS


def test_a_damaged_edit_of_another_release_does_not_stop_this_one(
    database: Database, live: LiveRelease, release: Release
) -> None:
    run(database, "UPDATE edits SET author = 'eve' WHERE revision = 2")
    with database.connect() as connection, pytest.raises(DamageError):
        read_edits_and_exemplars(connection, 0, EDITS, live.key)
    with database.connect() as connection:
        assert read_edits_and_exemplars(connection, 0, EDITS, ReleaseKey("another", "0" * 64)) == ([], [])


def test_one_altered_edit_in_a_list_is_named(database: Database, live: LiveRelease) -> None:
    run(database, "UPDATE edits SET author = 'eve' WHERE revision = 2")
    with database.connect() as connection:
        rows = connection.execute(EditRow.__table__.select().order_by(EditRow.revision)).mappings().all()
    assert edit_of(rows[0]).revision == 1
    with pytest.raises(DamageError, match="edits, revision 2"):
        edit_of(rows[1])


def test_hashes_are_those_of_a_plain_recomputation(database: Database, live: LiveRelease) -> None:
    """The format is written out here, so that a change of it is noticed: databases hold these hashes for ever."""
    with database.connect() as connection:
        edits = connection.execute(text("SELECT * FROM edits ORDER BY revision")).mappings().all()
        exemplars = connection.execute(text("SELECT * FROM exemplars ORDER BY revision, place")).mappings().all()
    last = "0" * 64
    for row in edits:
        hashed = b""
        for one in exemplars:
            if one["revision"] != row["revision"]:
                continue
            names = "release exemplar_id revision place class_id strength image_id source width height area mask scope"
            hashed += ascii(tuple(one[name] for name in names.split())).encode()
            for name in ("prototype", "bbox"):
                hashed += b"\n%d:\n" % len(one[name]) + bytes(one[name])
            hashed += b"\n" + later(one, {*names.split(), "prototype", "bbox"})
        added = hashlib.sha256(hashed).hexdigest() if hashed else None
        assert row["added"] == added
        created = row["created"]
        created = created if isinstance(created, datetime) else datetime.fromisoformat(created)
        plain = (row["revision"], row["release"], row["kind"], row["author"], row["reason"], created)
        content = ascii(plain).encode() + b"\n%d:\n" % len(row["payload"]) + bytes(row["payload"]) + b"\n"
        known = {"revision", "release", "kind", "author", "reason", "created", "payload", "added", "digest", "chain"}
        content += later(row, known)
        assert row["digest"] == hashlib.sha256(content + ascii(added).encode()).hexdigest()
        linked = (last, row["revision"], row["release"], row["kind"], row["digest"])
        last = hashlib.sha256(ascii(linked).encode()).hexdigest()
        assert row["chain"] == last


def later(row: Any, known: set[str]) -> bytes:
    """The columns that versions after the first one of the chain added."""
    return b"".join(
        ascii((name, row[name])).encode() + b"\n" for name in sorted(set(row) - known) if row[name] is not None
    )


def keeper(tmp_path: Path, database: Database) -> HeadFile:
    (tmp_path / "data").mkdir(exist_ok=True)
    found = HeadFile.of(tmp_path / "data", database.url.render_as_string(hide_password=False))
    assert found is not None
    return found


def test_the_file_knows_the_last_edit_that_was_acknowledged(
    database: Database, live: LiveRelease, release: Release, tmp_path: Path
) -> None:
    file, mine = keeper(tmp_path, database), opened(release)
    follower = Follower(database, keeper=file)
    follower.follow(mine)
    kept = file.read()
    assert kept is not None
    assert (kept.number, kept.last) == (EDITS, EDITS)
    make_edits(follower, mine, 7, 8)
    with database.connect() as connection:
        row = connection.execute(text("SELECT number, chain, database_id FROM revisions")).one()
    assert file.read() == (row.database_id, 8, 8, row.chain)


def test_a_database_behind_its_file_is_refused_and_taken_once_the_file_is_forgotten(
    database: Database, live: LiveRelease, release: Release, tmp_path: Path
) -> None:
    """As after a write-ahead log was deleted: the older state is sound in itself."""
    with database.connect() as connection:
        before = connection.execute(text("SELECT number, chain, seal FROM revisions")).one()._asdict()
    file, mine = keeper(tmp_path, database), opened(release)
    follower = Follower(database, keeper=file)
    follower.follow(mine)
    make_edits(follower, mine, 7, 9)
    run(database, "DELETE FROM edits WHERE revision > 6", "DELETE FROM exemplars WHERE revision > 6")
    with database.begin() as connection:
        connection.execute(text("UPDATE revisions SET number = :number, chain = :chain, seal = :seal"), before)
    with pytest.raises(DamageError, match="edits 7 to 9 are missing") as refused:
        Follower(database, keeper=file).follow(opened(release))
    assert "segsort recover --accept" in str(refused.value)
    assert Follower(database).follow(opened(release)) == EDITS
    file.forget()
    assert Follower(database, keeper=file).follow(opened(release)) == EDITS


def test_a_database_with_another_history_is_refused(
    database: Database, live: LiveRelease, release: Release, tmp_path: Path
) -> None:
    file = keeper(tmp_path, database)
    Follower(database, keeper=file).follow(opened(release))
    kept = file.read()
    assert kept is not None
    file.forget()
    file.keep(kept._replace(chain="0" * 64))
    with pytest.raises(DamageError, match="went its own way"):
        Follower(database, keeper=file).follow(opened(release))
    file.forget()
    file.keep(kept._replace(database_id="other"))
    with pytest.raises(DamageError, match=r"another database .* had 6 edits"):
        Follower(database, keeper=file).follow(opened(release))


def test_a_file_that_cannot_be_read_is_written_anew(
    database: Database, live: LiveRelease, release: Release, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = keeper(tmp_path, database)
    Follower(database, keeper=file).follow(opened(release))
    for content in (b"", b"{", b"[1]", bytes(512), file.path.read_bytes().replace(b'"number": 6', b'"number": 9')):
        file.path.write_bytes(content)
        caplog.clear()
        Follower(database, keeper=keeper(tmp_path, database)).follow(opened(release))
        assert "cannot be read and is written anew" in caplog.text
        kept = file.read()
        assert kept is not None
        assert kept.number == EDITS


def test_the_file_never_goes_back_where_two_processes_write_it(
    database: Database, live: LiveRelease, release: Release, tmp_path: Path
) -> None:
    file, slow = keeper(tmp_path, database), keeper(tmp_path, database)
    mine = opened(release)
    follower = Follower(database, keeper=file)
    follower.follow(mine)
    old = file.read()
    assert old is not None
    make_edits(follower, mine, 7, 8)
    slow.keep(old)
    kept = file.read()
    assert kept is not None
    assert kept.number == 8


def test_the_file_moves_with_its_folder_and_is_another_for_another_database(tmp_path: Path) -> None:
    def name(folder: str, url: str) -> str | None:
        file = HeadFile.of(tmp_path / folder, url)
        return None if file is None else file.path.name

    assert name("a", f"sqlite:///{tmp_path / 'a' / 'x.sqlite'}") == name(
        "b", f"sqlite:///{tmp_path / 'b' / 'x.sqlite'}"
    )
    elsewhere = {name("a", f"sqlite:////{place}/x.sqlite") for place in ("one", "two")}
    servers = {name("a", f"postgresql+psycopg://me:{word}@{host}/x") for word in "pq" for host in ("one", "two")}
    assert len(elsewhere) == len(servers) == 2
    assert name("a", "sqlite://") is None
