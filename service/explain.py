"""Explanations: everything needed to recompute a segment's label by hand."""

from typing import Any

from model_store.explanation import explain_vote
from service.answers import At, rows_of
from service.database import Record
from service.engine import Engine
from service.exemplars import exemplar_told


def explain(engine: Engine, record: Record) -> dict[str, Any]:
    """The JSON of GET /explain/{segment_id}: a function of the record and of the log up to its revision.

    Only what became of its exemplars since is told as of now.

    The vote is over `exemplars`; `reserve` are the neighbours that follow, which move up when others are taken away.

    Raises:
        Problem: 410 if the release is gone, or no longer has an exemplar of the record.
    """
    facts = record.segmentation
    live = engine.release_of(record.answered)
    at = At.then(live, facts.index_revision)
    rows = rows_of(at.state, record.neighbours, record.segment_id)

    def described(state: Any, row: int) -> dict[str, Any]:
        return exemplar_told(live, row, state)

    why = explain_vote(at.state, record.similarities, rows, facts.k, facts.kappa, described, at.infos)
    return {
        "segment_id": record.segment_id,
        "segmentation_id": facts.segmentation_id,
        "class_id": record.class_id,
        "class_name": at.name(record.class_id),
        "confidence": record.confidence,
        "share": why["share"],
        "known": record.known,
        "familiarity": (float(record.similarities[0]) + facts.image_similarity) / 2,
        "image_similarity": facts.image_similarity,
        "area": record.area,
        "bbox": list(record.bbox),
        "mask": {"size": list(record.size), "counts": record.counts},
        **{name: why[name] for name in ("vote", "exemplars", "reserve", "runner_up", "margin", "flip_set")},
        "calibration": live.release.card.calibration.model_dump(mode="json"),
        "release": live.name,
        "index_revision": facts.index_revision,
    }
