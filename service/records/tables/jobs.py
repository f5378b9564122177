"""Tables of work that outlives a request."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from service.records.tables.base import Base


class JobRow(Base):
    """Work that outlives a request. A process works on it while it holds a lock on a file.

    Columns:
        kind: "adapt", "build", "carry" or "segment".
        state: queued, running, succeeded, failed, cancelled or interrupted.
        release: that it began with.
        release_digest: identifies it; None in jobs of versions that did not record it.
        stage, done, total: what it is doing, or was doing last, and how much of that is done.
        progress: of the whole job, 0..1.
        result: JSON; None until it has succeeded.
        problem: why it failed, or what it waits for.
        cancel: whether someone asked to cancel it.
        host: name of the machine that works on it.
        lock_file: path there of the locked file.
        beat: when the working process was last alive.
        checksum: over the other columns.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_age", "created"), Index("jobs_by_end", "ended"))

    job_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    release: Mapped[str]
    author: Mapped[str]
    reason: Mapped[str | None]
    created: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    stage: Mapped[str]
    done: Mapped[int]
    total: Mapped[int]
    progress: Mapped[float]
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
    problem: Mapped[str | None]
    cancel: Mapped[bool]
    host: Mapped[str]
    lock_file: Mapped[str]
    beat: Mapped[datetime]
    release_digest: Mapped[str | None]
    checksum: Mapped[int | None] = mapped_column(BigInteger)


class JobImageRow(Base):
    """An image of a job that segments many images.

    Columns:
        position: in the job, from 0.
        name: of its file, as it was sent.
        state: waiting, running, done or failed.
        attempts: how often work on it has begun. An image that ended the process several times is given up.
        segmentation_id: of its answer; None: it has none yet, or it is not recorded.
        problem: JSON of why it failed.
        pixels: of the image by its header; 0: unknown.
    """

    __tablename__ = "job_images"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    segmentation_id: Mapped[str | None]
    problem: Mapped[bytes | None] = mapped_column(LargeBinary)
    pixels: Mapped[int] = mapped_column(BigInteger)


class EndedJobRow(Base):
    """A job that has ended, in the order in which senders of webhooks noticed it; see `service.records.ended_jobs`.

    The row stays when the job is deleted.
    """

    __tablename__ = "ended_jobs"
    __table_args__ = (Index("ended_jobs_by_job", "job_id", unique=True),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    job_id: Mapped[str]
