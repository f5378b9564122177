"""Similar segments: where else something like this was seen, and what it was called there."""

from typing import Any

import numpy as np

from service.answering.answers import image_url
from service.answering.release_view import ReleaseView
from service.records.database import Answered, Record, Records
from service.records.live_release import LiveRelease

LOOKED_AT = 500  # answers
TOLD = 8


def similar_segments(records: Records, live: LiveRelease, record: Record) -> list[dict[str, Any]]:
    """The segments most like one among the answers recorded before it, of other pictures, each picture once.

    As they were labelled then; only whether their picture is still kept is told as of now.
    """
    facts = record.segmentation
    earlier = records.newest(LOOKED_AT, facts, facts.release, light=True)
    others = _of_other_pictures(earlier, facts.image_id)
    if not others:
        return []
    prototypes = [_prototypes(answered, len(record.prototype)) for answered in others]
    owner = np.repeat(np.arange(len(others)), [len(rows) for rows in prototypes])
    number = np.concatenate([np.arange(len(rows)) for rows in prototypes])
    cosines = np.einsum("nd,d->n", np.concatenate(prototypes), record.prototype)
    best = np.argsort(-cosines, kind="stable")[:TOLD]
    kept = records.images.which({others[owner[n]].facts.image_id for n in best} - {None})
    return [_told(live, others[owner[n]], int(number[n]), float(cosines[n]), kept) for n in best]


def _of_other_pictures(answers: list[Answered], image_id: str | None) -> list[Answered]:
    """The newest answer of each picture but one; answers whose picture is not known count as of different ones."""
    seen = {image_id}
    others = []
    for answered in answers:
        own = answered.facts.image_id
        if own is None or own not in seen:
            seen.add(own)
            others.append(answered)
    return others


def _prototypes(answered: Answered, dimension: int) -> np.ndarray:
    return np.frombuffer(answered.facts.prototypes, np.float32).reshape(-1, dimension)


def _told(live: LiveRelease, answered: Answered, n: int, cosine: float, kept: set[str]) -> dict[str, Any]:
    segment, facts, segment_id = answered.segments[n], answered.facts, answered.segment_id(n)
    there = facts.image_id in kept
    return {
        "segment_id": segment_id,
        "class_name": ReleaseView.at_revision(live, facts.index_revision).name(segment["class_id"]),
        "confidence": segment["confidence"],
        "similarity": min(cosine, 1.0),
        "image_url": image_url(facts.segmentation_id) if there else None,
        "crop_url": f"/segments/{segment_id}/crop",
    }
