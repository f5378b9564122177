"""Answers of the tests, recorded by hand."""

from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select, update

from segsort.masks import encode_rle
from service.records.database import RecordedNeighbours, Records
from service.records.image_store import ImageFile
from service.records.tables import AnswerPartRow, ImageRow, SegmentationRow, now

SEGMENT = {"class_id": 0, "share": 1.0, "confidence": 0.5, "known": True}


def record(records: Records, name: str, image: ImageFile | None = None, days: float = 0) -> None:
    """Record an answer of two segments that was made some days ago."""
    facts = {"segmentation_id": name, "width": 4, "height": 1, "release": "r", "release_path": "/r"}
    facts |= {"index_revision": 0, "k": 1, "kappa": 1.0, "image_similarity": 0.5, "conversion": None, "author": "bo"}
    facts |= {"image_id": None if image is None else image.image_id}
    masks = encode_rle(np.array([[0, 0, 1, 1]], dtype=np.int32), 2)
    found = RecordedNeighbours(
        np.eye(2, dtype=np.float32), ["e"], np.zeros((2, 1), np.int32), np.ones((2, 1), np.float32)
    )
    records.add(facts, [SEGMENT | {"counts": mask} for mask in masks], found, image)
    if days:
        made_at(records, name, now() - timedelta(days=days))


def made_at(records: Records, name: str, time: datetime) -> None:
    """Set the time of an answer."""
    with records.engine.begin() as connection:
        which = SegmentationRow.segmentation_id == name
        connection.execute(update(SegmentationRow).where(which).values(created=time, checksum=None))


def names(records: Records) -> list[str]:
    """Ids of all answers, the oldest first."""
    return [one.facts.segmentation_id for one in reversed(records.newest(10**6, load="facts"))]


def parts(records: Records) -> int:
    """Number of parts in the database."""
    with records.engine.connect() as connection:
        return len(connection.execute(select(AnswerPartRow.part_id)).all())


def images(records: Records) -> set[str]:
    """Ids of the stored images."""
    with records.engine.connect() as connection:
        return set(connection.execute(select(ImageRow.image_id)).scalars())
