"""A database with edits and jobs, a sender that is quick, and a receiver in a process of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

import service.webhooks.sender
from benchmarks.running_service import free_port
from benchmarks.webhook_receiver import read, receiving
from service.records.edit_log import Edit
from service.records.edit_rows import write_edit
from service.records.jobs import Job, Jobs, Owner
from service.records.schema_version import open_database
from service.records.tables import EditRow, RevisionRow, now
from service.webhooks.rules import Rules
from service.webhooks.webhooks import Webhooks

RULES = Rules("any", timeout=5, first_pause=0.05, longest_pause=0.2, days=1, backlog=1000, root_path="/sub")


class Work:
    """A database in which edits are made and jobs end.

    Attributes:
        database: the open database.
    """

    def __init__(self, database: Engine) -> None:
        self.database = database

    def edit(self, count: int = 1) -> None:
        for _ in range(count):
            with self.database.begin() as connection:
                connection.execute(update(RevisionRow).values(number=RevisionRow.number + 1))
                revision = connection.execute(select(RevisionRow.number)).scalar_one()
                edit = Edit(revision, "tiny", "remove", {"exemplar_ids": [], "summary": "-"}, "anna", "no", now(), "d1")
                write_edit(connection, edit, [], "0")

    def begin_job(self, **changes: Any) -> str:
        fresh = Job(
            job_id=uuid.uuid4().hex, kind="adapt", state="queued", release="tiny", author="anna", reason=None,
            created=now(), started=None, ended=None, stage="queued", done=0, total=1, progress=0.0, result=None,
            problem=None, cancel=False, owner=Owner("here", "/a/lock"), beat=now(), release_digest="d1",
        )  # fmt: skip
        job = fresh._replace(**changes)
        assert Jobs(self.database).add(job, lambda other: False) is None
        return job.job_id

    def end_job(self, state: Any = "succeeded") -> str:
        job_id = self.begin_job()
        Jobs(self.database).end(job_id, state)
        return job_id

    def last_edit(self) -> int:
        with self.database.connect() as connection:
            return len(connection.execute(select(EditRow.revision)).all())


@pytest.fixture
def work(database_url: str) -> Iterator[Work]:
    database = open_database(database_url)
    yield Work(database)
    database.dispose()


Make = Callable[..., Webhooks]


@pytest.fixture
def make(work: Work, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes webhooks over the database whose sender looks often."""
    monkeypatch.setattr(service.webhooks.sender, "_POLL_S", 0.02)
    monkeypatch.setattr(service.webhooks.sender, "_IDLE_S", 0.02)
    with ExitStack() as closing:

        def made(**changes: Any) -> Webhooks:
            webhooks = Webhooks(work.database, RULES._replace(**changes))
            webhooks.sender.start()
            closing.callback(webhooks.sender.close)
            return webhooks

        yield made


class Receiver:
    """A receiver that is not running yet.

    Attributes:
        url: where it will listen.
        secret: what it verifies signatures with.
    """

    def __init__(self, log: Path) -> None:
        self.port, self._log, self.secret = free_port(), log, ""
        self.url = f"http://127.0.0.1:{self.port}/hook?a=b"

    def up(self) -> AbstractContextManager[None]:
        return receiving(self.port, self._log, self.secret)

    def answer(self, status: int, *retry_after: int) -> None:
        """Answer with a status from now on."""
        self._log.with_name(self._log.name + ".status").write_text(" ".join(map(str, (status, *retry_after))))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All requests so far."""
        return read(self._log)

    @property
    def received(self) -> list[dict[str, Any]]:
        """The requests that it answered with a status 2XX."""
        return [line for line in self.lines if line["status"] < 300]


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path / "received")


def hooked(webhooks: Webhooks, receiver: Receiver, *events: Any) -> str:
    """Make a webhook for a receiver, and return its id."""
    made, receiver.secret = webhooks.make(receiver.url, events or ("edit.made", "job.ended"), "anna")
    return made.webhook.webhook_id


def revisions(lines: list[dict[str, Any]]) -> list[int]:
    return [line["data"]["revision"] for line in lines if line["type"] == "edit.made"]
