"""Segment records: what an explanation needs, kept past restarts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, ForeignKey, LargeBinary, create_engine, event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from service.problems import Problem


class Base(DeclarativeBase):
    """Tables of the service."""


class SegmentationRow(Base):
    """One answered image."""

    __tablename__ = "segmentations"

    segmentation_id: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]
    width: Mapped[int]
    height: Mapped[int]
    release: Mapped[str]
    release_path: Mapped[str]
    index_revision: Mapped[int]
    k: Mapped[int]
    kappa: Mapped[float]


class SegmentRow(Base):
    """One segment of it; neighbours hold the exemplars looked up, best first, those past the k-th did not vote."""

    __tablename__ = "segments"

    segment_id: Mapped[str] = mapped_column(primary_key=True)
    segmentation_id: Mapped[str] = mapped_column(ForeignKey("segmentations.segmentation_id"), index=True)
    class_id: Mapped[int] = mapped_column(index=True)
    share: Mapped[float]
    confidence: Mapped[float]
    known: Mapped[bool]
    area: Mapped[int]
    x: Mapped[int]
    y: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    counts: Mapped[str]
    prototype: Mapped[bytes] = mapped_column(LargeBinary)
    neighbours: Mapped[str]
    similarities: Mapped[bytes] = mapped_column(LargeBinary)


@dataclass(frozen=True)
class Record:
    """A segment as it was answered.

    neighbours: exemplar ids, best first; similarities: [R] float32; prototype: [D] float32; bbox: x, y, width, height.
    """

    segmentation: SegmentationRow
    segment_id: str
    class_id: int
    share: float
    confidence: float
    known: bool
    area: int
    bbox: tuple[int, int, int, int]
    counts: str
    prototype: np.ndarray
    neighbours: list[str]
    similarities: np.ndarray


class Records:
    """The database of segment records.

    Args:
        url: SQLAlchemy URL; SQLite by default, PostgreSQL where several replicas share one.

    Raises:
        ValueError: if the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            self.engine = _open(url)
            Base.metadata.create_all(self.engine)
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise ValueError(
                f"the database {make_url(url).render_as_string()} cannot be opened: {error}; "
                "check SEGSORT_DATABASE_URL and SEGSORT_DATA_DIR, and that the folder may be written"
            ) from error

    def add(self, segmentation: dict[str, Any], segments: Sequence[dict[str, Any]]) -> None:
        """Keep one answer, in one transaction, before it is sent.

        Raises:
            Problem: 503 if the database does not take it.
        """
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(SegmentationRow), [{"created": datetime.now(UTC), **segmentation}])
                if segments:
                    connection.execute(insert(SegmentRow), list(segments))
        except SQLAlchemyError as error:
            raise Problem(
                503, "The answer could not be recorded, and an answer that cannot be explained is not given.",
                received=str(getattr(error, "orig", error)),
                mend="Try again; the operator should look at the database.",
            ) from error  # fmt: skip

    def get(self, segment_id: str) -> Record | None:
        """One segment's record, None if there is none."""
        with Session(self.engine) as session:
            found = session.execute(
                select(SegmentRow, SegmentationRow)
                .join(SegmentationRow, SegmentRow.segmentation_id == SegmentationRow.segmentation_id)
                .where(SegmentRow.segment_id == segment_id)
            ).first()
            if found is None:
                return None
            row, segmentation = found
            session.expunge_all()
        return Record(
            segmentation=segmentation, segment_id=row.segment_id, class_id=row.class_id, share=row.share,
            confidence=row.confidence, known=row.known, area=row.area, bbox=(row.x, row.y, row.width, row.height),
            counts=row.counts, prototype=np.frombuffer(row.prototype, np.float32), neighbours=row.neighbours.split(),
            similarities=np.frombuffer(row.similarities, np.float32),
        )  # fmt: skip

    def ping(self) -> None:
        """Raise SQLAlchemyError if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(select(1))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _open(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": 10, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def write_ahead(connection: Any, _: Any) -> None:
        # a committed answer survives the death of the process; only a power cut may take the last ones
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine
