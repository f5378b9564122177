"""Tables of the database, as the newest migration leaves them. `service.records.migrations` creates them."""

from datetime import UTC, datetime

from sqlalchemy import Connection, Double, Index, LargeBinary, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NO_SIMILARITY = -1.0  # image_similarity of answers that no exemplar voted on


class Base(DeclarativeBase):
    """Base class of the tables."""

    type_annotation_map = {float: Double}  # noqa: RUF012  # read by SQLAlchemy


class SegmentationRow(Base):
    """One answered image with all its segments.

    Columns:
        k: number of exemplars that were asked to vote. Fewer voted if fewer were alive.
        image_similarity: mean cosine to the nearest exemplars; `NO_SIMILARITY` if no exemplar was alive.
        segments: JSON list, one object a segment: class_id, share, confidence, known, area, bbox and mask counts.
            class_id and share are null if no exemplar voted; confidence also if the release is not calibrated.
        prototypes: [S, D] float32.
        exemplar_ids: ids of the neighbours, separated by spaces.
        neighbours: [S, R] int32, positions in exemplar_ids, best first. Those after the k-th did not vote.
        similarities: [S, R] float32, cosines to the neighbours.
        image_id: SHA-256 of the image file; None in answers of versions that did not keep images.
        author: name of the key that asked; None without keys.
        conversion: what was done to the values of the image when it was decoded, in words; None: nothing, or an answer
            of a version that did not record it.
    """

    __tablename__ = "segmentations"
    __table_args__ = (Index("segmentations_by_age", "created"),)

    segmentation_id: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]
    width: Mapped[int]
    height: Mapped[int]
    release: Mapped[str]
    release_path: Mapped[str]
    index_revision: Mapped[int]
    k: Mapped[int]
    kappa: Mapped[float]
    image_similarity: Mapped[float]
    segments: Mapped[bytes] = mapped_column(LargeBinary)
    prototypes: Mapped[bytes] = mapped_column(LargeBinary)
    exemplar_ids: Mapped[str]
    neighbours: Mapped[bytes] = mapped_column(LargeBinary)
    similarities: Mapped[bytes] = mapped_column(LargeBinary)
    image_id: Mapped[str | None]
    author: Mapped[str | None]
    conversion: Mapped[str | None]


class ImageRow(Base):
    """An image file as it was received; width and height are of the upright image, size is in bytes.

    The content is the last column, so that SQLite reads the other columns without it.
    """

    __tablename__ = "images"
    __table_args__ = (Index("images_by_age", "created", "size", "image_id"),)

    image_id: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int]
    created: Mapped[datetime]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class RevisionRow(Base):
    """A single row: the number of the last edit. Each edit increments it first, so that edits wait for each other."""

    __tablename__ = "revisions"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]


class EditRow(Base):
    """One edit; payload is JSON, described in `service.records.edit_log`."""

    __tablename__ = "edits"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    release: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    author: Mapped[str]
    reason: Mapped[str | None]
    created: Mapped[datetime]


class ExemplarRow(Base):
    """An exemplar that an edit added to a release. The row stays when the exemplar is removed.

    Columns:
        revision: of the edit.
        place: position among the exemplars that the edit added.
        prototype: [D] float32.
        bbox: JSON list x, y, width, height.
        mask: COCO compressed run lengths.
    """

    __tablename__ = "exemplars"
    __table_args__ = (Index("exemplars_by_revision", "revision"), Index("exemplars_by_image", "image_id"))

    release: Mapped[str] = mapped_column(primary_key=True)
    exemplar_id: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int]
    place: Mapped[int]
    prototype: Mapped[bytes] = mapped_column(LargeBinary)
    class_id: Mapped[int]
    strength: Mapped[float]
    image_id: Mapped[str]
    source: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bbox: Mapped[bytes] = mapped_column(LargeBinary)
    area: Mapped[int]
    mask: Mapped[str]


class JobRow(Base):
    """Work that outlives a request. A process works on it while it holds a lock on a file.

    Columns:
        kind: "adapt".
        state: queued, running, succeeded, failed, cancelled or interrupted.
        release: that it began with.
        stage, done, total: what it is doing, or was doing last, and how much of that is done.
        progress: of the whole job, 0..1.
        result: JSON; None until it has succeeded.
        problem: why it failed.
        cancel: whether someone asked to cancel it.
        host: name of the machine that works on it.
        lock_file: path there of the locked file.
        beat: when the working process was last alive.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_age", "created"),)

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


def now() -> datetime:
    """The time in UTC, without a time zone, as all tables hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


def iso(time: datetime) -> str:
    """A time as in answers: RFC 3339 in UTC, with milliseconds. A time without a zone, as in tables, is in UTC."""
    utc = time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def last_revision(connection: Connection) -> int:
    """The number of the last committed edit."""
    return int(connection.execute(select(RevisionRow.number)).scalar_one())
