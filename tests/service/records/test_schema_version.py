"""The schema's version: databases are created, upgraded, left alone or refused."""

import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import cast

import orjson
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine as Database
from sqlalchemy import create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from service.records import schema_version
from service.records.connection import Waits, connect
from service.records.schema_version import (
    CURRENT,
    VERSION_TABLE,
    alembic_config,
    ensure_current_schema,
    open_database,
)
from service.records.tables import Base, last_revision
from tests.service.records.migrations.earlier import restore

OPEN = """
import sys, time
from service.records.schema_version import open_database
from service.records.tables import last_revision
print("ready", flush=True)
sys.stdin.readline()
engine = open_database(sys.argv[1])
with engine.connect() as connection:
    print(last_revision(connection), flush=True)
"""


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def differences(database: Database) -> list[object]:
    """What Alembic would change to make the tables those of `service.records.tables`."""
    with database.connect() as connection:
        opts = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, Base.metadata))


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return list(database.iterdump())


def rows_of(file: Path, table: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(file)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]


def set_version(file: Path, version: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"UPDATE {VERSION_TABLE} SET version_num = ?", (version,))
        database.commit()


def test_the_migrations_create_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    database = open_database(url(tmp_path / "new" / "a.sqlite"))
    assert differences(database) == []
    with database.connect() as connection:
        assert last_revision(connection) == 0


def test_a_table_that_no_migration_creates_is_noticed(tmp_path: Path) -> None:
    database = open_database(url(tmp_path / "a.sqlite"))
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE edits")
    assert len(differences(database)) == 1


def test_the_program_expects_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [CURRENT]


def test_each_database_in_memory_is_created() -> None:
    for _ in range(2):
        with open_database("sqlite://").connect() as connection:
            assert last_revision(connection) == 0


def test_a_database_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from service.records.schema_version import open_database; open_database(sys.argv[1]);"
        "print(sorted(name for name in sys.modules if name.startswith('alembic')))"
    )
    run = [sys.executable, "-c", code, url(tmp_path / "a.sqlite")]
    created, opened = (subprocess.check_output(run, text=True) for _ in range(2))
    assert "alembic.command" in created
    assert opened.strip() == "[]"


def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    open_database(url(file)).dispose()
    set_version(file, "9999")
    before = dump(file)
    with pytest.raises(
        ValueError, match=rf"a\.sqlite has schema revision '9999'.*knows .*{CURRENT}: .*upgrade segsort"
    ):
        open_database(url(file))
    assert dump(file) == before


def test_a_password_is_not_in_the_message() -> None:
    with pytest.raises(ValueError, match=r"postgresql\+nothing://anna:\*\*\*@here/db cannot be opened"):
        open_database("postgresql+nothing://anna:secret@here/db")


def test_a_folder_that_may_not_be_written_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(ValueError, match=r"cannot be opened.*SEGSORT_DATA_DIR"):
        open_database(url(tmp_path / "data" / "a.sqlite"))


@pytest.mark.parametrize("before", ["empty", "row_per_segment"])
def test_processes_that_start_at_once_upgrade_one_database_once(tmp_path: Path, before: str) -> None:
    file = tmp_path / "a.sqlite"
    if before != "empty":
        restore(before, file)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", OPEN, url(file)], **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, outputs
    assert len({revision for revision, _ in outputs}) == 1
    assert differences(create_engine(url(file))) == []
    with closing(sqlite3.connect(file)) as database:
        assert database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall() == [(CURRENT,)]


def test_the_schema_version_is_read_by_a_service_that_starts_again(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    restore("before_versions", file)
    before, changed = dump(file), ("segmentations", "exemplars", "edits", "images", "revisions")
    answers, exemplars, edits, images, _ = (rows_of(file, table) for table in changed)
    open_database(url(file)).dispose()
    added = (
        VERSION_TABLE,
        "jobs",
        "job_images",
        "edit_fits",
        "answer_parts",
        "sqlite_sequence",
        "sessions",
        "usage",
        "webhook",
        "image_objects",
        *changed,
    )
    after = [line for line in dump(file) if not any(table in line for table in added)]
    assert after == [line for line in before if not any(table in line for table in changed)]
    new = dict.fromkeys(
        ("conversion", "page", "pages", "release_digest", "shapes_part", "votes_part", "lineage", "checksum")
    )
    content = ("segments", "prototypes", "exemplar_ids", "neighbours", "similarities")
    counts = [len(orjson.loads(cast(bytes, row["segments"]))) for row in answers]
    assert min(counts) > 1
    times = sorted(str(row["created"]) for row in answers)
    expected = [
        {**row, **new, "segment_count": count, "pinned": 0, "sequence": 1 + times.index(str(row["created"])),
         "size": sum(len(cast(bytes, row[name])) for name in content)}
        for row, count in zip(answers, counts, strict=True)
    ]  # fmt: skip
    assert rows_of(file, "segmentations") == expected
    assert exemplars
    assert edits
    order = sorted(images, key=lambda image: str(image["created"]))
    expected = [{**image, "sequence": 1 + order.index(image), "checksum": None} for image in images]
    assert rows_of(file, "images") == expected
    upgraded = rows_of(file, "edits")
    assert [row["added"] is not None for row in upgraded] == [row["kind"] in ("add", "label") for row in edits]
    assert all(len(str(row.pop("digest"))) == len(str(row.pop("chain"))) == 64 for row in upgraded)
    new = {"release_digest": None, "added": None}
    assert [{**row, "added": None} for row in upgraded] == [row | new for row in edits]
    assert rows_of(file, "exemplars") == [{**row, "scope": "all", "release_digest": None} for row in exemplars]


def test_the_version_table_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.executescript("CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('x')")
    open_database(url(file)).dispose()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("x",)]


@pytest.mark.parametrize("name", [None, "before_edits", "before_versions"])
def test_a_table_of_another_program_named_segments_is_left_alone(tmp_path: Path, name: str | None) -> None:
    file = tmp_path / "a.sqlite"
    if name is not None:
        restore(name, file)
    with closing(sqlite3.connect(file)) as database:
        database.executescript("CREATE TABLE segments (id, name); INSERT INTO segments VALUES (1, 'a')")
    open_database(url(file)).dispose()
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT id, name FROM segments").fetchall() == [(1, "a")]


def test_a_migration_that_fails_on_a_row_is_explained_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    restore("row_per_segment", file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE segments SET similarities = x'00'")
        database.commit()
    before = dump(file)
    with pytest.raises(
        ValueError, match=r"upgrade from schema revision none .* ValueError: .*nothing was changed; repair"
    ):
        open_database(url(file))
    assert dump(file) == before


def test_a_database_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    database = open_database(url(file))
    with database.connect() as connection:
        last_revision(connection)  # keeps the shared memory of write-ahead logging
        with pytest.raises(ValueError, match=r"cannot be written: .*readonly.*give the service the right"):
            open_database(f"sqlite:///file:{file}?mode=ro&uri=true")


def test_the_busy_timeout_is_restored_after_a_wait_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_version, "_MIGRATION_WAIT", 0.1)
    database = connect(url(tmp_path / "a.sqlite"))
    database.connect().close()
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            ensure_current_schema(database)
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == Waits().lock * 1000


def test_the_wait_for_a_locked_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_version, "_CONNECT_WAIT", 0.5)
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        with pytest.raises(ValueError, match=r"cannot be opened: .*locked"):
            open_database(url(tmp_path / "a.sqlite"), Waits(lock=0.1))
    assert 0.5 < time.monotonic() - start < 10


def test_postgresql_is_created_and_opened_again(empty_postgres_url: str) -> None:
    for _ in range(2):
        database = open_database(empty_postgres_url)
        assert differences(database) == []
        with database.connect() as connection:
            assert last_revision(connection) == 0
        database.dispose()


def test_a_postgresql_database_without_an_encoding_holds_any_text(empty_postgres_url: str) -> None:
    """SQL_ASCII is the encoding where the server was set up without a locale."""
    server, name = create_engine(empty_postgres_url, isolation_level="AUTOCOMMIT"), f"ascii_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
        database = open_database(make_url(empty_postgres_url).set(database=name).render_as_string(hide_password=False))
        with database.connect() as opened:
            assert opened.exec_driver_sql("SELECT 'größer' || ' 大きい'").scalar_one() == "größer 大きい"
        database.dispose()
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


@pytest.mark.parametrize("before", ["empty", "0010"])
def test_several_processes_create_or_upgrade_one_postgresql_database(empty_postgres_url: str, before: str) -> None:
    if before != "empty":
        config, database = alembic_config(), connect(empty_postgres_url)
        with database.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, before)
        database.dispose()
    arguments = [sys.executable, "-c", OPEN, empty_postgres_url]
    others = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    found = [other.communicate("go\n")[0].split() for other in others]
    assert found == [["0"]] * 3
    database = connect(empty_postgres_url)
    assert differences(database) == []
    database.dispose()


def test_the_wait_for_another_upgrade_of_postgresql_is_bounded(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_version, "_MIGRATION_WAIT", 0.3)
    database = connect(empty_postgres_url)
    with database.begin() as other:
        other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({schema_version._ADVISORY_LOCK})")
        started = time.monotonic()
        with pytest.raises(ValueError, match=r"kept the lock for upgrades of .* for 0.3 s; wait until"):
            open_database(empty_postgres_url)
        assert 0.3 <= time.monotonic() - started < 10
    opened = open_database(empty_postgres_url)
    with opened.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "5s"
    for one in (database, opened):
        one.dispose()


@pytest.mark.parametrize("target", ["base", "-1"])
def test_a_downgrade_is_refused_and_says_what_to_do(tmp_path: Path, target: str) -> None:
    database = open_database(url(tmp_path / "a.sqlite"))
    database.dispose()
    before, config = dump(tmp_path / "a.sqlite"), alembic_config()
    with database.begin() as connection:
        config.attributes["connection"] = connection
        with pytest.raises(ValueError, match=rf"schema revision {CURRENT} and cannot be downgraded.*restore a backup"):
            command.downgrade(config, target)
    database.dispose()
    assert dump(tmp_path / "a.sqlite") == before


@pytest.mark.parametrize(
    "said",
    [  # of PostgreSQL, src/backend/postmaster: every reason to refuse a connection that ends by itself
        "the database system is starting up",
        "the database system is not yet accepting connections",
        "the database system is not accepting connections",
        "the database system is shutting down",
        "the database system is in recovery mode",
    ],
)
def test_a_start_waits_for_a_server_that_recovers_from_a_crash(tmp_path: Path, said: str) -> None:
    engine, refused = connect(url(tmp_path / "a.sqlite")), [said]

    @event.listens_for(engine, "do_connect")
    def refuse(*_: object) -> None:
        if refused:
            raise sqlite3.OperationalError(f"connection failed: FATAL:  {refused.pop()}")

    schema_version._connect_with_patience(engine)
    assert not refused
    engine.dispose()
