"""Following the log of edits: two followers over one database reach the same state."""

import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, text, update
from sqlalchemy import Engine as Database

from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from service.problems import DamageError, Problem
from service.records.connection import Waits
from service.records.edit_log import Edit
from service.records.edit_rows import read_edits, read_edits_and_exemplars, write_edit
from service.records.follower import Author, Follower, Plan
from service.records.live_release import LiveRelease
from service.records.log_guard import LogGuard
from service.records.schema_version import open_database
from service.records.tables import RevisionRow, last_revision, now
from tests.service.serving import wait_until

ANNA = Author("anna", "because")


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return Release.open(tiny_release)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def live(release: Release) -> LiveRelease:
    return LiveRelease.of(LiveExemplars.of_release(release))


@pytest.fixture
def follower(database: Database, live: LiveRelease) -> Iterator[Follower]:
    follower = Follower(database)
    follower.follow(live)
    yield follower
    follower.stop()


def removal(name: str) -> Plan:
    return Plan("remove", {"exemplar_ids": [name], "summary": "removed"})


def addition(name: str, dimension: int, n: int = 0) -> Plan:
    prototype = np.eye(dimension, dtype=np.float32)[n]
    new = AddedExemplar(name, prototype, 1, 2.5, "image", "source", 8, 6, (1, 2, 3, 4), 12, "mask")
    return Plan("add", {"exemplar_ids": [name], "classes": [], "summary": "added"}, [new])


def remove(follower: Follower, live: LiveRelease, name: str) -> int:
    edit = follower.edit(live, ANNA, lambda connection, revision: removal(name))
    assert edit is not None
    return edit.revision


def remove_without_digest(database: Database, name: str) -> None:
    """Remove an exemplar as a version did that recorded no digest."""
    guard = LogGuard(None)
    with database.begin() as connection:
        head = guard.check(connection)
        payload = {"exemplar_ids": [name], "summary": "removed"}
        edit = Edit(head.number + 1, "tiny", "remove", payload, "anna", None, now())
        guard.append(connection, head, write_edit(connection, edit, [], head.chain))


def test_an_edit_is_applied_when_it_returns(follower: Follower, live: LiveRelease) -> None:
    name, before = live.release.exemplars.ids[0], live.state
    edit = follower.edit(live, ANNA, lambda connection, revision: removal(name))
    assert edit is not None
    assert (edit.revision, edit.kind, edit.author, edit.reason) == (1, "remove", "anna", "because")
    assert live.state.revision == 1
    assert live.state.count == before.count - 1
    assert not live.log.is_alive(name)
    assert before.is_alive(0)  # a reader keeps the state that it took


def test_added_exemplars_are_read_back_as_they_were_written(
    follower: Follower, live: LiveRelease, database: Database
) -> None:
    plan = addition("new", live.state.prototypes(np.array([0])).shape[1])
    follower.edit(live, ANNA, lambda connection, revision: plan)
    with database.connect() as connection:
        edits, added = read_edits_and_exemplars(connection, 0, 1, live.key)
        assert read_edits(connection, 1, 9, live.key) == []
        assert read_edits(connection, 0, 9, live.key._replace(digest="another")) == []
    assert isinstance(edits[0].created, datetime)
    assert edits[0].payload == plan.payload
    assert vars(added[0]) | {"prototype": 0} == vars(plan.added[0]) | {"prototype": 0}
    assert (added[0].prototype == plan.added[0].prototype).all()


def test_another_process_reaches_the_same_state(
    follower: Follower, live: LiveRelease, database: Database, release: Release
) -> None:
    remove(follower, live, release.exemplars.ids[0])
    other, others = LiveRelease.of(LiveExemplars.of_release(release)), Follower(database)
    assert others.follow(other) == 1
    assert not other.log.is_alive(release.exemplars.ids[0])
    remove(others, other, release.exemplars.ids[1])
    assert live.state.revision == 1
    follower.catch_up()
    assert live.state.revision == other.state.revision == 2
    assert live.state.alive_rows().tolist() == other.state.alive_rows().tolist()


def test_an_edit_is_validated_against_the_edits_of_other_processes(
    follower: Follower, live: LiveRelease, database: Database, release: Release
) -> None:
    other, others = LiveRelease.of(LiveExemplars.of_release(release)), Follower(database)
    others.follow(other)
    name = release.exemplars.ids[0]
    remove(others, other, name)
    seen = []

    def plan(connection: Connection, revision: int) -> Plan | None:
        seen.append((revision, live.log.is_alive(name)))
        return None

    assert follower.edit(live, ANNA, plan) is None
    assert seen == [(2, False)]


def test_a_plan_without_a_change_or_with_an_error_uses_no_revision(
    follower: Follower, live: LiveRelease, database: Database
) -> None:
    def refuse(connection: Connection, revision: int) -> Plan:
        raise Problem(409, "no")

    assert follower.edit(live, ANNA, lambda connection, revision: None) is None
    with pytest.raises(Problem, match="no"):
        follower.edit(live, ANNA, refuse)
    with database.connect() as connection:
        assert last_revision(connection) == 0
    assert remove(follower, live, live.release.exemplars.ids[0]) == 1


def test_a_request_waits_for_a_revision_that_another_process_writes(
    follower: Follower, live: LiveRelease, database: Database, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.records.follower.PATIENCE", 60.0)
    other, others = LiveRelease.of(LiveExemplars.of_release(release)), Follower(database)
    others.follow(other)
    writer = threading.Timer(0.3, remove, (others, other, release.exemplars.ids[0]))
    writer.start()
    follower.wait_for(live, 1)
    assert live.state.revision == 1
    writer.join()


def test_a_revision_that_does_not_exist_is_refused(
    follower: Follower, live: LiveRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.records.follower.PATIENCE", 0.2)
    with pytest.raises(Problem) as refused:
        follower.wait_for(live, 5)
    assert (refused.value.status, refused.value.received) == (409, 5)


def test_the_thread_applies_edits(database: Database, live: LiveRelease, release: Release) -> None:
    follower = Follower(database)
    follower.follow(live)
    follower.start()
    try:
        other, others = LiveRelease.of(LiveExemplars.of_release(release)), Follower(database)
        others.follow(other)
        remove(others, other, release.exemplars.ids[0])
        wait_until(lambda: live.state.revision == 1)
        assert follower.trouble is None
    finally:
        follower.stop()


def test_edits_that_do_not_fit_their_release_are_refused(
    follower: Follower, live: LiveRelease, database: Database, release: Release
) -> None:
    remove(follower, live, "0123456789abcdef")
    other = LiveRelease.of(LiveExemplars.of_release(release))
    with pytest.raises(
        ValueError, match=r"the 1 edits of release 'tiny' in the database do not fit it.*0123456789abcdef"
    ):
        Follower(database).follow(other)


@pytest.mark.parametrize("number", [0, 6])
def test_a_number_that_was_set_by_hand_is_noticed(
    follower: Follower, live: LiveRelease, database: Database, number: int
) -> None:
    remove(follower, live, live.release.exemplars.ids[0])
    with database.begin() as connection:
        connection.execute(update(RevisionRow).values(number=number))
    for use in (follower.catch_up, lambda: remove(follower, live, live.release.exemplars.ids[1])):
        with pytest.raises(DamageError, match=rf"table revisions, .* the last edit is {number}"):
            use()
    assert live.state.revision == 1


def test_a_locked_database_does_not_stall_readers_while_a_release_is_opened(
    database_url: str, live: LiveRelease, release: Release
) -> None:
    """A replica of an earlier version writes an edit, and then the database is locked, while one release is opened."""
    database = open_database(database_url, Waits(lock=60))
    waiting, done = threading.Event(), threading.Event()
    rounds: list[list[int]] = []
    blocker = database.connect()

    def examine(connection: Connection, of: LiveRelease, edits: Sequence[Edit]) -> dict[int, bool]:
        rounds.append([edit.revision for edit in edits])
        if len(rounds) == 1:
            remove_without_digest(database, release.exemplars.ids[1])
        else:
            blocker.execute(update(RevisionRow).values(number=RevisionRow.number))
            blocker.execute(text("INSERT INTO edit_fits VALUES (2, :digest, TRUE)"), {"digest": of.digest})
            waiting.set()
        return {edit.revision: True for edit in edits}

    remove_without_digest(database, release.exemplars.ids[0])
    follower = Follower(database, examine=examine)

    def follow() -> None:
        follower.follow(live)
        done.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert waiting.wait(60)
    time.sleep(0.2)  # the thread waits for the database now
    follower.catch_up()
    assert not done.is_set(), "the thread waits still"
    blocker.rollback()
    blocker.close()
    thread.join(60)
    database.dispose()
    assert rounds == [[1], [2]]
    assert live.state.revision == 2
    assert not any(live.log.is_alive(name) for name in release.exemplars.ids[:2])


def test_a_release_that_nothing_uses_is_followed_no_longer(follower: Follower, live: LiveRelease) -> None:
    other = LiveRelease.of(live.state)
    other.release = replace(other.release, digest="f" * 64)
    follower.follow(other)
    revision = remove(follower, live, live.release.exemplars.ids[0])
    assert other.state.revision == revision
    gone = weakref.ref(other)
    del other
    assert gone() is None
