"""The images of jobs in the database: the state of each, so that a job goes on where it was after any end of a process.

A change of an image and the count of its job are one transaction: the count is true at all times.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, cast

import orjson
from sqlalchemy import Connection, Engine, case, delete, func, insert, select, update

from service.records.checksums import row_checksum, with_checksum
from service.records.jobs import UNDER_WAY, Job, Owner, State, job_of, row_of
from service.records.tables import JobImageRow, JobRow, RevisionRow, now

KIND = "segment"  # of jobs of images
STAGE = "images"  # while images are segmented
ImageState = Literal["waiting", "running", "done", "failed"]
_SHARE = 0.97  # of the progress; the rest is the export
_AT_ONCE = 500  # rows of one statement


class JobImage(NamedTuple):
    """An image of a job.

    position: in the job, from 0; name: of its file; attempts: how often work on it has begun; segmentation_id: of its
    answer; None: it has none, or it is not kept; problem: JSON of why it failed; pixels: of the image, 0: unknown.
    """

    position: int
    name: str
    state: ImageState = "waiting"
    attempts: int = 0
    segmentation_id: str | None = None
    problem: dict[str, Any] | None = None
    pixels: int = 0


class Counts(NamedTuple):
    """How many images of a job are in each state."""

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        """How many are done or failed."""
        return self.done + self.failed

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self)


class JobImages:
    """The jobs of images of a database.

    Args:
        database: an open database.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, job: Job, images: Sequence[JobImage], most: int, most_of_author: int) -> bool:
        """Record a new job with its images, unless so many are under way already, of all authors or of this one.

        Returns:
            Whether it was recorded.
        """
        with self._database.begin() as connection:
            connection.execute(update(RevisionRow).values(number=RevisionRow.number))  # one job is added at a time
            query = select(JobRow.author).where(JobRow.kind == KIND, JobRow.state.in_(UNDER_WAY))
            authors = connection.execute(query).scalars().all()
            if len(authors) >= most or authors.count(job.author) >= most_of_author:
                return False
            connection.execute(insert(JobRow.__table__), with_checksum(JobRow.__table__, row_of(job)))  # type: ignore[arg-type]
            for start in range(0, len(images), _AT_ONCE):
                rows = [_image_row(job.job_id, image) for image in images[start : start + _AT_ONCE]]
                connection.execute(insert(JobImageRow.__table__), rows)  # type: ignore[arg-type]
        return True

    def under_way(self) -> list[Job]:
        """The jobs of images that have not ended, the oldest first."""
        query = select(JobRow.__table__).where(JobRow.kind == KIND, JobRow.state.in_(UNDER_WAY))
        with self._database.connect() as connection:
            rows = connection.execute(query.order_by(JobRow.created, JobRow.job_id)).mappings()
            return [job_of(row) for row in rows]

    def states(self, job_ids: Iterable[str]) -> dict[str, State]:
        """The states of jobs by id; those that do not exist are left out."""
        query = select(JobRow.job_id, JobRow.state).where(JobRow.job_id.in_(list(job_ids)))
        with self._database.connect() as connection:
            return {row.job_id: cast(State, row.state) for row in connection.execute(query)}

    def own(self, job_id: str, owner: Owner) -> bool:
        """Record the process that works on a job from now on; False: the job has ended.

        Images that another process was working on when it ended wait again.
        """
        with self._database.begin() as connection:
            columns = {"host": owner.host, "lock_file": owner.lock_file, "beat": now(), "state": "running"}
            this = (JobRow.job_id == job_id, JobRow.state.in_(UNDER_WAY))
            started = func.coalesce(JobRow.started, now())
            if not connection.execute(update(JobRow).where(*this).values(started=started, **columns)).rowcount:
                return False
            running = (JobImageRow.job_id == job_id, JobImageRow.state == "running")
            connection.execute(update(JobImageRow).where(*running).values(state="waiting"))
            _count(connection, job_id, STAGE)
        return True

    def waiting(self, job_id: str) -> list[JobImage]:
        """The images of a job that are not done, in their order."""
        query = select(JobImageRow.__table__).where(JobImageRow.job_id == job_id, JobImageRow.state == "waiting")
        with self._database.connect() as connection:
            return [_image(row) for row in connection.execute(query.order_by(JobImageRow.position)).mappings()]

    def page(self, job_id: str, limit: int, after: int = -1, states: Sequence[str] | None = None) -> list[JobImage]:
        """Images of a job behind a position, in their order. states: only those; None: all."""
        query = select(JobImageRow.__table__).where(JobImageRow.job_id == job_id, JobImageRow.position > after)
        if states is not None:
            query = query.where(JobImageRow.state.in_(states))
        with self._database.connect() as connection:
            rows = connection.execute(query.order_by(JobImageRow.position).limit(limit)).mappings()
            return [_image(row) for row in rows]

    def counts(self, job_id: str) -> Counts:
        """How many images of a job are in each state."""
        with self._database.connect() as connection:
            return _counts(connection, job_id)

    def begin(self, job_id: str, position: int) -> int:
        """Record that work on an image begins.

        Returns:
            How often it has begun.
        """
        this = (JobImageRow.job_id == job_id, JobImageRow.position == position)
        with self._database.begin() as connection:
            connection.execute(
                update(JobImageRow).where(*this).values(state="running", attempts=JobImageRow.attempts + 1)
            )
            return int(connection.execute(select(JobImageRow.attempts).where(*this)).scalar_one())

    def put_back(self, job_id: str, position: int, why: str | None) -> bool:
        """Let an image wait again that could not be segmented for a reason that will pass.

        Args:
            job_id: of the job.
            position: of the image.
            why: the reason, which the job shows meanwhile; None: it has none.

        Returns:
            Whether someone asked to cancel the job.
        """
        this = (JobImageRow.job_id == job_id, JobImageRow.position == position, JobImageRow.state == "running")
        with self._database.begin() as connection:
            connection.execute(
                update(JobImageRow).where(*this).values(state="waiting", attempts=JobImageRow.attempts - 1)
            )
            return _count(connection, job_id, STAGE, why)

    def finish(
        self, job_id: str, position: int, segmentation_id: str | None = None, problem: dict[str, Any] | None = None
    ) -> bool:
        """Record that an image is done, or has failed.

        Args:
            job_id: of the job.
            position: of the image.
            segmentation_id: of its answer, if that is kept.
            problem: why it failed; None: it is done.

        Returns:
            Whether someone asked to cancel the job.
        """
        state = "done" if problem is None else "failed"
        encoded = None if problem is None else orjson.dumps(problem)
        this = (JobImageRow.job_id == job_id, JobImageRow.position == position)
        columns = {"state": state, "segmentation_id": segmentation_id, "problem": encoded}
        with self._database.begin() as connection:
            connection.execute(update(JobImageRow).where(*this).values(**columns))
            return _count(connection, job_id, STAGE)

    def stage(self, job_id: str, stage: str, why: str | None = None) -> bool:
        """Record what a job is doing, and what it waits for. Returns whether someone asked to cancel it."""
        with self._database.begin() as connection:
            return _count(connection, job_id, stage, why)

    def remove(self, job_id: str, with_job: bool) -> None:
        """Delete the images of a job, and the job itself if that is wanted."""
        with self._database.begin() as connection:
            connection.execute(delete(JobImageRow).where(JobImageRow.job_id == job_id))
            if with_job:
                connection.execute(delete(JobRow).where(JobRow.job_id == job_id, JobRow.kind == KIND))


def _count(connection: Connection, job_id: str, stage: str, problem: str | None = None) -> bool:
    """Write how far a job under way is. Returns whether someone asked to cancel it."""
    this = (JobRow.job_id == job_id, JobRow.state.in_(UNDER_WAY))
    connection.execute(update(JobRow).where(*this).values(beat=now()))  # locks the row, so that counts do not cross
    counts = _counts(connection, job_id)
    progress = _SHARE * counts.ended / max(1, counts.total)
    columns = {"stage": stage, "done": counts.ended, "total": counts.total, "progress": progress, "problem": problem}
    connection.execute(update(JobRow).where(*this).values(**columns))
    row = connection.execute(select(JobRow.__table__).where(JobRow.job_id == job_id)).mappings().first()
    if row is None:
        return True
    connection.execute(update(JobRow).where(JobRow.job_id == job_id).values(checksum=row_checksum("jobs", row)))
    return bool(row["cancel"]) or row["state"] not in UNDER_WAY


def _counts(connection: Connection, job_id: str) -> Counts:
    def of(state: str) -> Any:
        return func.coalesce(func.sum(case((JobImageRow.state == state, 1), else_=0)), 0)

    query = select(*map(of, Counts._fields)).where(JobImageRow.job_id == job_id)
    return Counts(*map(int, connection.execute(query).one()))


def _image_row(job_id: str, image: JobImage) -> dict[str, Any]:
    problem = None if image.problem is None else orjson.dumps(image.problem)
    return {"job_id": job_id, **image._asdict(), "problem": problem}


def _image(row: Any) -> JobImage:
    columns = {name: row[name] for name in JobImage._fields}
    problem = columns.pop("problem")
    return JobImage(**columns, problem=None if problem is None else orjson.loads(problem))
