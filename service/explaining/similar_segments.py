"""Similar segments: recorded segments of other images with the nearest prototypes, and their labels."""

from typing import Any

import numpy as np

from service.answering.links import image_url, segment_crop_url
from service.answering.release_view import ReleaseView
from service.records.database import Answered, Record, Records
from service.records.live_release import LiveRelease

SEARCHED = 500  # answers, the newest
LISTED = 8  # segments


def similar_segments(records: Records, live: LiveRelease, record: Record) -> list[dict[str, Any]]:
    """Find the segments nearest to one segment among the answers recorded before it.

    Answers for the same image are skipped, and each other image counts once. Labels are those that were answered.
    Only the image URLs depend on the present: they are None if the image is no longer kept.

    Args:
        records: the database of answers.
        live: the release that answered.
        record: the segment.

    Returns:
        At most `LISTED` segments as JSON, the most similar first.
    """
    facts = record.segmentation
    earlier = records.newest(SEARCHED, facts, facts.release, light=True)
    others = _of_other_images(earlier, facts.image_id)
    if not others:
        return []
    prototypes = [_prototypes(answered, len(record.prototype)) for answered in others]
    owner = np.repeat(np.arange(len(others)), [len(rows) for rows in prototypes])
    number = np.concatenate([np.arange(len(rows)) for rows in prototypes])
    cosines = np.einsum("nd,d->n", np.concatenate(prototypes), record.prototype)
    best = np.argsort(-cosines, kind="stable")[:LISTED]
    kept = records.images.which({others[owner[n]].facts.image_id for n in best} - {None})
    return [_segment_json(live, others[owner[n]], int(number[n]), float(cosines[n]), kept) for n in best]


def _of_other_images(answers: list[Answered], image_id: str | None) -> list[Answered]:
    """The newest answer of each image except one. Answers without an image id count as different images."""
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


def _segment_json(live: LiveRelease, answered: Answered, n: int, cosine: float, kept: set[str]) -> dict[str, Any]:
    segment, facts, segment_id = answered.segments[n], answered.facts, answered.segment_id(n)
    return {
        "segment_id": segment_id,
        "class_name": ReleaseView.at_revision(live, facts.index_revision).name(segment["class_id"]),
        "confidence": segment["confidence"],
        "similarity": min(cosine, 1.0),
        "image_url": image_url(facts.segmentation_id) if facts.image_id in kept else None,
        "crop_url": segment_crop_url(segment_id),
    }
