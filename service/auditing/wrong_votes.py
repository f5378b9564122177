"""Exemplars that caused corrections: they had voted for the label that a person corrected."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from service.answering.release_view import ReleaseView
from service.records.database import Answered, Record, Records
from service.records.edit_log import Edit
from service.records.live_release import LiveRelease

MOST_CORRECTIONS = 2000  # the newest ones that are looked through
_FEWEST_WEIGHT = 0.02  # share of the vote below which an exemplar did not cause a label


class CorrectedSegment(NamedTuple):
    """A segment whose label was corrected.

    revision: of the correction; before, after: names of its class in the answer and after the correction; owner: name
    of the key that asked for the answer; None without keys.
    """

    revision: int
    segment_id: str
    before: str
    after: str
    owner: str | None


class WrongVotes(NamedTuple):
    """An exemplar that voted for labels that were corrected later.

    row: in the live state; corrected: the newest first; weight: sum of its shares of those votes.
    """

    row: int
    corrected: list[CorrectedSegment]
    weight: float


def wrong_votes(records: Records, live: LiveRelease) -> list[WrongVotes]:
    """Find the alive exemplars that had carried the wrong label of corrected segments, those with the most first.

    Corrections that were reverted do not count, nor those whose answer is deleted. Of one segment that was corrected
    several times the newest correction counts.
    """
    found: dict[int, list[CorrectedSegment]] = defaultdict(list)
    weights: dict[int, float] = defaultdict(float)
    for edit, record, after in _corrections(records, live):
        before = str(ReleaseView.at_revision(live, record.segmentation.index_revision).name(record.class_id))
        one = CorrectedSegment(edit.revision, record.segment_id, before, after, record.segmentation.author)
        for row, weight in _voters(live, record):
            found[row].append(one)
            weights[row] += weight
    all_ = [WrongVotes(row, corrected, weights[row]) for row, corrected in found.items()]
    return sorted(all_, key=lambda one: (-len(one.corrected), -one.weight, one.row))


def _corrections(records: Records, live: LiveRelease) -> Iterator[tuple[Edit, Record, str]]:
    """The corrected segments with the names of their new classes, the newest correction first."""
    seen, left = set[str](), MOST_CORRECTIONS
    answers: dict[str, Answered | None] = {}
    for revision, edit in sorted(live.log.edits.items(), reverse=True):
        if live.log.reverted_by(revision) is not None:
            continue
        for segment_id, exemplar_id in edit.corrected.items():
            row, (segmentation_id, _, number) = live.state.row(exemplar_id), segment_id.rpartition("-")
            if segment_id in seen or row is None or left == 0:
                continue
            seen.add(segment_id)
            left -= 1
            if segmentation_id not in answers:
                answers = {segmentation_id: records.answer(segmentation_id)}  # one at a time, to bound the memory
            answered = answers[segmentation_id]
            class_id = int(live.state.class_ids(np.array([row]))[0])
            if answered is None or answered.labels[int(number)].class_id in (None, class_id):
                continue
            yield edit, answered.record(int(number)), live.state.classes[class_id].name


def _voters(live: LiveRelease, record: Record) -> Iterator[tuple[int, float]]:
    """Rows of the alive exemplars that voted for the recorded label of a segment, with their shares of the vote."""
    k = record.segmentation.k
    names, similarities = record.neighbours(live.state)
    rows = [live.state.row(name) for name in names[:k]]
    if not rows or None in rows:
        return
    places = np.array(rows, dtype=np.int64)
    weights = live.state.vote(similarities[None, : len(rows)], places[None], record.segmentation.kappa).weights[0]
    classes = live.state.class_ids(places)
    for row, class_id, weight in zip(places.tolist(), classes.tolist(), weights.tolist(), strict=True):
        if class_id == record.class_id and weight >= _FEWEST_WEIGHT and live.state.is_alive(row):
            yield row, weight
