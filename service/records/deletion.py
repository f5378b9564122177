"""Deletion of answers, of the parts that no other answer shares, and of images that nothing uses any more."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, update

from service.records.objects.rows import detach
from service.records.tables import AnswerPartRow, ExemplarRow, ImageRow, RevisionRow, SegmentationRow


def lock_images(connection: Connection, image_ids: Sequence[str]) -> None:
    """Keep other transactions from adding an answer or an exemplar of some images until this one ends.

    An edit locks the row of the revision first. An answer locks the row of its image.
    """
    connection.execute(update(RevisionRow).values(number=RevisionRow.number))
    rows = select(ImageRow.image_id).where(ImageRow.image_id.in_(image_ids)).order_by(ImageRow.image_id)
    connection.execute(rows.with_for_update())


def delete_answers(connection: Connection, which: Any) -> int:
    """Delete answers with their content. Shapes that another answer shares stay.

    Args:
        connection: in a transaction.
        which: the condition that they meet.

    Returns:
        How many there were.
    """
    parts = (SegmentationRow.shapes_part, SegmentationRow.votes_part)
    rows = connection.execute(delete(SegmentationRow).where(which).returning(*parts)).all()
    votes = [row.votes_part for row in rows if row.votes_part is not None]
    connection.execute(delete(AnswerPartRow).where(AnswerPartRow.part_id.in_(votes)))
    shapes = sorted({row.shapes_part for row in rows if row.shapes_part is not None})
    if shapes:
        _delete_unshared(connection, shapes)
    return len(rows)


def _delete_unshared(connection: Connection, shapes: Sequence[int]) -> None:
    """Delete shapes, or count them as content of the oldest answer that shares them.

    They are locked first: an answer that is about to share them has locked them too, and the next statement sees it.
    """
    locked = select(AnswerPartRow.part_id).where(AnswerPartRow.part_id.in_(shapes)).order_by(AnswerPartRow.part_id)
    connection.execute(locked.with_for_update())
    heirs = select(func.min(SegmentationRow.sequence)).where(SegmentationRow.shapes_part.in_(shapes))
    length = select(func.length(AnswerPartRow.content)).where(AnswerPartRow.part_id == SegmentationRow.shapes_part)
    inherit = update(SegmentationRow).values(size=SegmentationRow.size + length.scalar_subquery())
    oldest = SegmentationRow.sequence.in_(heirs.group_by(SegmentationRow.shapes_part))
    connection.execute(inherit.where(oldest), execution_options={"synchronize_session": False})
    is_shared = exists().where(SegmentationRow.shapes_part == AnswerPartRow.part_id)
    connection.execute(delete(AnswerPartRow).where(AnswerPartRow.part_id.in_(shapes), ~is_shared))


def delete_unused_images(connection: Connection, image_ids: Sequence[str]) -> None:
    """Delete the images among some that neither an answer nor an exemplar uses; see `lock_images`."""
    has_answers = exists().where(SegmentationRow.image_id == ImageRow.image_id)
    has_exemplars = exists().where(ExemplarRow.image_id == ImageRow.image_id)
    delete_images(connection, ImageRow.image_id.in_(image_ids), ~has_answers, ~has_exemplars)


def delete_images(connection: Connection, *which: ColumnElement[bool]) -> None:
    """Delete the rows of images. Files of theirs in an object store are deleted later.

    Args:
        connection: in a transaction.
        which: the conditions that they meet.
    """
    deleted = connection.execute(delete(ImageRow).where(*which).returning(ImageRow.image_id)).scalars().all()
    if deleted:
        detach(connection, deleted)
