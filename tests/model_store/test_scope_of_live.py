"""Exemplars for one image: they vote in the view for their image alone, and states share their columns safely."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_store.live import AddedExemplar, LiveExemplars, Scope
from model_store.release import Release

D = 32


def unit(seed: int) -> np.ndarray:
    row = np.random.default_rng(seed).normal(size=D).astype(np.float32)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def one(number: int, image_id: str, scope: Scope, class_id: int = 0) -> AddedExemplar:
    box = (0, 0, 3, 3)
    return AddedExemplar(f"n{number}", unit(number), class_id, 1.0, image_id, "here", 9, 9, box, 9, "0", scope)


@pytest.fixture
def state(tiny_release: Path) -> LiveExemplars:
    return LiveExemplars.of_release(Release.open(tiny_release))


def found(state: LiveExemplars, number: int) -> set[str]:
    """The ten exemplars nearest to exemplar `number`."""
    return set(state.ids(state.search(unit(number)[None], 10)[1][0]))


def test_an_exemplar_for_one_image_is_found_only_in_the_view_for_its_image(state: LiveExemplars) -> None:
    edited = state.edited(1, added=[one(1, "a", "image"), one(2, "a", "all"), one(3, "b", "image")])
    for number, views in ((1, "a"), (2, "ab-"), (3, "b")):
        for view in "ab-":
            seen = f"n{number}" in found(edited.for_image(None if view == "-" else view), number)
            assert seen == (view in views), (number, view)
    assert edited.for_image("c") is edited.for_image(None) is edited
    assert edited.for_image("a").for_image("b").image_id == "b"
    assert edited.for_image("a").for_image(None).image_id is None


def test_a_removed_exemplar_is_found_in_no_view_and_a_later_edit_keeps_the_scopes(state: LiveExemplars) -> None:
    first = state.edited(1, added=[one(1, "a", "image"), one(2, "a", "image")])
    second = first.edited(2, alive={"n1": False})
    third = second.edited(3, added=[one(4, "a", "all")]).edited(4)
    for edited in (second, third):
        assert "n1" not in found(edited.for_image("a"), 1)
        assert "n2" in found(edited.for_image("a"), 2)
        assert "n2" not in found(edited, 2)
    assert "n1" in found(first.for_image("a"), 1)


def test_counts_include_exemplars_for_one_image_and_tell_them_apart(state: LiveExemplars) -> None:
    before = state.counts_per_class.copy()
    edited = state.edited(1, added=[one(1, "a", "image", 2), one(2, "a", "image", 2), one(3, "b", "all", 2)])
    edited = edited.edited(2, alive={"n2": False})
    assert (edited.counts_per_class - before).tolist() == [0, 0, 2]
    assert edited.counts_of_one_image.tolist() == [0, 0, 1]
    assert edited.count == state.count + 2
    assert len(edited.alive_rows()) - len(edited.voting_rows()) == 1
    assert [edited.scope(edited.row(name)) for name in ("n1", "n3")] == ["image", "all"]
    assert edited.scope(0) == "all"


def test_states_that_branch_from_one_state_do_not_see_each_others_exemplars(state: LiveExemplars) -> None:
    base = state.edited(1, added=[one(1, "a", "image")])
    branches = [base.edited(2, added=[one(10 + n, "a", "image")]) for n in range(3)]
    for n, branch in enumerate(branches):
        assert [e.exemplar_id for e in branch.added_to_image("a")] == ["n1", f"n{10 + n}"]
        assert len(branch.rows_of_other_images("b")) == 2
    assert [e.exemplar_id for e in base.added_to_image("a")] == ["n1"]


def test_the_same_exemplar_with_another_scope_is_refused(state: LiveExemplars) -> None:
    edited = state.edited(1, added=[one(1, "a", "image")])
    with pytest.raises(ValueError, match="exists already"):
        edited.edited(2, added=[replace(one(1, "a", "image"), scope="all")])
