"""Explanations: everything needed to recompute a segment's label by hand, and what to do if it is wrong."""

from typing import Any

import numpy as np

from model_store.explanation import explain_vote
from model_store.live import LiveExemplars
from segsort import loops
from service.answering.answers import Shapes, image_url, rows_of
from service.answering.engine import Engine
from service.answering.release_view import ReleaseView, class_json
from service.explaining.boundary import DISTANCE, boundary_of
from service.explaining.exemplar_detail import exemplar_json
from service.explaining.similar_segments import similar_segments
from service.records.database import Record
from service.records.live_release import LiveRelease

_OF_RUNNER_UP = 5


def explain(engine: Engine, record: Record) -> dict[str, Any]:
    """The JSON of GET /explain/{segment_id}: a function of the record and of the log up to its revision.

    Only what became of it since is told as of now: `removed_in` of exemplars, `corrections`, and whether pictures are
    still kept. The vote is over `exemplars`; `reserve` are the neighbours that follow, which move up when others are
    taken away.

    Raises:
        Problem: 410 if the release is gone, or no longer has an exemplar of the record.
    """
    facts = record.segmentation
    live = engine.catalogue.release_of(record.answered)
    view = ReleaseView.at_revision(live, facts.index_revision)
    rows = rows_of(view.state, record.neighbours, record.segment_id)

    def described(state: LiveExemplars, row: int) -> dict[str, Any]:
        return exemplar_json(live, row, state)

    why = explain_vote(view.state, record.similarities, rows, facts.k, facts.kappa, described, view.infos)
    kept = engine.records.images.has(facts.image_id)
    return {
        "segment_id": record.segment_id,
        "segmentation_id": facts.segmentation_id,
        "class_id": record.class_id,
        "class_name": view.name(record.class_id),
        "confidence": record.confidence,
        "share": why["share"],
        "known": record.known,
        "familiarity": (float(record.similarities[0]) + facts.image_similarity) / 2,
        "image_similarity": facts.image_similarity,
        "area": record.area,
        "bbox": list(record.bbox),
        "mask": {"size": list(record.size), "counts": record.counts},
        "vote": why["vote"] | {"classes": [_colored(view, told) for told in why["vote"]["classes"]]},
        **{name: why[name] for name in ("exemplars", "reserve")},
        "runner_up": why["runner_up"] and why["runner_up"] | {"exemplars": _runner_up(view, record, rows, why)},
        **{name: why[name] for name in ("margin", "flip_set")},
        "boundary": _boundary(view, record),
        "similar": similar_segments(engine.records, live, record),
        "corrections": _corrections(live, record.segment_id),
        "calibration": live.release.card.calibration.model_dump(mode="json"),
        "release": live.name,
        "index_revision": facts.index_revision,
        "label_url": f"/segments/{record.segment_id}/label",
        "image_url": image_url(facts.segmentation_id) if kept else None,
        "crop_url": f"/segments/{record.segment_id}/crop",
    }


def _colored(view: ReleaseView, told: dict[str, Any]) -> dict[str, Any]:
    return told | {"color": class_json(view.infos[told["class_id"]])["color"]}


def _runner_up(view: ReleaseView, record: Record, rows: np.ndarray, why: dict[str, Any]) -> list[dict[str, Any]]:
    """The second class' nearest exemplars among those that were there when the answer was given."""
    there = _rows_then(view, why["runner_up"]["class_id"])
    prototypes = np.ascontiguousarray(view.state.prototypes(there))
    cosines, places = loops.nearest_rows(prototypes, np.ascontiguousarray(record.prototype[None]), _OF_RUNNER_UP)
    recorded = dict(zip(rows.tolist(), record.similarities.tolist(), strict=True))
    return [
        exemplar_json(view.live, row, view.state)
        | {"class_name": why["runner_up"]["class_name"], "similarity": recorded.get(row, cosine)}
        for row, cosine in zip(there[places[0]].tolist(), cosines[0].tolist(), strict=True)
    ]


def _rows_then(view: ReleaseView, class_id: int) -> np.ndarray:
    """[n] int64, rows of the exemplars of a class that were alive at a revision, rising."""
    log, state = view.live.log, view.state
    touched = {name: state.row(name) for name in log.touched()}
    rows = np.array([row for row in touched.values() if row is not None], dtype=np.int64)
    then = np.array([row for name, row in touched.items() if row is not None and log.is_alive(name, view.revision)])
    then = then.astype(np.int64)
    return np.union1d(np.setdiff1d(state.rows_of_class(class_id), rows), then[state.class_ids(then) == class_id])


def _boundary(view: ReleaseView, record: Record) -> dict[str, Any]:
    answered = record.answered
    found = boundary_of(Shapes.of_answer(answered), record.number)
    neighbours = [
        {
            "segment_id": answered.segment_id(n),
            "class_name": view.name(answered.segments[n]["class_id"]),
            "share": share,
        }
        for n, share in found.shares.items()
    ]
    return {"distance_px": DISTANCE, "share": found.share, "neighbours": neighbours}


def _corrections(live: LiveRelease, segment_id: str) -> list[dict[str, Any]]:
    """The corrections of a segment that are in effect, the newest first."""
    told = []
    for revision in reversed(live.log.corrections.get(segment_id, ())):
        edit = live.log.edits[revision]
        row = live.state.row(edit.payload["exemplar_ids"][0])
        if row is not None and live.log.reverted_by(revision) is None:
            class_id = int(live.state.class_ids(np.array([row]))[0])
            name = live.log.class_states()[class_id].info.name
            told.append({"revision": revision, "class_name": name, "author": edit.author})
    return told
