"""Similar segments: recorded segments of other images with the nearest prototypes, and their labels."""

import logging
from typing import Any

import numpy as np

from service.answering.links import image_url, segment_crop_url
from service.answering.release_view import ReleaseView
from service.problems import DamageError
from service.records.database import Answered, Record, Records
from service.records.live_release import LiveRelease

SEARCHED = 500  # answers, the newest
LISTED = 8  # segments
_log = logging.getLogger("segsort.explaining")


def similar_segments(
    records: Records, live: LiveRelease, record: Record, owner: str | None = None
) -> list[dict[str, Any]]:
    """Find the segments nearest to one segment among the answers recorded before it.

    Answers for the same image are skipped, and each other image counts once. Labels are those that were answered.
    Only the image URLs depend on the present: they are None if the image is no longer kept.

    Args:
        records: the database of answers.
        live: the release that answered.
        record: the segment.
        owner: only answers of this key; None: of all.

    Returns:
        At most `LISTED` segments as JSON, the most similar first.
    """
    facts = record.segmentation
    earlier = records.newest(SEARCHED, facts, live, load="prototypes", owner=owner)
    others = [one for one in _of_other_images(earlier, facts.image_id) if _unpacks(one)]
    if not others:
        return []
    prototypes = [answered.prototypes for answered in others]
    answer = np.repeat(np.arange(len(others)), [len(rows) for rows in prototypes])
    number = np.concatenate([np.arange(len(rows)) for rows in prototypes])
    cosines = np.einsum("nd,d->n", np.concatenate(prototypes), record.prototype)
    best = np.argsort(-cosines, kind="stable")[:LISTED]
    kept = records.images.which({others[answer[n]].facts.image_id for n in best} - {None})
    ids = {others[answer[n]].facts.segmentation_id for n in best}
    whole = {one.facts.segmentation_id: one for one in records.each(sorted(ids), load="all")}
    found = [(whole.get(others[answer[n]].facts.segmentation_id), int(number[n]), float(cosines[n])) for n in best]
    return [_segment_json(live, one, place, cosine, kept) for one, place, cosine in found if one is not None]


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


def _unpacks(answered: Answered) -> bool:
    """Whether the prototypes of an answer can be read. If not, that is logged: it does not stop other explanations."""
    try:
        answered.prototypes  # noqa: B018  # unpacked when it is read
    except DamageError as error:
        _log.error("an answer is left out: %s", error)
        return False
    return True


def _segment_json(live: LiveRelease, answered: Answered, n: int, cosine: float, kept: set[str]) -> dict[str, Any]:
    label, facts, segment_id = answered.labels[n], answered.facts, answered.segment_id(n)
    return {
        "segment_id": segment_id,
        "class_name": ReleaseView.at_revision(live, facts.index_revision).name(label.class_id),
        "known": label.known,
        "confidence": label.confidence if label.known else None,
        "similarity": min(cosine, 1.0),
        "image_url": image_url(facts.segmentation_id) if facts.image_id in kept else None,
        "crop_url": segment_crop_url(segment_id),
    }
