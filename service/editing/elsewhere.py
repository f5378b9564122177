"""Elsewhere: the segments of other recent images whose label an edit would change."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import select

from segsort.retrieval import NO_CLASS
from service.answering.links import image_url
from service.answering.release_view import ReleaseView
from service.editing.planning import Planned, after
from service.records.database import Answered, Records
from service.records.giver import gave, given_by
from service.records.live_release import LiveRelease
from service.records.tables import SegmentationRow

SEARCHED = 500  # newest answers among which distinct images are looked for


def changed_elsewhere(
    records: Records,
    view: ReleaseView,
    planned: Planned,
    image_id: str | None,
    images: int,
    owner: str | None = None,
) -> list[dict[str, Any]]:
    """Compare the labels of segments of recent images before and after an edit that is planned.

    Args:
        records: the recorded answers.
        view: the present exemplars and classes; not the view for one image.
        planned: the edit.
        image_id: the image that is marked, which is left out.
        images: largest number of images, the newest.
        owner: only answers of this key; None: of all.

    Returns:
        JSON, one object for each image, the newest first: its newest answer, and the segments that would change.
    """
    answers = _newest_of_each_image(records, view.live, image_id, images, owner)
    kept = records.images.which({answered.facts.image_id or "" for answered in answers})
    changed_view = after(view, planned)
    labels = zip(answers, *(_labels(one, answers) for one in (view, changed_view)), strict=True)
    found = []
    for answered, before, then in labels:
        facts = answered.facts
        found.append(
            {
                "segmentation_id": facts.segmentation_id,
                "image_url": image_url(facts.segmentation_id) if facts.image_id in kept else None,
                "width": facts.width,
                "height": facts.height,
                "segments": len(answered.areas),
                "changed": [
                    {
                        "segment_id": answered.segment_id(n),
                        "before": view.name(before[n]),
                        "after": changed_view.name(then[n]),
                        "area": int(answered.areas[n]),
                    }
                    for n in range(len(answered.areas))
                    if before[n] != then[n]
                ],
            }
        )
    return found


def _labels(view: ReleaseView, answers: Sequence[Answered]) -> list[list[int | None]]:
    """The class of each segment of answers by the vote of a view's exemplars; one search for equal voters."""
    groups: dict[tuple[int, str | None], list[int]] = defaultdict(list)
    for place, answered in enumerate(answers):
        groups[answered.facts.k, view.state.for_image(answered.facts.image_id).image_id].append(place)
    found: list[list[int | None]] = [[] for _ in answers]
    for (k, image_id), places in groups.items():
        state = view.state.for_image(image_id)
        cosines, rows = state.search(np.concatenate([answers[place].prototypes for place in places]), k)
        class_ids = iter(state.vote(cosines, rows).class_ids.tolist())
        for place in places:
            found[place] = [None if c == NO_CLASS else c for c in islice(class_ids, len(answers[place].segments))]
    return found


def _newest_of_each_image(
    records: Records, live: LiveRelease, without: str | None, images: int, owner: str | None
) -> Sequence[Answered]:
    """The newest answer of each of the newest images, the newest first."""
    columns = (SegmentationRow.segmentation_id, SegmentationRow.image_id)
    query = select(*columns).where(given_by(live), SegmentationRow.image_id.is_not(None))
    if owner is not None:
        query = query.where(SegmentationRow.author == owner)
    query = query.order_by(SegmentationRow.sequence.desc()).limit(SEARCHED)
    newest: dict[str, str] = {}
    if images:
        with records.engine.connect() as connection:
            for segmentation_id, image_id in connection.execute(query):
                if image_id is not None and image_id != without:
                    newest.setdefault(image_id, segmentation_id)
                if len(newest) == images:
                    break
    found = (records.answer(segmentation_id) for segmentation_id in newest.values())
    return [answered for answered in found if answered is not None and gave(live, answered)]
