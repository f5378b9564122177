"""Explanations: everything needed to recompute a segment's label by hand, and what to do if it is wrong."""

from typing import Any

import numpy as np

from model_store.explanation import explain_vote
from model_store.live import LiveExemplars
from segsort import loops
from service.answering.answers import Shapes, rows_of
from service.answering.engine import Engine
from service.answering.links import image_url, label_url, segment_crop_url
from service.answering.release_view import ReleaseView, class_json
from service.answering.rounding import rounded_json
from service.explaining.boundary import DISTANCE, boundary_of
from service.explaining.exemplar_detail import exemplar_json
from service.explaining.recorded import recorded_explanation
from service.explaining.similar_segments import similar_segments
from service.records.database import Record
from service.records.live_release import LiveRelease

_RUNNER_UP_EXEMPLARS = 5  # of the runner-up, listed


def explain(engine: Engine, record: Record, owner: str | None = None) -> dict[str, Any]:
    """Write the JSON of GET /explain/{segment_id}.

    It depends on the record and on the edits up to its revision. Only these values depend on later edits: `removed_in`
    of exemplars, `corrections`, and URLs of images. The exemplars in `exemplars` voted. Those in `reserve` are the next
    neighbours, which vote when others are removed. Numbers are rounded so that the vote can be recomputed: the
    similarities and strengths are read back unchanged as float32.

    Args:
        engine: where the record's release is found.
        record: of the segment.
        owner: similar segments are those of answers of this key; None: of all.

    Where the release is gone, see `recorded_explanation`.
    """
    facts = record.segmentation
    view = engine.catalogue.view_of(record.answered)
    if view is None:
        return recorded_explanation(engine, record)
    live = view.live
    names, similarities = record.neighbours(view.state)
    rows = rows_of(view.state, names, record.segment_id)

    def described(state: LiveExemplars, row: int) -> dict[str, Any]:
        return exemplar_json(live, row, state)

    why = explain_vote(view.state, similarities, rows, facts.k, facts.kappa, described, view.infos)
    explanation: dict[str, Any] = rounded_json(
        {
            **_label(view, record, rows, similarities, why["share"]),
            **_vote(view, record, rows, similarities, why),
            "boundary": _boundary(view, record),
            "similar": similar_segments(engine.records, live, record, owner),
            "corrections": _corrections(live, record.segment_id),
            "calibration": live.release.card.calibration.model_dump(mode="json"),
            "search": _search(live),
            "incomplete": None,
            "release": live.name,
            "release_digest": live.digest,
            "index_revision": facts.index_revision,
            "label_url": label_url(record.segment_id),
            "image_url": image_url(facts.segmentation_id) if engine.records.images.has(facts.image_id) else None,
            "crop_url": segment_crop_url(record.segment_id),
        }
    )
    return explanation


def _search(live: LiveRelease) -> dict[str, Any] | None:
    """What an approximate index finds, as its card states it; None: the search is exact."""
    search = live.release.card.search
    return None if search is None else search.model_dump(mode="json")


def _label(
    view: ReleaseView, record: Record, rows: np.ndarray, similarities: np.ndarray, share: float | None
) -> dict[str, Any]:
    """The segment and its label, as they were answered. What follows from exemplars is None if there were none."""
    facts, voted = record.segmentation, bool(len(rows))
    familiarity = float(similarities[0]) if voted else None
    taught = voted and bool(view.state.taught(rows[0]))
    if familiarity is not None and view.live.release.card.calibration.calibrated and not taught:
        familiarity = (familiarity + facts.image_similarity) / 2
    return {
        "segment_id": record.segment_id,
        "segmentation_id": facts.segmentation_id,
        "class_id": record.class_id,
        "class_name": view.name(record.class_id),
        "confidence": record.confidence if record.known else None,
        "share": share,
        "known": record.known,
        "familiarity": familiarity,
        "image_similarity": facts.image_similarity if voted else None,
        "area": record.area,
        "bbox": list(record.bbox),
        "mask": {"size": list(record.size), "counts": record.counts},
    }


def _vote(
    view: ReleaseView, record: Record, rows: np.ndarray, similarities: np.ndarray, why: dict[str, Any]
) -> dict[str, Any]:
    """The vote with the colours of its classes, and with the nearest exemplars of the runner-up."""
    runner_up, recorded = why["runner_up"], dict(zip(rows.tolist(), similarities.tolist(), strict=True))
    return {
        "vote": why["vote"] | {"classes": [_with_color(view, entry) for entry in why["vote"]["classes"]]},
        "exemplars": why["exemplars"],
        "reserve": why["reserve"],
        "runner_up": runner_up and runner_up | {"exemplars": _runner_up_exemplars(view, record, recorded, runner_up)},
        "margin": why["margin"],
        "flip_set": why["flip_set"],
    }


def _with_color(view: ReleaseView, entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"color": class_json(view.infos[entry["class_id"]])["color"]}


def _runner_up_exemplars(
    view: ReleaseView, record: Record, recorded: dict[int, float], runner_up: dict[str, Any]
) -> list[dict[str, Any]]:
    """The exemplars of the runner-up that are nearest to the segment, among those alive at the answer's revision."""
    candidates = _rows_at_revision(view, runner_up["class_id"], record.segmentation.image_id)
    prototypes = np.ascontiguousarray(view.state.prototypes(candidates))
    cosines, places = loops.nearest_rows(prototypes, np.ascontiguousarray(record.prototype[None]), _RUNNER_UP_EXEMPLARS)
    return [
        exemplar_json(view.live, row, view.state)
        | {"class_name": runner_up["class_name"], "similarity": recorded.get(row, cosine)}
        for row, cosine in zip(candidates[places[0]].tolist(), cosines[0].tolist(), strict=True)
    ]


def _rows_at_revision(view: ReleaseView, class_id: int, image_id: str | None) -> np.ndarray:
    """[n] int64, rows of the exemplars of a class that voted at the view's revision on an image, in ascending order."""
    log, state = view.live.log, view.state
    touched = {name: state.row(name) for name in log.touched()}
    rows = np.array([row for row in touched.values() if row is not None], dtype=np.int64)
    then = np.array([row for name, row in touched.items() if row is not None and log.is_alive(name, view.revision)])
    then = then.astype(np.int64)
    found = np.union1d(np.setdiff1d(state.rows_of_class(class_id), rows), then[state.class_ids(then) == class_id])
    return np.setdiff1d(found, state.rows_of_other_images(image_id))


def _boundary(view: ReleaseView, record: Record) -> dict[str, Any]:
    answered = record.answered
    found = boundary_of(Shapes.of_answer(answered), record.number)
    neighbours = [
        {
            "segment_id": answered.segment_id(n),
            "class_name": view.name(answered.labels[n].class_id),
            "known": answered.labels[n].known,
            "share": share,
        }
        for n, share in found.shares.items()
    ]
    return {"distance_px": DISTANCE, "share": found.share, "neighbours": neighbours}


def _corrections(live: LiveRelease, segment_id: str) -> list[dict[str, Any]]:
    """The corrections of a segment that are in effect, the newest first."""
    corrections = []
    for revision in reversed(live.log.corrections.get(segment_id, ())):
        edit = live.log.edits[revision]
        row = live.state.row(edit.corrected[segment_id])
        if row is not None and live.log.reverted_by(revision) is None:
            class_id = int(live.state.class_ids(np.array([row]))[0])
            name = live.log.class_states()[class_id].info.name
            corrections.append({"revision": revision, "class_name": name, "author": edit.author})
    return corrections
