"""Which labelled images are held out of a build, to measure it on images that it has not seen."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

_LEAST_IMAGES = 2  # of which one can be held out
_MOST = 2.0  # times the wanted number of images that whole groups may hold out, if a group is that small
_NUMBER = re.compile(r"[-_ .]*\d+[a-z]?$", re.IGNORECASE)  # the number of a frame, at the end of a name


class HeldOut(NamedTuple):
    """Images that are held out.

    positions: in the data, in increasing order; rule: how they were chosen, in words; groups: names of the groups that
    are held out as a whole, none if single images are.
    """

    positions: list[int]
    rule: str
    groups: list[str]


def hold_out(names: Sequence[str], present: Sequence[frozenset[int]], share: float) -> HeldOut:
    """Choose images to hold out.

    Images whose names differ in a number at the end alone are a group: they may be frames of one drive, which look
    alike, so a group is never on both sides. Groups are held out until about the share of the images is. A group stays
    if a class would be in no other image. Where names show fewer than two groups, every n-th image is held out.

    Args:
        names: of the image files, with their folders.
        present: the classes in each image.
        share: of the images to hold out, 0 to 1.

    Raises:
        ValueError: if the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share} of the images is to be held out; give a number between 0 and 1")
    wanted = max(1, round(share * len(names)))
    if len(names) < _LEAST_IMAGES:
        return HeldOut([], "there are too few images to hold one out", [])
    found = _whole_groups(names, present, wanted)
    return found if found is not None else _single_images(names, present, wanted)


def group_of(name: str) -> str:
    """The group of an image file: its name without the number at the end, and its folder."""
    path = PurePath(name)
    return str(path.with_name(_NUMBER.sub("", path.stem) or "_"))


def _whole_groups(names: Sequence[str], present: Sequence[frozenset[int]], wanted: int) -> HeldOut | None:
    """Hold out whole groups; None if names show no groups, or no group can be held out."""
    groups: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        groups.setdefault(group_of(name), []).append(position)
    if len(groups) < 2 or len(groups) == len(names):
        return None
    held: dict[str, list[int]] = {}
    smallest = min(map(len, groups.values()))
    most = min(max(_MOST * wanted, smallest), len(names) / 2)
    for group in sorted(groups, key=_shuffled):
        count = sum(map(len, held.values()))
        fits = count + len(groups[group]) <= most
        if count < wanted and fits and _leaves_every_class({**held, group: groups[group]}, present):
            held[group] = groups[group]
    if not held:
        return None
    rule = (
        f"{len(held)} of {len(groups)} groups of images whose names differ in a number alone, which may be frames of "
        "one recording: none is on both sides"
    )
    return HeldOut(sorted(i for group in held.values() for i in group), rule, sorted(held))


def _single_images(names: Sequence[str], present: Sequence[frozenset[int]], wanted: int) -> HeldOut:
    """Hold out images at equal distances in the order of their names, unless a class would be in no other image."""
    order = sorted(range(len(names)), key=lambda i: names[i])
    step = len(order) / wanted
    held: list[int] = []
    for number in range(wanted):
        i = order[int((number + 0.5) * step)]
        if _leaves_every_class({"": [*held, i]}, present):
            held.append(i)
    if not held:
        return HeldOut([], "each image is the only one of a class, so none is held out", [])
    rule = (
        f"{len(held)} of {len(names)} images at equal distances, because their names show no groups; frames of one "
        "recording would make the score too kind"
    )
    return HeldOut(sorted(held), rule, [])


def _leaves_every_class(held: dict[str, list[int]], present: Sequence[frozenset[int]]) -> bool:
    """Whether every class is in an image that is not held out."""
    out = {i for group in held.values() for i in group}
    left: set[int] = set()
    everything: set[int] = set()
    for i, classes in enumerate(present):
        everything |= classes
        if i not in out:
            left |= classes
    return left == everything


def _shuffled(group: str) -> bytes:
    """A fixed order of groups that does not follow their names."""
    return hashlib.sha256(group.encode(errors="replace")).digest()
