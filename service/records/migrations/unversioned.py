"""Upgrade of answers in databases that have no schema version.

Three schemas are known. The oldest one has a row for each segment in a table `segments`. The next one holds all
segments of an answer in one row of `segmentations`, without `image_id` and `author`. The last one has these columns
and equals revision 0001. A program of the last schema that opened the oldest one added empty columns to
`segmentations`; such a database holds answers of both kinds.
"""

from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa

_ASIDE = "segmentations_aside"
_OLD_SEGMENTS = {
    "segment_id", "segmentation_id", "class_id", "share", "confidence", "known", "area", "x", "y", "width", "height",
    "counts", "prototype", "neighbours", "similarities",
}  # fmt: skip
_NEW = sa.table(
    "segmentations",
    *(
        sa.column(name)
        for name in (
            "segmentation_id", "created", "width", "height", "release", "release_path", "index_revision", "k", "kappa",
            "image_similarity", "segments", "prototypes", "exemplar_ids", "neighbours", "similarities", "image_id",
            "author",
        )
    ),
)  # fmt: skip


def add_answer_columns(op: Any) -> None:
    """Add `image_id` and `author` to answers that were written before edits; both may be empty."""
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table("segmentations"):
        return
    present = {column["name"] for column in inspector.get_columns("segmentations")}
    for name in ("image_id", "author"):
        if name not in present:
            op.add_column("segmentations", sa.Column(name, sa.String(), nullable=True))


def set_old_answers_aside(op: Any) -> bool:
    """Rename `segmentations` where it belongs to the oldest schema, so that it can be created anew.

    Returns:
        Whether the database had the oldest schema.
    """
    inspector = sa.inspect(op.get_bind())
    if not (inspector.has_table("segmentations") and inspector.has_table("segments")):
        return False
    if {column["name"] for column in inspector.get_columns("segments")} != _OLD_SEGMENTS:
        return False  # a table of another program
    op.drop_index("segmentations_by_age", "segmentations", if_exists=True)
    op.rename_table("segmentations", _ASIDE)
    return True


def copy_old_answers(op: Any) -> None:
    """Write the answers that were set aside into the new table, one row each, and drop the old tables."""
    connection = op.get_bind()
    aside = sa.Table(_ASIDE, sa.MetaData(), autoload_with=connection)
    segments = sa.Table("segments", sa.MetaData(), autoload_with=connection, resolve_fks=False)
    of_answer = segments.c.segmentation_id == sa.bindparam("answer")
    for answer in connection.execute(sa.select(aside.c.segmentation_id)).scalars().all():
        row = dict(connection.execute(aside.select().where(aside.c.segmentation_id == answer)).mappings().one())
        if row.get("segments") is None:
            found = connection.execute(segments.select().where(of_answer), {"answer": answer}).mappings().all()
            if not found:  # nothing in it can be explained
                continue
            row |= _columns([dict(segment) for segment in found])
        connection.execute(_NEW.insert(), row)
    op.drop_table("segments")
    op.drop_table(_ASIDE)


def _columns(segments: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of an answer that replace its rows of `segments`."""
    segments = sorted(segments, key=lambda segment: int(segment["segment_id"].rpartition("-")[2]))
    neighbours = [segment["neighbours"].split() for segment in segments]
    exemplar_ids = list(dict.fromkeys(name for names in neighbours for name in names))
    place = {name: n for n, name in enumerate(exemplar_ids)}
    nearest = [float(np.frombuffer(segment["similarities"], np.float32)[0]) for segment in segments]
    areas = [segment["area"] for segment in segments]
    return {
        "image_similarity": float(np.average(nearest, weights=areas)),  # as `segsort.retrieval.familiarity` has it
        "segments": orjson.dumps([_segment(segment) for segment in segments]),
        "prototypes": b"".join(segment["prototype"] for segment in segments),
        "exemplar_ids": " ".join(exemplar_ids),
        "neighbours": np.array([[place[name] for name in names] for names in neighbours], np.int32).tobytes(),
        "similarities": b"".join(segment["similarities"] for segment in segments),
    }


def _segment(segment: dict[str, Any]) -> dict[str, Any]:
    kept = {name: segment[name] for name in ("class_id", "share", "confidence", "area", "counts")}
    bbox = [segment[name] for name in ("x", "y", "width", "height")]
    return kept | {"known": bool(segment["known"]), "bbox": bbox}
