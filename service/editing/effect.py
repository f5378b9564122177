"""The effect of an edit: the segments of recent answers whose label it changed."""

from collections import defaultdict
from collections.abc import Set
from typing import Any, NamedTuple

import numpy as np

from model_store.live import LiveExemplars
from model_store.predictor import known_segments
from segsort.retrieval import NO_CLASS
from service.answering.links import image_url, segment_crop_url
from service.answering.release_view import ReleaseView
from service.records.database import Answered, Records
from service.records.live_release import LiveRelease


def effect_of(records: Records, live: LiveRelease, revision: int, recent: int) -> dict[str, Any]:
    """Find the segments of recent answers whose label differs now, and on which an exemplar of the edit votes.

    The exemplar votes on the segment now, or voted when it was answered. Later edits count too: the present state is
    compared with the recorded label.

    Args:
        records: the recorded answers.
        live: the release that the edit was made on.
        revision: of the edit.
        recent: number of newest answers to compare.

    Returns:
        JSON with `segments`, one object each, and `answers`, the number of answers that were compared.
    """
    view, touched = ReleaseView.current(live), live.log.touched_by(revision)
    answers = records.newest(recent, release=live.name)
    kept = records.images.which({a.facts.image_id for a in answers if a.facts.image_id is not None})
    by_k: dict[int, list[Answered]] = defaultdict(list)
    for answered in answers:
        by_k[answered.facts.k].append(answered)
    changed: dict[str, list[dict[str, Any]]] = {}
    for k, group in by_k.items():
        now = _labels_now(view.state, np.concatenate([answered.prototypes for answered in group]), k)
        start = 0
        for answered in group:
            part = slice(start, start + len(answered.segments))
            found = _changed(view, answered, _Labels(*(column[part] for column in now)), touched, kept)
            changed[answered.facts.segmentation_id] = found
            start = part.stop
    segments = [one for answered in answers for one in changed[answered.facts.segmentation_id]]
    return {"segments": segments, "answers": len(answers)}


class _Labels(NamedTuple):
    """cosines: [S, k'] to the voters, best first; rows: [S, k'] of the voters; class_ids: [S], or `NO_CLASS`."""

    cosines: np.ndarray
    rows: np.ndarray
    class_ids: np.ndarray

    def known(self, state: LiveExemplars, answered: Answered) -> list[bool]:
        """Whether each label is familiar enough; these are the labels of one answer."""
        if not self.cosines.shape[1]:
            return [False] * len(self.cosines)
        areas = np.array([segment["area"] for segment in answered.segments])
        known: list[bool] = known_segments(state.release.card.calibration, self.cosines[:, 0], areas)[0].tolist()
        return known


def _labels_now(state: LiveExemplars, prototypes: np.ndarray, k: int) -> _Labels:
    """Label prototypes [S, D] float32 under the present state."""
    cosines, rows = state.search(prototypes, k)
    return _Labels(cosines, rows, state.vote(cosines, rows).class_ids)


def _changed(
    view: ReleaseView, answered: Answered, now: _Labels, touched: Set[str], kept: set[str]
) -> list[dict[str, Any]]:
    facts, changed = answered.facts, []
    then = ReleaseView.at_revision(view.live, facts.index_revision)
    after = [None if class_id == NO_CLASS else class_id for class_id in now.class_ids.tolist()]
    known = now.known(view.state, answered)
    for n, segment in enumerate(answered.segments):
        if segment["class_id"] == after[n] or not _voted_on(view, answered, n, now.rows[n], touched):
            continue
        changed.append(
            {
                "segment_id": answered.segment_id(n),
                "before": then.name(segment["class_id"]),
                "after": view.name(after[n]),
                "known": known[n],
                "image_id": facts.image_id,
                "image_url": image_url(facts.segmentation_id) if facts.image_id in kept else None,
                "crop_url": segment_crop_url(answered.segment_id(n)),
            }
        )
    return changed


def _voted_on(view: ReleaseView, answered: Answered, n: int, voters: np.ndarray, touched: Set[str]) -> bool:
    """Whether one of the touched exemplars votes on segment n now, or voted on it when it was answered."""
    voted = (answered.exemplar_ids[place] for place in answered.neighbours[n, : answered.facts.k])
    return not touched.isdisjoint(view.state.ids(voters)) or not touched.isdisjoint(voted)
