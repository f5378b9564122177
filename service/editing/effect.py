"""The effect of an edit: which segments of recent answers would be called something else, and by it."""

from collections import defaultdict
from collections.abc import Set
from typing import Any

import numpy as np

from model_store.live import LiveExemplars
from service.answering.answers import image_url
from service.answering.release_view import ReleaseView
from service.records.database import Answered, Records
from service.records.live_release import LiveRelease


def effect_of(records: Records, live: LiveRelease, revision: int, recent: int) -> dict[str, Any]:
    """Segments of the last answers whose label under the present state is not the recorded one, through one edit.

    Through it: an exemplar that the edit touches votes on the segment now, or voted then. What other edits changed
    since is part of the present state.

    Args:
        records: where answers are.
        live: the release that the edit was made on.
        revision: the edit's.
        recent: how many answers are looked at.
    """
    view, touched = ReleaseView.current(live), live.log.touched_by(revision)
    answers = records.newest(recent, release=live.name)
    kept = records.images.which({a.facts.image_id for a in answers if a.facts.image_id is not None})
    by_k: dict[int, list[Answered]] = defaultdict(list)
    for answered in answers:
        by_k[answered.facts.k].append(answered)
    changed: dict[str, list[dict[str, Any]]] = {}
    for k, group in by_k.items():
        classes, rows = _labels_now(view.state, np.concatenate([answered.prototypes for answered in group]), k)
        start = 0
        for answered in group:
            stop = start + len(answered.segments)
            told = _changed(view, answered, classes[start:stop], rows[start:stop], touched, kept)
            changed[answered.facts.segmentation_id] = told
            start = stop
    segments = [one for answered in answers for one in changed[answered.facts.segmentation_id]]
    return {"segments": segments, "answers": len(answers)}


def _labels_now(state: LiveExemplars, prototypes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """[S, D] float32 -> [S] classes and [S, k'] rows of the voters."""
    cosines, rows = state.search(prototypes, k)
    return state.vote(cosines, rows).class_ids, rows


def _changed(
    view: ReleaseView, answered: Answered, classes: np.ndarray, rows: np.ndarray, touched: Set[str], kept: set[str]
) -> list[dict[str, Any]]:
    facts, told = answered.facts, []
    then = ReleaseView.at_revision(view.live, facts.index_revision)
    for n, segment in enumerate(answered.segments):
        if segment["class_id"] == classes[n] or not _through(view, answered, n, rows[n], touched):
            continue
        told.append(
            {
                "segment_id": answered.segment_id(n),
                "before": then.name(segment["class_id"]),
                "after": view.name(int(classes[n])),
                "image_id": facts.image_id,
                "image_url": image_url(facts.segmentation_id) if facts.image_id in kept else None,
                "crop_url": f"/segments/{answered.segment_id(n)}/crop",
            }
        )
    return told


def _through(view: ReleaseView, answered: Answered, n: int, voters: np.ndarray, touched: Set[str]) -> bool:
    voted = (answered.exemplar_ids[place] for place in answered.neighbours[n, : answered.facts.k])
    return not touched.isdisjoint(view.state.ids(voters)) or not touched.isdisjoint(voted)
