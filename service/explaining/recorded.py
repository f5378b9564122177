"""What was recorded of an answer whose release is gone: everything but what only the release knows."""

from typing import Any

import numpy as np
from sqlalchemy import Connection, or_, select

from service.answering.answers import Shapes, page_json
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions
from service.answering.links import image_url, label_url, segment_crop_url
from service.answering.rounding import rounded, rounded_json
from service.explaining.boundary import DISTANCE, boundary_of
from service.images.polygons import polygons
from service.problems import Problem
from service.records.answered import Answered, Record
from service.records.edit_rows import edit_of, read_exemplars
from service.records.tables import EditRow, SegmentationRow

FIX = (
    "Put the release back unchanged, in SEGSORT_DATA_DIR/releases or where it was, and ask again. To have the image "
    "labelled and explained by the present release, send POST /segmentations/{segmentation_id}/segment."
)


def recorded_explanation(engine: Engine, record: Record) -> dict[str, Any]:
    """The JSON of GET /explain/{segment_id} without the release that gave the answer.

    The vote cannot be recomputed: classes and strengths of the release's exemplars are gone with it. `incomplete` says
    so, and lists the neighbours as far as they were recorded.
    """
    facts, answered = record.segmentation, record.answered
    with engine.records.engine.connect() as connection:
        names = _names(connection, facts)
        neighbours = _neighbours(connection, record, names)
    found = boundary_of(Shapes.of_answer(answered), record.number)
    explanation: dict[str, Any] = rounded_json(
        {
            "segment_id": record.segment_id,
            "segmentation_id": facts.segmentation_id,
            "class_id": record.class_id,
            "class_name": _name(names, record.class_id),
            "confidence": record.confidence if record.known else None,
            "share": record.share,
            "known": record.known,
            "familiarity": None,
            "image_similarity": None if record.share is None else facts.image_similarity,
            "area": record.area,
            "bbox": list(record.bbox),
            "mask": {"size": list(record.size), "counts": record.counts},
            "vote": {"k": 0, "kappa": facts.kappa, "classes": []},
            **dict.fromkeys(("runner_up", "margin", "flip_set", "calibration", "search")),
            **{name: [] for name in ("exemplars", "reserve", "similar", "corrections")},
            "boundary": {
                "distance_px": DISTANCE,
                "share": found.share,
                "neighbours": [
                    {
                        "segment_id": answered.segment_id(n),
                        "class_name": _name(names, answered.labels[n].class_id),
                        "known": answered.labels[n].known,
                        "share": share,
                    }
                    for n, share in found.shares.items()
                ],
            },
            "incomplete": _incomplete(facts) | {"neighbours": neighbours},
            "release": facts.release,
            "release_digest": facts.release_digest,
            "index_revision": facts.index_revision,
            "label_url": label_url(record.segment_id),
            "image_url": image_url(facts.segmentation_id) if engine.records.images.has(facts.image_id) else None,
            "crop_url": segment_crop_url(record.segment_id),
        }
    )
    return explanation


def recorded_answer(engine: Engine, answered: Answered, options: AnswerOptions, kept: bool) -> dict[str, Any]:
    """The JSON of GET /segmentations/{segmentation_id} without the release that gave the answer: no exemplars."""
    facts, shapes = answered.facts, Shapes.of_answer(answered)
    with engine.records.engine.connect() as connection:
        names = _names(connection, facts)
    segments = []
    for n, segment in enumerate(answered.segments):
        known = segment["known"]
        entry = {
            "segment_id": answered.segment_id(n),
            "class_id": segment["class_id"],
            "class_name": _name(names, segment["class_id"]),
            "confidence": rounded(segment["confidence"]) if known and segment["confidence"] is not None else None,
            "known": known,
            "share": None if segment["share"] is None else rounded(segment["share"]),
            "margin": None,
            "area": segment["area"],
            "bbox": segment["bbox"],
        }
        if options.masks == "rle":
            entry["mask"] = {"size": list(shapes.size), "counts": shapes.counts[n]}
        elif options.masks == "polygon":
            entry["mask"] = {"size": list(shapes.size), "polygons": polygons(*shapes.part(n))}
        segments.append(entry | {"exemplars": []})
    return {
        "segmentation_id": facts.segmentation_id,
        "width": facts.width,
        "height": facts.height,
        "release": facts.release,
        "release_digest": facts.release_digest,
        "index_revision": facts.index_revision,
        "classes": [
            {"class_id": class_id, "name": name, "color": color} for class_id, (name, color) in sorted(names.items())
        ],
        "segments": segments,
        "image_id": facts.image_id,
        "image_url": image_url(facts.segmentation_id) if kept else None,
        "conversion": facts.conversion,
        **page_json(answered),
        "incomplete": _incomplete(facts),
    }


def _incomplete(facts: SegmentationRow) -> dict[str, Any]:
    missing = ["classes, strengths and images of the exemplars of the release", "the share of each class in the vote"]
    return {
        "reason": f"The release {facts.release!r} that gave this answer is gone, and no copy of it was kept.",
        "missing": [*missing, "names of classes that no edit names"],
        "fix": FIX.format(segmentation_id=facts.segmentation_id),
    }


def _neighbours(connection: Connection, record: Record, names: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """The nearest exemplars as far as they were recorded. The classes of those that edits added are known."""
    try:
        ids, similarities = record.neighbours(None)
    except Problem:  # they were recorded by their places in the release
        return []
    added = read_exemplars(connection, set(ids))
    return [
        {
            "exemplar_id": name,
            "similarity": float(np.float32(similarity)),
            "class_name": _name(names, added[name].class_id) if name in added else None,
            "voted": place < record.segmentation.k,
        }
        for place, (name, similarity) in enumerate(zip(ids, similarities.tolist(), strict=True))
    ]


def _names(connection: Connection, facts: SegmentationRow) -> dict[int, tuple[str, str]]:
    """Name and colour of the classes that edits of this release named up to the answer, by class_id."""
    own = or_(EditRow.release_digest == facts.release_digest, EditRow.release_digest.is_(None))
    query = select(EditRow.__table__).where(EditRow.release == facts.release, own)
    query = query.where(EditRow.revision <= facts.index_revision).order_by(EditRow.revision)
    found = {}
    for row in connection.execute(query).mappings():
        edit = edit_of(row)
        for info in [*edit.new_classes, *edit.changed_classes]:
            found[info.class_id] = info.name, "#{:02x}{:02x}{:02x}".format(*info.color)
    return found


def _name(names: dict[int, tuple[str, str]], class_id: int | None) -> str | None:
    """The name of a class, or its number if no edit named it."""
    if class_id is None:
        return None
    return names[class_id][0] if class_id in names else f"class {class_id}"
