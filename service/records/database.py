"""Recorded answers: everything that an explanation needs, kept over restarts."""

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
from service.records.image_store import ImageFile, ImageStore, insert_image
from service.records.schema_version import open_database
from service.records.tables import ImageRow, RevisionRow, SegmentationRow, now

_INSERT = insert(SegmentationRow.__table__)  # type: ignore[arg-type]  # declared as any FROM clause


class RecordedNeighbours(NamedTuple):
    """The arrays of an answer.

    prototypes: [S, D] float32; exemplar_ids: every neighbour once; neighbours: [S, R] int32, positions in
    exemplar_ids, best first; similarities: [S, R] float32, cosines to the neighbours.
    """

    prototypes: np.ndarray
    exemplar_ids: Sequence[str]
    neighbours: np.ndarray
    similarities: np.ndarray


class Answered:
    """An answer as it was recorded. Its columns are decoded when they are first used.

    Attributes:
        facts: its row.
        segments: one object a segment, as in the column `segments`.
        prototypes: [S, D] float32.
        exemplar_ids: every neighbour once.
        neighbours: [S, R] int32, positions in exemplar_ids, best first.
        similarities: [S, R] float32, cosines to the neighbours.
    """

    def __init__(self, row: SegmentationRow) -> None:
        self.facts = row

    @cached_property
    def segments(self) -> list[dict[str, Any]]:
        segments: list[dict[str, Any]] = orjson.loads(self.facts.segments)
        return segments

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
        """Its n-th segment."""
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

    class_id, share: None if no exemplar voted; confidence: None if it was not measured; prototype: [D] float32;
    neighbours: exemplar ids, best first; similarities: [R] float32, cosines to the neighbours;
    bbox: x, y, width, height; counts: compressed run lengths of the mask.
    """

    answered: Answered
    segmentation: SegmentationRow
    number: int
    segment_id: str
    class_id: int | None
    share: float | None
    confidence: float | None
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
        """[H, W] bool, true on the pixels of the segment."""
        return decode_rle(self.counts, self.size)


class Records:
    """The database of recorded answers.

    Args:
        url: SQLAlchemy URL of an SQLite or PostgreSQL database.
        keep_images: largest total size of the images that are kept for answers, bytes.

    Attributes:
        engine: the open database.
        images: the images in it.
        trouble: why the last answer could not be recorded; None if it was recorded.

    Raises:
        ValueError: if the database cannot be opened.
    """

    def __init__(self, url: str, keep_images: int = 0) -> None:
        self.engine = open_database(url)
        self.images = ImageStore(self.engine, keep_images)
        self.trouble: str | None = None

    def add(
        self,
        segmentation: dict[str, Any],
        segments: list[dict[str, Any]],
        retrieved: RecordedNeighbours,
        image: ImageFile | None = None,
    ) -> None:
        """Record one answer in one transaction.

        Args:
            segmentation: the columns of `SegmentationRow` that hold plain values, without `created`.
            segments: content of the column `segments`.
            retrieved: content of the columns that hold arrays.
            image: the image file that was segmented.

        Raises:
            Problem: 503 if the database refuses the answer.
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
                if image is not None:
                    self.images.insert(connection, image)
            self.trouble = None
        except SQLAlchemyError as error:
            self.trouble = str(getattr(error, "orig", error))[:200]
            raise Problem(
                503, "The answer could not be recorded in the database. Only recorded answers are sent.",
                received=str(getattr(error, "orig", error)),
                fix="Try again. If it fails again, the operator should check the database and the disk.",
            ) from error  # fmt: skip

    def get(self, segment_id: str) -> Record | None:
        """Read the record of a segment; None if there is none."""
        segmentation_id, _, number = segment_id.rpartition("-")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            return None
        answered, n = self.answer(segmentation_id), int(number)
        if answered is None or n >= len(answered.segments) or segment_id != answered.segment_id(n):
            return None
        return answered.record(n)

    def answer(self, segmentation_id: str) -> Answered | None:
        """Read an answer; None if there is none."""
        if not (segmentation_id.isascii() and segmentation_id.isalnum()):
            return None  # a database may refuse such characters
        with Session(self.engine, expire_on_commit=False) as session:
            row = session.get(SegmentationRow, segmentation_id)
        return None if row is None else Answered(row)

    def newest(
        self, count: int, before: SegmentationRow | None = None, release: str | None = None, light: bool = False
    ) -> list[Answered]:
        """Read the newest answers, the newest first.

        Args:
            count: largest number of answers.
            before: only answers recorded before this one.
            release: only answers of this release.
            light: leave out the neighbours and similarities, which most readers do not use.
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
        """Raise SQLAlchemyError if the database cannot be written. The rows of the trial are removed again."""
        probe = ImageFile("probe", "image/png", 1, 1, bytes(100_000))
        with self.engine.begin() as connection:
            connection.execute(update(RevisionRow).values(number=RevisionRow.number))
            insert_image(connection, probe)
            connection.execute(delete(ImageRow).where(ImageRow.image_id == probe.image_id))
        self.trouble = None

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
