"""Segment records: what an explanation needs, kept past restarts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import Engine, LargeBinary, create_engine, event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from service.problems import Problem


class Base(DeclarativeBase):
    """Tables of the service."""


class SegmentationRow(Base):
    """One answered image: one row, since its segments are written together and their arrays lie best side by side.

    segments: JSON, one object each with class_id, share, confidence, known, area, bbox and the mask's counts;
    prototypes: [S, D] float32; neighbours: [S, R] int32, places in exemplar_ids, best first, those past the k-th did
    not vote; similarities: [S, R] float32; exemplar_ids: the exemplars that occur, with blanks between.
    """

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
    image_similarity: Mapped[float]
    segments: Mapped[bytes] = mapped_column(LargeBinary)
    prototypes: Mapped[bytes] = mapped_column(LargeBinary)
    exemplar_ids: Mapped[str]
    neighbours: Mapped[bytes] = mapped_column(LargeBinary)
    similarities: Mapped[bytes] = mapped_column(LargeBinary)


class Retrieved(NamedTuple):
    """What an answer was made of: prototypes [S, D] float32, exemplar_ids, neighbours [S, R] places in exemplar_ids,
    similarities [S, R] float32.
    """

    prototypes: np.ndarray
    exemplar_ids: Sequence[str]
    neighbours: np.ndarray
    similarities: np.ndarray


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

    def add(self, segmentation: dict[str, Any], segments: list[dict[str, Any]], retrieved: Retrieved) -> None:
        """Keep one answer, in one transaction, before it is sent.

        Args:
            segmentation: the columns of `SegmentationRow` that are plain values, but for `created`.
            segments: as its column `segments` holds them.
            retrieved: the arrays.

        Raises:
            Problem: 503 if the database does not take it.
        """
        row = segmentation | {
            "created": datetime.now(UTC),
            "segments": orjson.dumps(segments),
            "prototypes": np.ascontiguousarray(retrieved.prototypes, dtype=np.float32).tobytes(),
            "exemplar_ids": " ".join(retrieved.exemplar_ids),
            "neighbours": np.ascontiguousarray(retrieved.neighbours, dtype=np.int32).tobytes(),
            "similarities": np.ascontiguousarray(retrieved.similarities, dtype=np.float32).tobytes(),
        }
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(SegmentationRow), row)
        except SQLAlchemyError as error:
            raise Problem(
                503, "The answer could not be recorded, and an answer that cannot be explained is not given.",
                received=str(getattr(error, "orig", error)),
                mend="Try again; the operator should look at the database.",
            ) from error  # fmt: skip

    def get(self, segment_id: str) -> Record | None:
        """One segment's record, None if there is none."""
        segmentation_id, _, number = segment_id.rpartition("-")
        with Session(self.engine, expire_on_commit=False) as session:
            row = session.get(SegmentationRow, segmentation_id)
        if row is None or not (number.isascii() and number.isdigit()):
            return None
        segments, n = orjson.loads(row.segments), int(number)
        if n >= len(segments) or segment_id != f"{segmentation_id}-{n}":
            return None
        ids = row.exemplar_ids.split()
        neighbours = np.frombuffer(row.neighbours, np.int32).reshape(len(segments), -1)[n]
        return Record(
            segmentation=row,
            segment_id=segment_id,
            **{**segments[n], "bbox": tuple(segments[n]["bbox"])},
            prototype=np.frombuffer(row.prototypes, np.float32).reshape(len(segments), -1)[n],
            neighbours=[ids[place] for place in neighbours],
            similarities=np.frombuffer(row.similarities, np.float32).reshape(len(segments), -1)[n],
        )

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

    return engine
