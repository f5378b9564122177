"""Jobs in the database: one at a time, reported by their owner, and interrupted when it is dead."""

from collections.abc import Iterator

import pytest

from service.records.jobs import Job, Jobs, Owner, Step
from service.records.schema_version import open_database
from service.records.tables import now


@pytest.fixture
def jobs(database_url: str) -> Iterator[Jobs]:
    database = open_database(database_url)
    yield Jobs(database)
    database.dispose()


def job(name: str, **changes: object) -> Job:
    fresh = Job(
        job_id=name, kind="adapt", state="queued", release="tiny", author="anna", reason=None, created=now(),
        started=None, ended=None, stage="queued", done=0, total=1, progress=0.0, result=None, problem=None,
        cancel=False, owner=Owner("here", "/a/lock"), beat=now(),
        release_digest="d1",
    )  # fmt: skip
    return fresh._replace(**changes)


def alive(job: Job) -> bool:
    return False


def test_a_job_is_read_as_it_was_recorded(jobs: Jobs) -> None:
    first = job("1", reason="better", result={"after": 0.5})
    assert jobs.add(first, alive) is None
    assert jobs.get("1") == first
    for unknown in ("2", "", "../1", "é"):
        assert jobs.get(unknown) is None


def test_only_one_job_is_under_way(jobs: Jobs) -> None:
    first = job("1")
    jobs.add(first, alive)
    assert jobs.add(job("2"), alive) == first
    assert jobs.get("2") is None
    jobs.end("1", "failed", problem="no")
    assert jobs.add(job("2"), alive) is None


def test_a_dead_job_makes_room_and_is_interrupted(jobs: Jobs) -> None:
    jobs.add(job("1"), alive)
    assert jobs.add(job("2"), lambda one: one.job_id == "1") is None
    found = jobs.get("1")
    assert found is not None
    assert (found.state, found.ended is not None) == ("interrupted", True)
    assert [one.job_id for one in jobs.interrupt(lambda one: True)] == ["2"]
    assert jobs.interrupt(lambda one: True) == []


def test_a_job_that_ends_while_it_is_taken_for_dead_keeps_its_result(jobs: Jobs) -> None:
    """The owner commits its result after the jobs under way were read, and before one of them is interrupted."""
    jobs.add(job("1"), alive)

    def ends(one: Job) -> bool:
        jobs.end(one.job_id, "succeeded", {"after": 0.75})
        return True

    assert jobs.interrupt(ends) == []
    found = jobs.get("1")
    assert found is not None
    assert (found.state, found.result) == ("succeeded", {"after": 0.75})


def test_a_new_job_keeps_the_result_of_one_that_ends_while_it_is_taken_for_dead(postgres_url: str) -> None:
    """Over PostgreSQL alone: over SQLite, a process that adds a job lets no other one write."""
    database = open_database(postgres_url)
    jobs = Jobs(database)
    jobs.add(job("1"), alive)

    def ends(one: Job) -> bool:
        jobs.end(one.job_id, "succeeded", {"after": 0.75})
        return True

    assert jobs.add(job("2"), ends) is None
    found = jobs.get("1")
    database.dispose()
    assert found is not None
    assert (found.state, found.result) == ("succeeded", {"after": 0.75})


def test_progress_and_the_end_are_recorded(jobs: Jobs) -> None:
    jobs.add(job("1"), alive)
    jobs.begin("1")
    begun = jobs.get("1")
    assert begun is not None
    assert (begun.state, begun.stage, begun.done, begun.total) == ("running", "start", 0, 1)
    assert jobs.report("1", Step("features", 3, 20, 0.2)) is False
    assert jobs.report("1", None) is False
    running = jobs.get("1")
    assert running is not None
    assert (running.state, running.stage, running.done, running.total, running.progress) == (
        "running", "features", 3, 20, 0.2,
    )  # fmt: skip
    assert running.started is not None
    assert running.beat >= running.created
    jobs.end("1", "succeeded", {"after": 0.75})
    ended = jobs.get("1")
    assert ended is not None
    assert (ended.state, ended.progress, ended.result) == ("succeeded", 1.0, {"after": 0.75})
    assert (ended.stage, ended.done, ended.total) == ("features", 20, 20)


def test_a_job_that_fails_keeps_the_step_that_it_reached(jobs: Jobs) -> None:
    jobs.add(job("1"), alive)
    jobs.begin("1")
    jobs.report("1", Step("features", 3, 20, 0.2))
    jobs.end("1", "failed", problem="no")
    ended = jobs.get("1")
    assert ended is not None
    assert (ended.stage, ended.done, ended.total, ended.progress) == ("features", 3, 20, 0.2)


def test_a_job_that_has_ended_does_not_change(jobs: Jobs) -> None:
    jobs.add(job("1"), alive)
    jobs.end("1", "cancelled")
    before = jobs.get("1")
    jobs.begin("1")
    jobs.report("1", Step("features", 1, 2, 0.1))
    jobs.ask_to_cancel("1")
    jobs.end("1", "succeeded", {})
    assert jobs.get("1") == before


def test_the_owner_learns_that_its_job_is_to_be_cancelled(jobs: Jobs) -> None:
    jobs.add(job("1"), alive)
    jobs.ask_to_cancel("1")
    assert jobs.report("1", None) is True


def test_jobs_are_listed_the_newest_first(jobs: Jobs) -> None:
    for name in ("1", "2", "3"):
        jobs.add(job(name), lambda one: True)
    assert [one.job_id for one in jobs.newest(2)] == ["3", "2"]
