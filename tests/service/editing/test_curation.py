"""Edits, and why edits are refused, without HTTP."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from service.editing.class_names import ClassRef
from service.editing.curation import counted
from service.editing.pieces import Piece, Source
from service.editing.strength import SHARE
from service.problems import Problem
from service.records.edit_log import ClassState
from service.records.image_store import ImageFile
from tests.service.editing.conftest import ANNA, Editing

IMAGE = ImageFile.of(b"GIF89a of nothing", (1, 8))
SOURCE = Source(IMAGE, "a source")


def piece(editing: Editing, name: str, n: int = 0) -> Piece:
    prototype = np.eye(editing.live.state.prototypes(np.array([0])).shape[1], dtype=np.float32)[n]
    return Piece(prototype, ClassRef(name), (n, 0, 1, 1), 1, f"mask {n}")


@contextmanager
def refused(status: int, words: str) -> Iterator[pytest.ExceptionInfo[Problem]]:
    with pytest.raises(Problem, match=words) as raised:
        yield raised
    assert raised.value.status == status


def test_added_exemplars_and_their_image_are_stored(editing: Editing) -> None:
    pieces = [piece(editing, "fog", 0), piece(editing, "fog", 1), piece(editing, "brick", 2)]
    added = editing.curation.add(ANNA, SOURCE, pieces)
    assert added.edit is not None
    assert added.edit.payload["summary"] == "added 3 exemplars: 2 of fog, 1 of brick"
    assert [info["name"] for info in added.edit.payload["classes"]] == ["fog"]
    assert all(editing.live.log.is_alive(e.exemplar_id) for e in added.exemplars)
    assert editing.records.images.get(IMAGE.image_id) == IMAGE
    again = editing.curation.add(ANNA, SOURCE, pieces)
    assert again.edit is None
    assert again.already == {e.exemplar_id for e in added.exemplars}


def test_a_removed_exemplar_comes_back_when_it_is_added_again(editing: Editing) -> None:
    new = editing.curation.add(ANNA, SOURCE, [piece(editing, "fog")]).exemplars[0].exemplar_id
    editing.curation.remove(ANNA, [new])
    assert not editing.live.log.is_alive(new)
    editing.curation.add(ANNA, SOURCE, [piece(editing, "fog")])
    assert editing.live.log.is_alive(new)


def test_removing_counts_what_was_removed_before_and_may_remove_every_exemplar(editing: Editing) -> None:
    ids = editing.live.release.exemplars.ids
    editing.curation.remove(ANNA, ids[:1])
    edit, before = editing.curation.remove(ANNA, [ids[0], ids[1], ids[1]])
    assert (edit.payload["exemplar_ids"], before) == ([ids[1]], 1)
    with refused(409, "already removed"):
        editing.curation.remove(ANNA, ids[:2])
    with refused(404, "no such exemplar"):
        editing.curation.remove(ANNA, [ids[2], "0" * 16])
    assert editing.live.state.count == len(ids) - 2
    assert editing.curation.remove(ANNA, ids)[1] == 2
    assert editing.live.state.count == 0
    editing.curation.revert(ANNA, 3)
    assert editing.live.state.count == len(ids) - 2


def test_a_correction_wins_and_replaces_the_one_before(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    other = (record.class_id + 1) % 3
    first = editing.curation.label(ANNA, record, ClassRef(class_id=other))
    state = editing.live.state
    cosines, rows = state.search(record.prototype[None], record.segmentation.k)
    assert state.vote(cosines, rows).shares[0, other] >= SHARE
    assert editing.curation.label(ANNA, record, ClassRef(class_id=other)).edit is None
    second = editing.curation.label(ANNA, record, ClassRef("lava"))
    assert second.edit is not None
    assert second.edit.payload["replaces"] == [first.exemplars[0].exemplar_id]
    assert not editing.live.log.is_alive(first.exemplars[0].exemplar_id)


def test_a_correction_needs_the_image_of_the_segment(editing: Editing) -> None:
    record = editing.answer("a", [0])[0]
    with refused(409, "no longer kept"):
        editing.curation.label(ANNA, record, ClassRef("lava"))
    assert editing.live.state.revision == 0


def test_classes_are_created_renamed_and_recoloured(editing: Editing) -> None:
    made = editing.curation.make_class(ANNA, "fog", "#010203")
    assert (made.payload["class_id"], made.payload["before"]) == (3, None)
    with refused(409, re.escape("A class named 'fog' already exists")) as problem:
        editing.curation.make_class(ANNA, "FOG", None)
    assert "Use the class 'fog', whose class_id is 3" in str(problem.value.fix)
    with refused(409, "already exists"):
        editing.curation.change_class(ANNA, 0, "Fog", None)
    changed = editing.curation.change_class(ANNA, 3, "mist", "#040506")
    assert changed is not None
    assert changed.payload["summary"] == "renamed class fog to mist and recoloured class mist"
    assert editing.curation.change_class(ANNA, 3, "mist", "#040506") is None
    assert editing.curation.change_class(ANNA, 3, "MIST", None) is not None  # a class may change its own case


def test_classes_of_a_release_that_differ_by_case_only_can_be_recoloured_and_edits_reverted(editing: Editing) -> None:
    states = editing.live.log._class_states
    states[1] = [(0, ClassState(states[1][0][1].info.model_copy(update={"name": "BRICK"}), False))]
    assert editing.curation.change_class(ANNA, 1, "BRICK", "#010203") is not None
    with refused(409, "already exists"):
        editing.curation.change_class(ANNA, 1, "Brick", None)
    editing.curation.revert(ANNA, 1)
    assert [state.info.name for state in editing.live.log.class_states()][:2] == ["brick", "BRICK"]


def test_an_edit_is_reverted_once_and_restored_by_reverting_the_revert(editing: Editing) -> None:
    name = editing.live.release.exemplars.ids[0]
    editing.curation.remove(ANNA, [name])
    for revision, alive, word in ((1, True, "reverted"), (2, False, "restored"), (3, True, "reverted")):
        edit = editing.curation.revert(ANNA, revision)
        assert editing.live.log.is_alive(name) is alive, revision
        assert edit.payload["summary"].startswith(f"{word} edit 1: removed an exemplar of ")
    with refused(409, "Edit 1 is already reverted by edit 2"):
        editing.curation.revert(ANNA, 1)
    with refused(404, "no edit with this revision"):
        editing.curation.revert(ANNA, 9)


def test_a_revert_that_would_contradict_later_edits_is_refused(editing: Editing) -> None:
    editing.curation.make_class(ANNA, "fog", None)
    editing.curation.add(ANNA, SOURCE, [piece(editing, "fog")])
    with refused(409, "Edit 1 cannot be reverted: class 'fog' would be removed, but 1 of its exemplars stay"):
        editing.curation.revert(ANNA, 1)
    editing.curation.change_class(ANNA, 0, "wall", None)
    editing.curation.make_class(ANNA, "brick", None)
    with refused(409, "two classes would be named 'brick'"):
        editing.curation.revert(ANNA, 3)


def test_a_revert_may_leave_no_exemplar(editing: Editing) -> None:
    editing.curation.add(ANNA, SOURCE, [piece(editing, "brick")])
    editing.curation.remove(ANNA, editing.live.release.exemplars.ids)
    editing.curation.revert(ANNA, 1)
    assert editing.live.state.count == 0
    editing.curation.revert(ANNA, 2)
    assert editing.live.state.count == len(editing.live.release.exemplars)


def test_exemplars_are_counted_in_words() -> None:
    assert counted(["road"]) == "an exemplar of road"
    assert counted(["road", "road"]) == "2 exemplars of road"
    assert counted(["sky", "road", "road"]) == "3 exemplars: 2 of road, 1 of sky"
