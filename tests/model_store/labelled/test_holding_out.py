"""Holding images out: groups stay whole, every class stays in the rest, and about the wanted share is held out."""

import re

import pytest

from model_store.labelled import group_of, hold_out

ALL = frozenset({0, 1})


def named(*groups: tuple[str, int]) -> list[str]:
    return [f"images/{prefix}{number:03d}.png" for prefix, count in groups for number in range(count)]


def oracle(name: str) -> str:
    """The group of a name by its definition: without the number at the end of its stem."""
    return re.sub(r"[-_ .]*[0-9]+[a-z]?\.png$", "", name, flags=re.IGNORECASE)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a/0016E5_07959.png", "a/0016E5_07961.png", True),
        ("a/0016E5_07959.png", "a/0006R0_07959.png", False),
        ("a/frame-1.jpg", "b/frame-2.jpg", False),
        ("a/001.png", "a/002.png", True),
        ("a/seq 3.png", "a/seq.png", True),
        ("a/house.png", "a/tree.png", False),
    ],
)
def test_frames_of_one_drive_are_a_group(one: str, other: str, same: bool) -> None:
    assert (group_of(one) == group_of(other)) is same


@pytest.mark.parametrize(
    "groups",
    [
        [("0001TP_", 62), ("0006R0_", 101), ("0016E5_", 204), ("Seq05VD_", 171)],
        [(f"patient{letter}_", 5) for letter in "abcdefghij"],
        [("a_", 3), ("b_", 3)],
    ],
)
def test_no_group_is_on_both_sides(groups: list[tuple[str, int]]) -> None:
    names = named(*groups)
    held = hold_out(names, [ALL] * len(names), 0.2)
    assert 0 < len(held.positions) <= 0.5 * len(names)
    out = {oracle(names[i]) for i in held.positions}
    rest = {oracle(name) for i, name in enumerate(names) if i not in held.positions}
    assert out
    assert rest
    assert not out & rest
    assert len(held.groups) == len(out)
    assert f"{len(out)} of {len(groups)} groups" in held.rule


def test_without_groups_every_fifth_image_is_held_out() -> None:
    names = named(("", 40))
    held = hold_out(names, [ALL] * 40, 0.2)
    assert held.positions == [2, 7, 12, 17, 22, 27, 32, 37]
    assert held.groups == []
    assert "8 of 40 images" in held.rule
    differing = ["images/house.png", "images/tree.png", "images/yard.png", "images/well.png", "images/barn.png"]
    assert len(hold_out(differing, [ALL] * 5, 0.2).positions) == 1


def test_the_same_images_are_held_out_in_whatever_order_they_are_listed() -> None:
    names = named(("a", 4), ("b", 5), ("c", 6))
    one = {names[i] for i in hold_out(names, [ALL] * 15, 0.3).positions}
    turned = names[::-1]
    assert {turned[i] for i in hold_out(turned, [ALL] * 15, 0.3).positions} == one


def test_a_class_is_never_in_held_out_images_alone() -> None:
    names = named(("cat_", 5), ("dog_", 5))  # each group has a class of its own
    present = [frozenset({0, 1})] * 5 + [frozenset({0, 2})] * 5
    held = hold_out(names, present, 0.2)
    assert held.groups == []
    assert 0 < len(held.positions) <= 2
    left = frozenset[int]().union(*(one for i, one in enumerate(present) if i not in held.positions))
    assert left == {0, 1, 2}


def test_where_nothing_can_be_held_out_the_rule_says_why() -> None:
    assert hold_out([], [], 0.2).positions == []
    assert hold_out(["a.png"], [ALL], 0.2) == ([], "there are too few images to hold one out", [])
    lonely = hold_out(["a.png", "b.png"], [frozenset({0}), frozenset({1})], 0.2)
    assert (lonely.positions, lonely.rule) == ([], "each image is the only one of a class, so none is held out")
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="give a number between 0 and 1"):
            hold_out(["a.png", "b.png"], [ALL, ALL], share)
