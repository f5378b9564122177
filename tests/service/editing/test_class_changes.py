"""Relabelling of exemplars, and the preview of edits of exemplars."""

import numpy as np
import pytest
from sqlalchemy import select

from model_store.auditing import Material
from segsort.masks import decode_rle
from service.editing.class_changes import ClassChange
from service.editing.class_names import ClassRef
from service.editing.exemplar_preview import preview_of
from service.explaining.exemplar_detail import exemplar_file
from service.problems import Problem
from service.records.image_store import ImageFile
from service.records.tables import ExemplarRow
from tests.service.editing.conftest import ANNA, Editing

IMAGE = ImageFile.of(b"GIF89a of nothing", (1, 8))


def alive(editing: Editing) -> set[str]:
    state = editing.live.state
    return set(state.ids(state.alive_rows()))


def of_class(editing: Editing, name: str, count: int) -> list[str]:
    state = editing.live.state
    class_id = next(info.class_id for info in state.classes if info.name == name)
    return state.ids(state.rows_of_class(class_id)[:count])


def changes(names: list[str], to: str) -> list[ClassChange]:
    return [ClassChange(name, ClassRef(to)) for name in names]


def test_exemplars_of_the_release_get_another_class_with_the_same_pixels_and_image(editing: Editing) -> None:
    old = of_class(editing, "brick", 2)
    before = alive(editing)
    added = editing.curation.relabel(ANNA, changes(old, "grass"))
    state = editing.live.state
    assert added.edit is not None
    assert added.edit.payload["summary"] == "relabelled 2 exemplars of brick to grass"
    new = [one.exemplar_id for one in added.exemplars]
    assert alive(editing) == before - set(old) | set(new)
    for was, now in zip(old, new, strict=True):
        rows = np.array([state.row(was), state.row(now)])
        assert [state.classes[c].name for c in state.class_ids(rows)] == ["brick", "grass"]
        np.testing.assert_array_equal(*state.prototypes(rows))
        images = [exemplar_file(editing.live, row, editing.records.images) for row in rows.tolist()]
        assert images[0].content == images[1].content
        one = state.added(int(rows[1]))
        base = state.release.exemplars
        assert one is not None
        assert (one.mask, one.area) == (base.masks[rows[0]], base.areas[rows[0]])
        assert decode_rle(one.mask, (one.height, one.width)).sum() == one.area
        assert one.source == state.release.sources[base.image_ids[rows[0]]].source


def test_an_edit_is_reverted_as_a_whole_and_can_be_repeated(editing: Editing) -> None:
    before, old = alive(editing), of_class(editing, "brick", 3)
    editing.curation.relabel(ANNA, changes(old, "lava"))
    after = alive(editing)
    assert editing.live.state.classes[-1].name == "lava"
    editing.curation.revert(ANNA, 1)
    assert alive(editing) == before
    editing.curation.revert(ANNA, 2)
    assert alive(editing) == after


def test_relabelling_back_revives_the_exemplar_of_the_release(editing: Editing) -> None:
    before, old = alive(editing), of_class(editing, "brick", 1)
    new = editing.curation.relabel(ANNA, changes(old, "grass")).exemplars[0].exemplar_id
    back = editing.curation.relabel(ANNA, changes([new], "brick")).exemplars[0].exemplar_id
    assert back == old[0]
    assert alive(editing) == before
    with editing.records.engine.connect() as connection:
        assert connection.execute(select(ExemplarRow.exemplar_id)).scalars().all() == [new]


def test_an_added_exemplar_is_relabelled_and_a_correction_gets_the_strength_that_its_new_class_needs(
    editing: Editing,
) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    first = editing.curation.label(ANNA, record, ClassRef("lava")).exemplars[0]
    assert first.strength > 1
    truth = editing.live.state.classes[int(record.class_id or 0)].name
    wrong = editing.curation.relabel(ANNA, changes([first.exemplar_id], "tar")).exemplars[0]
    assert wrong.strength > 1
    assert (wrong.image_id, wrong.mask, wrong.source) == (first.image_id, first.mask, first.source)
    right = editing.curation.relabel(ANNA, changes([wrong.exemplar_id], truth)).exemplars[0]
    assert right.strength == 1  # its neighbours have this class already


def test_an_exemplar_with_its_class_already_is_left_out(editing: Editing) -> None:
    old = of_class(editing, "brick", 2)
    assert editing.curation.relabel(ANNA, changes(old, "brick")).edit is None
    both = [*changes(old[:1], "brick"), *changes(old[1:], "water")]
    added = editing.curation.relabel(ANNA, both)
    assert added.edit is not None
    assert added.edit.payload["replaces"] == old[1:]


def test_several_target_classes_are_named_in_the_summary(editing: Editing) -> None:
    bricks, waters = of_class(editing, "brick", 2), of_class(editing, "water", 1)
    added = editing.curation.relabel(ANNA, [*changes(bricks, "grass"), *changes(waters, "brick")])
    assert added.edit is not None
    assert added.edit.payload["summary"] == "relabelled 3 exemplars: 2 of brick to grass, 1 of water to brick"


def test_what_cannot_be_relabelled_is_refused_and_nothing_is_written(editing: Editing) -> None:
    old = of_class(editing, "brick", 2)
    editing.curation.remove(ANNA, old[:1])
    for wrong, status in (
        (changes(["0" * 16], "grass"), 404),
        (changes(old, "grass"), 409),
        ([ClassChange(old[1], ClassRef(class_id=77))], 404),
        ([*changes(old[1:], "grass"), *changes(old[1:], "water")], 422),
    ):
        with pytest.raises(Problem) as caught:
            editing.curation.relabel(ANNA, wrong)
        assert caught.value.status == status
    assert editing.live.state.revision == 1


def test_a_preview_lists_the_segments_that_the_edit_then_changes(editing: Editing) -> None:
    editing.answer("a", [0, 5, 11], IMAGE)
    editing.answer("b", [1, 2], ImageFile.of(b"GIF89a of less", (1, 8)))
    state = editing.live.state
    class_id = int(state.class_ids(np.array([0]))[0])
    own = state.ids(state.rows_of_class(class_id))
    removed, moved = own[:-1], changes(own[-1:], "lava")
    found = preview_of(editing.records, editing.live, removed, moved, 9)
    assert editing.live.state is state
    assert (found["answers"], found["compared"]) == (2, 5)
    editing.curation.remove(ANNA, removed)
    editing.curation.relabel(ANNA, moved)
    after = editing.live.state
    expected = []
    for answered in editing.records.newest(9):
        for n, prototype in enumerate(answered.prototypes):
            labels = []
            for one in (state, after):
                cosines, rows = one.search(prototype[None], answered.facts.k)
                labels.append(one.classes[int(one.vote(cosines, rows).class_ids[0])].name)
            if labels[0] != labels[1]:
                expected.append((answered.segment_id(n), *labels))
    assert expected
    assert [(one["segment_id"], one["before"], one["after"]) for one in found["changed"]] == expected


def test_a_preview_of_removing_everything_shows_segments_without_a_class(editing: Editing) -> None:
    editing.answer("a", [0, 5], IMAGE)
    found = preview_of(editing.records, editing.live, sorted(alive(editing)), [], 9)
    assert [one["after"] for one in found["changed"]] == [None, None]
    assert [one["known"] for one in found["changed"]] == [False, False]


def test_a_preview_compares_the_newest_answer_of_each_image_of_one_owner(editing: Editing) -> None:
    editing.answer("a", [0], IMAGE)
    editing.answer("b", [0], IMAGE)
    assert preview_of(editing.records, editing.live, [], [], 9)["answers"] == 1
    assert preview_of(editing.records, editing.live, [], [], 9, owner="bob")["answers"] == 0


def test_an_exemplar_of_one_image_stays_one_and_is_not_audited(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    first = editing.curation.label(ANNA, record, ClassRef("lava"), "image").exemplars[0]
    added = editing.curation.relabel(ANNA, changes([first.exemplar_id], "tar"))
    assert added.edit is not None
    assert (added.exemplars[0].scope, added.edit.scope) == ("image", "image")
    assert added.exemplars[0].strength > 1  # it wins the vote in its image
    material = Material.of(editing.live.state)
    assert not set(editing.live.state.ids(material.rows)) & {first.exemplar_id, added.exemplars[0].exemplar_id}
