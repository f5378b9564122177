"""LISTEN and NOTIFY over PostgreSQL: waiting processes wake at once; without notices, they poll."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import create_engine, text

from model_store.live import LiveExemplars
from model_store.release import Release
from service.records import follower as following
from service.records.follower import Author, Follower, Plan
from service.records.jobs import Job, Jobs, Owner
from service.records.live_release import LiveRelease
from service.records.notices import Notices, notify
from service.records.schema_version import open_database
from service.records.tables import now
from service.records.webhook_rows import Webhook, WebhookRows
from tests.service.serving import wait_until

ANNA = Author("anna", None)


class Heard(NamedTuple):
    """Notices that arrive, and how often each topic was heard."""

    notices: Notices
    counts: dict[str, int]


@contextmanager
def hearing(database: Database) -> Iterator[Heard]:
    heard = Heard(Notices(database), {})
    for topic in ("edits", "jobs", "cancels", "webhooks"):
        heard.notices.on(topic, lambda topic=topic: heard.counts.update({topic: heard.counts.get(topic, 0) + 1}))  # type: ignore[misc]
    heard.notices.start()
    try:
        yield heard
    finally:
        heard.notices.stop()


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    engine = open_database(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def heard(database: Database) -> Iterator[Heard]:
    with hearing(database) as heard:
        wait_until(lambda: heard.notices.listening and len(heard.counts) == 4)  # all are called once in the beginning
        heard.counts.clear()
        yield heard


def test_a_notice_arrives_when_its_transaction_is_committed_and_not_before(database: Database, heard: Heard) -> None:
    with database.connect() as connection:
        notify(connection, "edits")
        connection.rollback()
        notify(connection, "jobs")
        notify(connection, "jobs")
        time.sleep(0.1)
        assert not heard.counts
        connection.commit()
    wait_until(lambda: heard.counts)
    assert heard.counts == {"jobs": 1}


def test_edits_ended_jobs_cancels_and_new_webhooks_are_announced(
    database: Database, heard: Heard, tiny_release: Path
) -> None:
    live, follower = LiveRelease.of(LiveExemplars.of_release(Release.open(tiny_release))), Follower(database)
    follower.follow(live)
    plan = Plan("remove", {"exemplar_ids": [live.release.exemplars.ids[0]], "summary": "removed"})
    follower.edit(live, ANNA, lambda connection, revision: plan)
    jobs = Jobs(database)
    jobs.add(
        Job("job", "adapt", "queued", "tiny", "anna", None, now(), None, None, "queued", 0, 1, 0.0, None, None, False,
            Owner("here", "file"), now(), None), lambda _: False
    )  # fmt: skip
    jobs.ask_to_cancel("job")
    jobs.end("job", "cancelled")
    WebhookRows(database).add(Webhook("hook", "http://there", ("edit.made",), "anna", now(), False), "secret", 0)
    wait_until(lambda: len(heard.counts) == 4)


def test_a_listener_whose_connection_is_lost_listens_again_and_misses_nothing(database: Database, heard: Heard) -> None:
    with database.begin() as connection:
        ended = connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                 "AND query LIKE 'LISTEN%'")
        ).all()  # fmt: skip
        notify(connection, "edits")
    assert len(ended) == 1
    wait_until(lambda: heard.counts.get("edits"))
    wait_until(lambda: heard.notices.listening)
    heard.counts.clear()
    with database.begin() as connection:
        notify(connection, "webhooks")
    wait_until(lambda: heard.counts.get("webhooks"))


@pytest.mark.parametrize("listens", [True, False])
def test_a_follower_sees_an_edit_by_a_notice_and_without_notices_by_polling(
    database: Database, tiny_release: Path, monkeypatch: pytest.MonkeyPatch, listens: bool
) -> None:
    """With notices, the next poll would come after a minute."""
    monkeypatch.setattr(following, "POLL", 60.0 if listens else 0.05)
    release = Release.open(tiny_release)
    ours, theirs = (LiveRelease.of(LiveExemplars.of_release(release)) for _ in range(2))
    writer, reader = Follower(database), Follower(database)
    writer.follow(ours)
    reader.follow(theirs)
    notices = Notices(database)
    notices.on("edits", reader.wake)
    with ExitStack() as stack:
        if listens:
            notices.start()
            stack.callback(notices.stop)
            wait_until(lambda: notices.listening)
        reader.start()
        stack.callback(reader.stop)
        for number, name in enumerate(release.exemplars.ids[:5], 1):
            plan = Plan("remove", {"exemplar_ids": [name], "summary": "removed"})
            writer.edit(ours, ANNA, lambda connection, revision, plan=plan: plan)  # type: ignore[misc]
            wait_until(lambda number=number: theirs.state.revision == number, 30)  # type: ignore[misc]


def test_sqlite_and_other_drivers_have_no_listener(postgres_url: str) -> None:
    for url in ("sqlite://", postgres_url.replace("+psycopg", "+psycopg2")):
        with ExitStack() as stack:
            try:
                database = create_engine(url)
            except ImportError:  # psycopg2 is not installed
                continue
            heard = stack.enter_context(hearing(database))
            assert not heard.notices.listening
            assert "segsort-notices" not in {thread.name for thread in threading.enumerate()}


def test_a_server_that_is_away_delays_neither_start_nor_stop(postgres_url: str) -> None:
    absent = create_engine("postgresql+psycopg://me@127.0.0.1:1/none")
    began = time.monotonic()
    with hearing(absent):
        time.sleep(0.1)
    assert time.monotonic() - began < 10
