"""Room: answers are refused before the database or the disk is full, edits later; reading and deleting go on."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.problems import Problem
from service.records import figures
from service.records.database import Records
from service.records.figures import Figures, measure
from service.records.room import Limits, Room
from service.records.vacuum import give_back, vacuum
from tests.service.records.answers import names, record
from tests.service.records.test_image_store import image


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    records = Records(database_url, keep_images=10**6)
    yield records
    records.close()


def room_of(records: Records, figures: Figures, quota: int | None = None, reserve: int = 0) -> Room:
    room = Room(records.engine, Limits(quota, reserve))
    room.figures = figures
    return room


def refused(room: Room) -> tuple[bool, bool]:
    """Whether answers and edits are refused."""
    found = []
    for check in (room.check_answer, room.check_edit):
        try:
            check()
        except Problem as problem:
            found.append(problem.status == 507 and problem.fix is not None)
        else:
            found.append(False)
    return found[0], found[1]


def test_figures_are_those_of_the_content(records: Records) -> None:
    assert measure(records.engine)[:7] == (0, 0, 0, 0, None, 0, 0)
    for n in range(3):
        record(records, f"a{n}", image(n % 2))
    answered = records.answer("a1")
    assert answered is not None
    records.pin(answered, True)
    found = measure(records.engine)
    assert (found.answers, found.pinned, found.images) == (3, 1, 2)
    assert found.image_bytes == len(image(0).content) + len(image(1).content)
    assert found.answer_bytes == 3 * answered.facts.size
    assert found.pinned_bytes == answered.facts.size
    assert found.oldest == records.newest(3)[-1].facts.created
    assert found.used > found.answer_bytes


def test_a_quota_refuses_answers_first_and_edits_later(records: Records) -> None:
    assert refused(room_of(records, Figures(used=899), quota=1000)) == (False, False)
    assert refused(room_of(records, Figures(used=900), quota=1000)) == (True, False)
    assert refused(room_of(records, Figures(used=1000), quota=1000)) == (True, True)
    assert refused(room_of(records, Figures(used=10**12))) == (False, False)


def test_a_full_disk_refuses_answers_first_and_edits_later(records: Records) -> None:
    assert refused(room_of(records, Figures(free=1001), reserve=1000)) == (False, False)
    assert refused(room_of(records, Figures(free=1000), reserve=1000)) == (True, False)
    assert refused(room_of(records, Figures(free=100), reserve=1000)) == (True, True)
    # unused space in the file is free, too
    assert refused(room_of(records, Figures(free=1000, unused=50), reserve=1000)) == (False, False)


def test_what_was_written_since_the_measurement_counts(records: Records) -> None:
    room = room_of(records, Figures(used=800), quota=1000)
    room.note(99)
    assert refused(room) == (False, False)
    assert room.left == 1
    room.note(1)
    assert refused(room) == (True, False)
    assert room.refused == 1
    room.look()
    assert room.figures.answers == 0
    assert room._written == 0


def test_a_full_database_is_read_and_answers_are_deleted_until_there_is_room(records: Records) -> None:
    record(records, "a")
    records.room.figures = records.room.figures._replace(used=10**9)
    records.room.limits = Limits(10**9)
    with pytest.raises(Problem, match="no room for more answers"):
        record(records, "b")
    answered = records.answer("a")
    assert answered is not None
    assert len(answered.segments) == 2
    records.remove(answered)
    assert names(records) == []
    records.room._next = 0
    records.room.look()
    record(records, "b")


def test_measurements_have_pauses(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    times, seen = iter([0.0, 1.0, 50.0, 51.1, 51.2]), []
    room = Room(records.engine, Limits(), lambda: next(times))
    monkeypatch.setattr("service.records.room.measure", lambda _: seen.append(1) or Figures())
    for expected in (1, 1, 2):  # one that takes a second is not repeated before 50 seconds are over
        room.look()
        assert len(seen) == expected


def test_a_new_file_gives_space_back_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.sqlite"
    records = Records(f"sqlite:///{file}", keep_images=10**9)
    monkeypatch.setattr("service.records.vacuum._KEPT", 10)
    for n in range(40):
        record(records, f"a{n}", image(n, 100_000))
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    large = file.stat().st_size
    for answered in records.newest(40):
        records.remove(answered)
    assert measure(records.engine).unused > 3_000_000
    given = 0
    while done := give_back(records.engine):
        given += done
    assert given > 500
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert file.stat().st_size < large // 3
    records.close()


def test_a_file_of_an_earlier_version_gets_it_by_a_vacuum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.sqlite"
    with sqlite3.connect(file) as old:
        old.execute("CREATE TABLE other (content BLOB)")  # a table makes the mode of the file permanent
    records = Records(f"sqlite:///{file}", keep_images=10**9)
    monkeypatch.setattr("service.records.vacuum._KEPT", 10)
    for n in range(20):
        record(records, f"a{n}", image(n, 100_000))
    for answered in records.newest(19):
        records.remove(answered)
    assert give_back(records.engine) == 0
    assert measure(records.engine).unused > 1_000_000
    vacuum(records.engine)
    assert measure(records.engine).unused < 100_000
    assert names(records) == ["a0"]
    with records.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one() == 2
    records.close()


def test_the_disk_of_another_machine_is_not_looked_at(records: Records) -> None:
    found = figures.free_space(records.engine)
    assert (found is None) == (records.engine.dialect.name == "postgresql")
    assert figures.free_space(Records("sqlite://").engine) is None
