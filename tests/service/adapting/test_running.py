"""What the thread of a running job records."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from service.adapting import running
from service.adapting.ownership import WorkFolder
from service.records.jobs import Job, Jobs
from service.records.schema_version import open_database
from service.settings import Settings
from tests.service.records.test_jobs import alive, job
from tests.service.serving import wait_until


class Child:
    """A child process that has done its work at once."""

    def __init__(self, *_: object) -> None: ...

    def steps(self, _: float) -> Iterator[None]:
        return iter(())

    def result(self) -> dict[str, Any]:
        return {"made": 3}

    def kill(self) -> None: ...

    def close(self) -> None: ...


class Storing:
    """Work whose result is stored for as long as a test wants."""

    kind, release, release_digest, last, needs_pytorch = "adapt", "tiny", "d1", "store", False

    def __init__(self) -> None:
        self.shares: Mapping[str, float] = {}
        self.began, self.may_end = threading.Event(), threading.Event()

    def command(self, folder: Path) -> list[str]:
        return []

    def finish(self, folder: Path, author: str, done: dict[str, Any]) -> dict[str, Any]:
        self.began.set()
        assert self.may_end.wait(120)
        return done

    def in_words(self, problem: str) -> str:
        return problem


def test_a_job_is_reported_alive_however_long_its_result_is_stored(
    settings: Settings, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(database_url)
    try:
        jobs, work, folder = Jobs(database), Storing(), WorkFolder(tmp_path / "work", "1")
        jobs.add(job("1", owner=folder.owner), alive)
        monkeypatch.setattr(running, "Child", Child)

        def recorded() -> Job:
            found = jobs.get("1")
            assert found is not None
            return found

        one = running.Running(settings, jobs, recorded(), folder, work)
        one.thread.start()
        try:
            assert work.began.wait(60)
            for _ in range(2):
                last = recorded().beat
                wait_until(lambda last=last: recorded().beat > last)  # type: ignore[misc]
            assert recorded().stage == "store"
        finally:
            work.may_end.set()
            one.thread.join(60)
        assert (recorded().state, recorded().result) == ("succeeded", {"made": 3})
        assert not [thread for thread in threading.enumerate() if thread.name == "segsort-reports"]
    finally:
        database.dispose()
