"""Segment records: what an explanation needs, kept past restarts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, defer

from segsort.masks import decode_rle
from service.problems import Problem
from service.records.image_store import KeptImages, Picture, insert_image
from service.records.schema_version import open_database
from service.records.tables import ImageRow, RevisionRow, SegmentationRow, now

_INSERT = insert(SegmentationRow.__table__)  # type: ignore[arg-type]  # declared as any FROM clause


class Retrieved(NamedTuple):
    """What an answer was made of: prototypes [S, D] float32, exemplar_ids, neighbours [S, R] places in exemplar_ids,
    similarities [S, R] float32.
    """

    prototypes: np.ndarray
    exemplar_ids: Sequence[str]
    neighbours: np.ndarray
    similarities: np.ndarray


class Answered:
    """An answer as it was recorded.

    facts: its row; segments: one object each, as the column says; prototypes: [S, D] float32; neighbours: [S, R] int32,
    places in exemplar_ids; similarities: [S, R] float32.
    """

    def __init__(self, row: SegmentationRow) -> None:
        self.facts = row

    @cached_property
    def segments(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = orjson.loads(self.facts.segments)
        return told

    @cached_property
    def prototypes(self) -> np.ndarray:
        return np.frombuffer(self.facts.prototypes, np.float32).reshape(len(self.segments), -1)

    @cached_property
    def exemplar_ids(self) -> list[str]:
        return self.facts.exemplar_ids.split()

    @cached_property
    def neighbours(self) -> np.ndarray:
        return np.frombuffer(self.facts.neighbours, np.int32).reshape(len(self.segments), -1)

    @cached_property
    def similarities(self) -> np.ndarray:
        return np.frombuffer(self.facts.similarities, np.float32).reshape(len(self.segments), -1)

    def segment_id(self, n: int) -> str:
        return f"{self.facts.segmentation_id}-{n}"

    def record(self, n: int) -> "Record":
        """One of its segments."""
        return Record(
            answered=self,
            segmentation=self.facts,
            number=n,
            segment_id=self.segment_id(n),
            **{**self.segments[n], "bbox": tuple(self.segments[n]["bbox"])},
            prototype=self.prototypes[n],
            neighbours=[self.exemplar_ids[place] for place in self.neighbours[n]],
            similarities=self.similarities[n],
        )


@dataclass(frozen=True)
class Record:
    """A segment as it was answered.

    neighbours: exemplar ids, best first; similarities: [R] float32; prototype: [D] float32; bbox: x, y, width, height.
    """

    answered: Answered
    segmentation: SegmentationRow
    number: int
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

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.segmentation.height, self.segmentation.width

    @property
    def mask(self) -> np.ndarray:
        """[H, W] bool, its pixels."""
        return decode_rle(self.counts, self.size)


class Records:
    """The database of segment records.

    Args:
        url: SQLAlchemy URL; SQLite by default, PostgreSQL where several replicas share one.
        keep_images: bytes of pictures that are kept beside their answers.

    Attributes:
        trouble: why the last answer could not be recorded; None if it could.

    Raises:
        ValueError: if the database cannot be opened.
    """

    def __init__(self, url: str, keep_images: int = 0) -> None:
        self.engine = open_database(url)
        self.images = KeptImages(self.engine, keep_images)
        self.trouble: str | None = None

    def add(
        self,
        segmentation: dict[str, Any],
        segments: list[dict[str, Any]],
        retrieved: Retrieved,
        picture: Picture | None = None,
    ) -> None:
        """Keep one answer, in one transaction, before it is sent.

        Args:
            segmentation: the columns of `SegmentationRow` that are plain values, but for `created`.
            segments: as its column `segments` holds them.
            retrieved: the arrays.
            picture: the file that was answered.

        Raises:
            Problem: 503 if the database does not take it.
        """
        row = segmentation | {
            "created": now(),
            "segments": orjson.dumps(segments),
            "prototypes": np.ascontiguousarray(retrieved.prototypes, dtype=np.float32).tobytes(),
            "exemplar_ids": " ".join(retrieved.exemplar_ids),
            "neighbours": np.ascontiguousarray(retrieved.neighbours, dtype=np.int32).tobytes(),
            "similarities": np.ascontiguousarray(retrieved.similarities, dtype=np.float32).tobytes(),
        }
        try:
            with self.engine.begin() as connection:
                connection.execute(_INSERT, row)
                if picture is not None:
                    self.images.insert(connection, picture)
            self.trouble = None
        except SQLAlchemyError as error:
            self.trouble = str(getattr(error, "orig", error))[:200]
            raise Problem(
                503, "The answer could not be recorded, and an answer that cannot be explained is not given.",
                received=str(getattr(error, "orig", error)),
                fix="Try again; the operator should look at the database.",
            ) from error  # fmt: skip

    def get(self, segment_id: str) -> Record | None:
        """One segment's record, None if there is none."""
        segmentation_id, _, number = segment_id.rpartition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            return None
        answered, n = self.answer(segmentation_id), int(number)
        if answered is None or n >= len(answered.segments) or segment_id != answered.segment_id(n):
            return None
        return answered.record(n)

    def answer(self, segmentation_id: str) -> Answered | None:
        """One answer, None if there is none."""
        if not (segmentation_id.isascii() and segmentation_id.isalnum()):
            return None  # what a database might stumble over
        with Session(self.engine, expire_on_commit=False) as session:
            row = session.get(SegmentationRow, segmentation_id)
        return None if row is None else Answered(row)

    def newest(
        self, count: int, before: SegmentationRow | None = None, release: str | None = None, light: bool = False
    ) -> list[Answered]:
        """The answers recorded last, the newest first.

        Args:
            count: at most so many.
            before: only those recorded before this one.
            release: only those that this release gave.
            light: leave the neighbours out, which most readers do not look at.
        """
        conditions = [] if release is None else [SegmentationRow.release == release]
        if before is not None:
            same_time = and_(
                SegmentationRow.created == before.created, SegmentationRow.segmentation_id < before.segmentation_id
            )
            conditions.append(or_(SegmentationRow.created < before.created, same_time))
        heavy = (SegmentationRow.neighbours, SegmentationRow.similarities) if light else ()
        query = select(SegmentationRow).where(*conditions).options(*(defer(c, raiseload=True) for c in heavy))
        query = query.order_by(SegmentationRow.created.desc(), SegmentationRow.segmentation_id.desc()).limit(count)
        with Session(self.engine, expire_on_commit=False) as session:
            return [Answered(row) for row in session.scalars(query).all()]

    def ping(self) -> None:
        """Raise SQLAlchemyError if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(select(1))

    def try_to_write(self) -> None:
        """Raise SQLAlchemyError if the database takes nothing; what is written is gone when it is committed."""
        probe = Picture("probe", "image/png", 1, 1, bytes(100_000))
        with self.engine.begin() as connection:
            connection.execute(update(RevisionRow).values(number=RevisionRow.number))
            insert_image(connection, probe)
            connection.execute(delete(ImageRow).where(ImageRow.image_id == probe.image_id))
        self.trouble = None

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
