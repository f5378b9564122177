"""The effect of an edit on recent answers."""

from service.editing.class_names import ClassRef
from service.editing.effect import effect_of
from service.records.image_store import ImageFile
from tests.service.editing.conftest import ANNA, Editing

IMAGE = ImageFile.of(b"GIF89a of nothing", (1, 8))


def changed(editing: Editing, revision: int, recent: int = 9) -> list[tuple[str, str, str]]:
    found = effect_of(editing.records, editing.live, revision, recent)["segments"]
    return [(one["segment_id"], one["before"], one["after"]) for one in found]


def test_a_correction_changes_its_own_segment_and_equal_ones(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.answer("b", [0, len(editing.live.release.exemplars) - 1])
    editing.curation.label(ANNA, record, ClassRef("lava"))
    before = editing.live.state.classes[record.class_id].name
    found = changed(editing, 1)
    assert ("a-0", before, "lava") in found
    assert ("b-0", before, "lava") in found
    assert [one for one in found if one[0].startswith("b")] == found[: len(found) - 1]  # the newest answer first


def test_only_the_newest_answers_are_compared(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.answer("b", [0])
    editing.curation.label(ANNA, record, ClassRef("lava"))
    assert [one[0] for one in changed(editing, 1, recent=1)] == ["b-0"]
    assert effect_of(editing.records, editing.live, 1, 1)["answers"] == 1


def test_an_edit_whose_exemplars_do_not_vote_has_no_effect(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    voters = {*record.neighbours(editing.live.state)[0][: record.segmentation.k]}
    far = next(name for name in editing.live.release.exemplars.ids if name not in voters)
    editing.curation.label(ANNA, record, ClassRef("lava"))
    editing.curation.remove(ANNA, [far])
    assert changed(editing, 2) == []


def test_a_reverted_correction_has_no_effect_left(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.curation.label(ANNA, record, ClassRef("lava"))
    editing.curation.revert(ANNA, 1)
    assert changed(editing, 1) == changed(editing, 2) == []


def test_answers_after_the_edit_are_compared_with_the_present_state(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.curation.label(ANNA, record, ClassRef("lava"))
    editing.answer("b", [0])
    editing.curation.revert(ANNA, 1)
    before = editing.live.state.classes[record.class_id].name
    assert changed(editing, 2) == [("b-0", "lava", before)]


def test_urls_of_images_that_are_not_kept_are_left_out(editing: Editing) -> None:
    record = editing.answer("a", [0], IMAGE)[0]
    editing.answer("b", [0])
    editing.curation.label(ANNA, record, ClassRef("lava"))
    found = {one["segment_id"]: one for one in effect_of(editing.records, editing.live, 1, 9)["segments"]}
    assert found["a-0"]["image_url"] == "/segmentations/a/image"
    assert found["b-0"]["image_url"] is None
    assert found["b-0"]["crop_url"] == "/segments/b-0/crop"
