"""The effect of an edit: the segments of recent answers whose label it changed."""

from collections import defaultdict
from collections.abc import Sequence, Set
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from model_store.live import LiveExemplars
from model_store.predictor import known_segments
from segsort.retrieval import NO_CLASS
from service.answering.links import image_url, segment_crop_url
from service.answering.release_view import ReleaseView
from service.records.database import Answered, Records
from service.records.live_release import LiveRelease

_AT_ONCE = 32  # answers in memory


def effect_of(
    records: Records, live: LiveRelease, revision: int, recent: int, owner: str | None = None
) -> dict[str, Any]:
    """Find the segments of recent answers whose label differs now, and on which an exemplar of the edit votes.

    The exemplar votes on the segment now, or voted when it was answered. Later edits count too: the present state is
    compared with the recorded label.

    Args:
        records: the recorded answers.
        live: the release that the edit was made on.
        revision: of the edit.
        recent: number of newest answers to compare.
        owner: only answers of this key; None: of all.

    Returns:
        JSON with `segments`, one object each, and `answers`, the number of answers that were compared.
    """
    view, touched = ReleaseView.current(live), live.log.touched_by(revision)
    listed = records.newest(recent, release=live, load="facts", owner=owner)
    kept = records.images.which({a.facts.image_id for a in listed if a.facts.image_id is not None})
    answers = records.each([one.facts.segmentation_id for one in listed])
    segments: list[dict[str, Any]] = []
    while part := list(islice(answers, _AT_ONCE)):
        segments += _changed_in(view, part, touched, kept)
    return {"segments": segments, "answers": len(listed)}


def _changed_in(
    view: ReleaseView, answers: Sequence[Answered], touched: Set[str], kept: set[str]
) -> list[dict[str, Any]]:
    """The segments of some answers whose label differs now; one search for equal voters."""
    groups: dict[tuple[int, str | None], list[Answered]] = defaultdict(list)
    for answered in answers:
        groups[answered.facts.k, view.state.for_image(answered.facts.image_id).image_id].append(answered)
    changed: dict[str, list[dict[str, Any]]] = {}
    for (k, image_id), group in groups.items():
        state = view.state.for_image(image_id)
        now = labels_now(state, np.concatenate([answered.prototypes for answered in group]), k)
        start = 0
        for answered in group:
            part = slice(start, start + len(answered.segments))
            found = _changed(view, answered, Labels(*(column[part] for column in now)), touched, kept)
            changed[answered.facts.segmentation_id] = found
            start = part.stop
    return [one for answered in answers for one in changed[answered.facts.segmentation_id]]


class Labels(NamedTuple):
    """cosines: [S, k'] to the voters, best first; rows: [S, k'] of the voters; class_ids: [S], or `NO_CLASS`."""

    cosines: np.ndarray
    rows: np.ndarray
    class_ids: np.ndarray

    def known(self, state: LiveExemplars, answered: Answered) -> list[bool]:
        """Whether each label is familiar enough; these are the labels of one answer."""
        if not self.cosines.shape[1]:
            return [False] * len(self.cosines)
        areas = np.array([segment["area"] for segment in answered.segments])
        taught, calibration = state.taught(self.rows[:, 0]), state.release.card.calibration
        known: list[bool] = known_segments(calibration, self.cosines[:, 0], areas, taught)[0].tolist()
        return known


def labels_now(state: LiveExemplars, prototypes: np.ndarray, k: int) -> Labels:
    """Label prototypes [S, D] float32 by the exemplars that vote in a state."""
    cosines, rows = state.search(prototypes, k)
    return Labels(cosines, rows, state.vote(cosines, rows).class_ids)


def _changed(
    view: ReleaseView, answered: Answered, now: Labels, touched: Set[str], kept: set[str]
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
    then = answered.neighbours(view.state)
    voted = (then.exemplar_ids[place] for place in then.places[n, : answered.facts.k])
    return not touched.isdisjoint(view.state.ids(voters)) or not touched.isdisjoint(voted)
