"""Exemplars that had carried the wrong label of corrected segments."""

import numpy as np

from service.auditing.wrong_votes import WrongVotes, wrong_votes
from service.editing.class_names import ClassRef
from service.records.database import Record
from service.records.image_store import ImageFile
from tests.service.editing.conftest import ANNA, Editing
from tests.service.editing.test_class_changes import IMAGE


def found(editing: Editing) -> dict[str, WrongVotes]:
    state = editing.live.state
    return {state.ids([one.row])[0]: one for one in wrong_votes(editing.records, editing.live)}


def carriers(editing: Editing, record: Record) -> set[str]:
    """The exemplars that had voted for the label of a segment with at least 2 % of the weight, by hand."""
    state, k = editing.live.state, record.segmentation.k
    names, similarities = record.neighbours(state)
    rows = [state.row(name) for name in names[:k]]
    weights = [
        float(state.strengths(np.array([row]))[0]) * np.exp(record.segmentation.kappa * float(cosine))
        for row, cosine in zip(rows, similarities, strict=False)
    ]
    return {
        name
        for name, row, weight in zip(names, rows, weights, strict=False)
        if state.class_ids(np.array([row]))[0] == record.class_id and weight / sum(weights) >= 0.02
    }


def test_the_exemplars_that_voted_for_corrected_labels_are_counted(editing: Editing) -> None:
    first = editing.answer("a", [0, 5], IMAGE)
    second = editing.answer("b", [0], ImageFile.of(b"GIF89a of less", (1, 8)))
    expected = [carriers(editing, one) for one in (first[0], second[0])]
    editing.curation.label(ANNA, first[0], ClassRef("lava"))
    editing.curation.label(ANNA, second[0], ClassRef("tar"))
    votes = found(editing)
    assert set(votes) == expected[0] | expected[1]
    assert expected[0] & expected[1]
    for name, one in votes.items():
        names = [corrected.segment_id for corrected in one.corrected]
        assert names == ["b-0"] * (name in expected[1]) + ["a-0"] * (name in expected[0])
    both = votes[next(iter(expected[0] & expected[1]))]
    assert [one.after for one in both.corrected] == ["tar", "lava"]
    listed = [len(one.corrected) for one in wrong_votes(editing.records, editing.live)]
    assert listed == sorted(listed, reverse=True)


def test_reverted_corrections_and_removed_exemplars_do_not_count(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.curation.label(ANNA, record, ClassRef("lava"))
    names = sorted(found(editing))
    editing.curation.remove(ANNA, names[:1])
    assert sorted(found(editing)) == names[1:]
    editing.curation.revert(ANNA, 1)
    assert found(editing) == {}


def test_of_a_segment_that_was_corrected_twice_the_newest_correction_counts(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.curation.label(ANNA, record, ClassRef("lava"))
    editing.curation.label(ANNA, record, ClassRef("tar"))
    assert {tuple(one.after for one in votes.corrected) for votes in found(editing).values()} == {("tar",)}
