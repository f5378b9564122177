"""Retention deletes the oldest answers, in small steps, whatever the clock does; on SQLite and on PostgreSQL."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from service.records import retention
from service.records.database import RecordedNeighbours, Records
from service.records.figures import measure
from service.records.retention import Pruner, Retention
from service.records.tables import now
from tests.service.records.answers import images, made_at, names, parts, record
from tests.service.records.test_image_store import image, make_exemplar


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    records = Records(database_url, keep_images=10**6)
    yield records
    records.close()


def prune(records: Records, *limits: float | None, clock: Callable[[], float] | None = None) -> int:
    return Pruner(records.engine, Retention(*limits), clock).all()  # type: ignore[arg-type]


def test_without_a_retention_nothing_is_deleted(records: Records) -> None:
    record(records, "a", days=10_000)
    assert prune(records) == 0
    assert names(records) == ["a"]


def test_the_newest_answers_stay_with_their_images_and_nothing_of_the_others(records: Records) -> None:
    files = [image(n) for n in range(6)]
    for n, file in enumerate(files):
        record(records, f"a{n}", file)
    record(records, "b", files[0])  # again the first image
    assert prune(records, None, 3) == 4
    assert names(records) == ["a4", "a5", "b"]
    assert images(records) == {file.image_id for file in (files[4], files[5], files[0])}
    assert parts(records) == 6


def test_content_is_limited_in_bytes(records: Records) -> None:
    for n in range(9):
        record(records, f"a{n}")
    each = measure(records.engine).answer_bytes // 9
    assert prune(records, None, None, 4 * each + 1) == 5
    assert names(records) == ["a5", "a6", "a7", "a8"]
    assert measure(records.engine).answer_bytes == 4 * each


def test_answers_past_an_age_are_deleted(records: Records) -> None:
    for n, days in enumerate((9, 8, 3, 1)):
        record(records, f"a{n}", days=days)
    assert prune(records, 5) == 2
    assert names(records) == ["a2", "a3"]


def test_a_clock_that_was_set_back_makes_no_new_answer_old(records: Records) -> None:
    record(records, "first", days=1)
    record(records, "fresh", days=400)  # recorded while the clock was wrong by a year
    record(records, "last")
    assert prune(records, 5) == 0
    assert prune(records, None, 2) == 1
    assert names(records) == ["fresh", "last"]


def test_a_clock_that_is_set_forward_deletes_nothing(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    record(records, "a")
    pruner = Pruner(records.engine, Retention(days=5), lambda: 1000.0)
    monkeypatch.setattr(retention, "now", lambda: now() + timedelta(days=4000))
    assert pruner.all() == 0
    assert names(records) == ["a"]


def test_an_answer_from_the_future_does_not_keep_old_ones(records: Records) -> None:
    record(records, "future", days=-4000)
    record(records, "old", days=9)
    record(records, "new")
    assert prune(records, 5) == 2
    assert names(records) == ["new"]


def test_answers_grow_old_while_the_service_runs(records: Records) -> None:
    record(records, "a", days=4.999)
    times = iter([0.0, *[3600.0] * 9])
    pruner = Pruner(records.engine, Retention(days=5), lambda: next(times))
    made_at(records, "a", now() - timedelta(days=5, hours=-0.5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "now", lambda: now() + timedelta(hours=1))
        pruner._next = 0
        assert pruner.round() == 1


@pytest.mark.parametrize("limit", ["answers", "size"])
def test_processes_that_measured_the_same_surplus_delete_it_once(
    records: Records, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(retention, "_ROUND", 0.0)  # one step, then the next process has its turn
    for n in range(40):
        record(records, f"a{n:02}")
    each = measure(records.engine).answer_bytes // 40
    kept = Retention(answers=10) if limit == "answers" else Retention(size=10 * each)
    pruners = [Pruner(records.engine, kept) for _ in range(3)]
    while sum([pruner.round() for pruner in pruners]):
        pass
    assert names(records) == [f"a{n}" for n in range(30, 40)]


def test_pinned_answers_stay_and_do_not_count(records: Records) -> None:
    for n in range(5):
        record(records, f"a{n}", image(n))
    for name in ("a0", "a1"):
        answered = records.answer(name)
        assert answered is not None
        records.pin(answered, True)
    assert prune(records, None, 2) == 1
    assert names(records) == ["a0", "a1", "a3", "a4"]
    answered = records.answer("a0")
    assert answered is not None
    assert answered.facts.pinned
    records.pin(answered, False)
    assert prune(records, None, 2) == 1
    assert names(records) == ["a1", "a3", "a4"]


def test_the_images_of_pinned_answers_are_not_trimmed(records: Records) -> None:
    for n in range(4):
        record(records, f"a{n}", image(n))
    answered = records.answer("a0")
    assert answered is not None
    records.pin(answered, True)
    records.images.budget, records.images._unchecked = 1, 10**9
    records.images.trim()
    assert images(records) == {image(0).image_id}


def test_images_of_exemplars_stay(records: Records) -> None:
    record(records, "a", image(1))
    make_exemplar(records.engine, image(1))
    record(records, "b")
    assert prune(records, None, 1) == 1
    assert images(records) == {image(1).image_id}


def test_several_processes_prune_one_database(database_url: str, records: Records) -> None:
    for n in range(120):
        record(records, f"a{n:03}", image(n % 7))
    others = [Records(database_url) for _ in range(3)]
    pruners = [Pruner(one.engine, Retention(answers=10)) for one in others]
    threads = [threading.Thread(target=pruner.all) for pruner in pruners]
    for thread in threads:
        thread.start()
    for n in range(120, 130):  # while they prune
        record(records, f"a{n:03}")
    for thread in threads:
        thread.join(60)
    prune(records, None, 10)
    assert names(records) == [f"a{n:03}" for n in range(120, 130)]
    assert parts(records) == 20
    assert images(records) == set()
    for one in others:
        one.close()


PRUNE = """
import sys
from service.records.database import Records
from service.records.retention import Pruner, Retention
pruner = Pruner(Records(sys.argv[1]).engine, Retention(answers=5))
pruner._next = 0
print("ready", flush=True)
pruner._batch = 3
while True:
    pruner.round()
"""


def test_a_kill_in_the_middle_leaves_whole_answers(database_url: str, records: Records) -> None:
    for n in range(300):
        record(records, f"a{n:03}", image(n % 50))
    process = subprocess.Popen([sys.executable, "-c", PRUNE, database_url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 30
    while len(left := names(records)) in (300, 5) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    left = names(records)
    assert 5 <= len(left) < 300
    assert left == [f"a{n:03}" for n in range(300)][-len(left) :]
    assert parts(records) == 2 * len(left)
    assert images(records) == {image(int(name[1:]) % 50).image_id for name in left}
    assert all(len(one.segments) == 2 for one in records.newest(300))
    prune(records, None, 5)
    assert names(records) == [f"a{n:03}" for n in range(295, 300)]


def test_writers_are_not_held_up(records: Records) -> None:
    for n in range(400):
        record(records, f"a{n:03}")
    pruning = threading.Thread(target=prune, args=(records, None, 1))
    pruning.start()
    longest, count = 0.0, 0
    while pruning.is_alive() and count < 300:  # whatever is written meanwhile has to be pruned as well
        began = time.monotonic()
        record(records, f"b{count}")
        longest, count = max(longest, time.monotonic() - began), count + 1
    pruning.join()
    assert count > 0
    assert longest < 30, "a writer waits for one step, not for all"


def test_the_shapes_of_a_deleted_answer_stay_while_another_one_shares_them(records: Records) -> None:
    record(records, "a")
    answered = records.answer("a")
    assert answered is not None
    facts = {column: getattr(answered.facts, column) for column in (
        "width", "height", "release", "release_path", "index_revision", "k", "kappa", "image_similarity",
    )}  # fmt: skip
    found = answered.neighbours(None)
    retrieved = RecordedNeighbours(answered.prototypes, found.exemplar_ids, found.places, found.cosines)
    whole = measure(records.engine).answer_bytes
    for name in ("b", "c"):
        records.add(facts | {"segmentation_id": name}, answered.segments, retrieved, shapes=answered.shared_shapes)
    assert parts(records) == 4
    total = measure(records.engine).answer_bytes
    assert prune(records, None, 2) == 1
    assert parts(records) == 3
    heir = records.answer("b")
    assert heir is not None
    assert heir.segments == answered.segments
    assert measure(records.engine).answer_bytes == total - answered.facts.size + len(answered.shared_shapes.packed)  # type: ignore[union-attr]
    assert heir.facts.size == whole
    prune(records, None, 1)
    records.remove(records.answer("c"))  # type: ignore[arg-type]
    assert parts(records) == 0
    # a relabelled answer that is recorded after its origin is gone has shapes of its own
    records.add(facts | {"segmentation_id": "d"}, answered.segments, retrieved, shapes=answered.shared_shapes)
    again = records.answer("d")
    assert again is not None
    assert again.segments == answered.segments
