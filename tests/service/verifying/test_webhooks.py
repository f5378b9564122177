"""`segsort verify` finds altered webhooks, and recovery keeps the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from service.records.schema_version import open_database
from service.verifying.recover import recover_database
from service.verifying.verify import verify_database
from service.webhooks.rules import Rules
from service.webhooks.webhooks import Webhooks

RULES = Rules("any", timeout=5, first_pause=1, longest_pause=1, days=1, backlog=1000, root_path="")


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """A database with two webhooks, the first of them with a URL that ends with 0."""
    engine = open_database(database_url)
    webhooks = Webhooks(engine, RULES)
    for number in range(2):
        webhooks.make(f"http://localhost:9/{number}", ("edit.made",), "anna")
    yield engine
    engine.dispose()


def url(database: Engine) -> str:
    return database.url.render_as_string(hide_password=False)


def found(database: Engine) -> list[tuple[str | None, str]]:
    return [(finding.table, finding.what) for finding in verify_database(url(database)).findings]


def test_webhooks_as_they_were_written_are_sound(database: Engine) -> None:
    report = verify_database(url(database))
    assert report.sound
    assert (report.rows["webhooks"], report.rows["webhook_progress"]) == (2, 2)


@pytest.mark.parametrize(
    ("change", "table", "what"),
    [
        ("UPDATE webhooks SET url = 'http://localhost:9/x' WHERE url LIKE '%0'", "webhooks", "checksum"),
        ("UPDATE webhooks SET secret = 'whsec_AAAA' WHERE url LIKE '%0'", "webhooks", "checksum"),
        ("DELETE FROM webhooks WHERE url LIKE '%0'", "webhook_progress", "its webhook is missing"),
        ("DELETE FROM webhook_progress", "webhooks", "missing from webhook_progress"),
        ("UPDATE webhook_progress SET edit = 7", "webhook_progress", "edit 7, which is missing"),
    ],
)
def test_what_was_altered_is_found(database: Engine, change: str, table: str, what: str) -> None:
    with database.begin() as connection:
        connection.execute(text(change))
    findings = found(database)
    assert findings
    assert all(one == table and what in said for one, said in findings)


def test_a_secret_is_not_in_what_is_found(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    Webhooks(engine, RULES).make("http://localhost:9/", ("edit.made",), "anna")
    with engine.begin() as connection:
        connection.execute(text("UPDATE webhooks SET secret = CAST('whsec_known' AS BLOB)"))
    findings = found(engine)
    engine.dispose()
    assert findings
    assert "whsec_known" not in str(findings)


def test_a_recovery_keeps_sound_webhooks(database: Engine, tmp_path: Path) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE webhooks SET url = 'http://localhost:9/x' WHERE url LIKE '%0'"))
    out = f"sqlite:///{tmp_path / 'new.sqlite'}"
    recover_database(url(database), out)
    engine = create_engine(out)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT url FROM webhooks")).scalars().all() == ["http://localhost:9/1"]
    engine.dispose()
