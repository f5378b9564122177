"""Jobs in the database. Each has one owner, which reports how far it is.

At most one is under way of those that make releases. Jobs of images are in `service.records.job_images`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, insert, or_, select, update
from sqlalchemy.engine import RowMapping

from service.records.checksums import CHECKSUM, check_row, row_checksum, with_checksum
from service.records.notices import Topic, notify
from service.records.tables import JobRow, RevisionRow, now

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
UNDER_WAY = ("queued", "running")
RESUMED = ("segment",)  # kinds of jobs that another process goes on with when their owner has ended
START = "start"  # stage of a running job until its owner reports another one


class Owner(NamedTuple):
    """The process that works on a job: the name of its machine, and the path of the file that it locks meanwhile."""

    host: str
    lock_file: str


class Job(NamedTuple):
    """A job as it is recorded; see `JobRow`. result: JSON values by name; None until it has succeeded."""

    job_id: str
    kind: str
    state: State
    release: str
    author: str
    reason: str | None
    created: datetime
    started: datetime | None
    ended: datetime | None
    stage: str
    done: int
    total: int
    progress: float
    result: dict[str, Any] | None
    problem: str | None
    cancel: bool
    owner: Owner
    beat: datetime
    release_digest: str | None

    @property
    def is_under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in UNDER_WAY


class Step(NamedTuple):
    """How far a job is: the stage, how much of it is done, and the progress of the whole job, 0..1."""

    stage: str
    done: int
    total: int
    progress: float


class Jobs:
    """The jobs of a database.

    Args:
        database: an open database.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, job: Job, is_dead: Callable[[Job], bool]) -> Job | None:
        """Record a new job, unless another one is under way. Those of kinds in `RESUMED` do not count.

        Args:
            job: the new job.
            is_dead: whether no process works on a job any more. Such a job is recorded as interrupted.

        Returns:
            The job that is under way; None: the new one was recorded.

        Raises:
            SQLAlchemyError: if the database refuses it.
        """
        with self._database.begin() as connection:
            # This locks the row that every edit locks: of several processes, one adds a job at a time.
            connection.execute(update(RevisionRow).values(number=RevisionRow.number))
            for other in _under_way(connection):
                if not is_dead(other):
                    return other
                _interrupt(connection, other.job_id)  # or it has just ended, which makes room too
            connection.execute(insert(JobRow.__table__), with_checksum(JobRow.__table__, row_of(job)))  # type: ignore[arg-type]
        return None

    def get(self, job_id: str) -> Job | None:
        """Read a job; None if there is none.

        Raises:
            DamageError: 410, if its row was altered.
        """
        if not (job_id.isascii() and job_id.isalnum()):
            return None  # a database may refuse such characters
        with self._database.connect() as connection:
            row = connection.execute(select(JobRow.__table__).where(JobRow.job_id == job_id)).mappings().first()
        if row is None:
            return None
        check_row("jobs", row, job_id)
        return job_of(row)

    def newest(self, limit: int, author: str | None = None) -> list[Job]:
        """Read the newest jobs, the newest first. author: without jobs of images of others; None: of all."""
        query = select(JobRow.__table__)
        if author is not None:
            query = query.where(or_(JobRow.kind.not_in(RESUMED), JobRow.author == author))
        query = query.order_by(JobRow.created.desc(), JobRow.job_id.desc()).limit(limit)
        with self._database.connect() as connection:
            return [job_of(row) for row in connection.execute(query).mappings()]

    def begin(self, job_id: str) -> None:
        """Record that work on a job has begun, with the stage `START`."""
        self._change(job_id, state="running", started=now(), beat=now(), stage=START)

    def report(self, job_id: str, step: Step | None) -> bool:
        """Record that the owner of a job is alive, and how far it is.

        Args:
            job_id: of the job.
            step: how far; None: as before.

        Returns:
            Whether someone asked to cancel it.
        """
        self._change(job_id, beat=now(), **({} if step is None else step._asdict()))
        with self._database.connect() as connection:
            return bool(connection.execute(select(JobRow.cancel).where(JobRow.job_id == job_id)).scalar())

    def end(self, job_id: str, state: State, result: dict[str, Any] | None = None, problem: str | None = None) -> None:
        """Record how a job ended, unless it has ended already. One that succeeded has done all steps of its stage."""
        progress = {"progress": 1.0, "done": JobRow.total} if state == "succeeded" else {}
        encoded = None if result is None else orjson.dumps(result)
        self._change(job_id, "jobs", state=state, ended=now(), result=encoded, problem=problem, **progress)

    def ask_to_cancel(self, job_id: str) -> None:
        """Ask the owner of a job to cancel it."""
        self._change(job_id, "cancels", cancel=True)

    def interrupt(self, is_dead: Callable[[Job], bool]) -> list[Job]:
        """Record the jobs as interrupted that no process works on any more, and return them as they were."""
        with self._database.begin() as connection:
            dead = [job for job in _under_way(connection) if is_dead(job)]
            return [job for job in dead if _interrupt(connection, job.job_id)]

    def _change(self, job_id: str, topic: Topic | None = None, **columns: Any) -> None:
        under_way = JobRow.state.in_(UNDER_WAY)
        with self._database.begin() as connection:
            connection.execute(update(JobRow).where(JobRow.job_id == job_id, under_way).values(**columns))
            _renew_checksum(connection, job_id)
            if topic is not None:
                notify(connection, topic)


def _under_way(connection: Connection) -> list[Job]:
    """Jobs under way that end with their owner."""
    query = select(JobRow.__table__).where(JobRow.state.in_(UNDER_WAY), JobRow.kind.not_in(RESUMED))
    return [job_of(row) for row in connection.execute(query).mappings()]


def _interrupt(connection: Connection, job_id: str) -> bool:
    """Record a job as interrupted; False if its owner has recorded its end since it was read."""
    this = (JobRow.job_id == job_id, JobRow.state.in_(UNDER_WAY))
    if not connection.execute(update(JobRow).where(*this).values(state="interrupted", ended=now())).rowcount:
        return False
    _renew_checksum(connection, job_id)
    return True


def _renew_checksum(connection: Connection, job_id: str) -> None:
    """Compute the checksum of a job whose row this transaction has changed, and so locked."""
    this = JobRow.job_id == job_id
    row = connection.execute(select(JobRow.__table__).where(this)).mappings().first()
    if row is not None:
        connection.execute(update(JobRow).where(this).values(checksum=row_checksum("jobs", row)))


def row_of(job: Job) -> dict[str, Any]:
    """The columns of a job, without its checksum."""
    result = None if job.result is None else orjson.dumps(job.result)
    columns = {name: value for name, value in job._asdict().items() if name != "owner"}
    return columns | {"result": result} | job.owner._asdict()


def job_of(row: RowMapping) -> Job:
    """The job of a row."""
    columns = {name: value for name, value in row.items() if name != CHECKSUM}
    owner = Owner(columns.pop("host"), columns.pop("lock_file"))
    result = columns.pop("result")
    return Job(**columns, owner=owner, result=None if result is None else orjson.loads(result))
