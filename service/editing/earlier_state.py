"""What edits of an earlier release come to: the exemplars that they leave, and the classes that they make or change."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from model_store.card import ClassInfo
from model_store.live import AddedExemplar
from model_store.release import Release
from service.records.edit_log import ClassState, Edit, EditLog

_OF_ONE_CLASS = re.compile(
    r"(?:corrected a segment to|(?:added|marked) (?:an?|\d+) (?:exemplars?|parts?) of) (.+?)(?:, for one image only)?"
)
_GREY = (136, 136, 136)


class EarlierState(NamedTuple):
    """The state after the edits of an earlier release.

    added: ids of all exemplars that its edits added; exemplars: those of them that are alive, by id; removed: source
    and mask of the exemplars of the release that they removed; unknown: number of further removed ones, of which
    nothing is known but the id; classes: by class_id, the name before the edits (None: the edits made it) and the
    present state, whose name is "" if it is not known.
    """

    added: frozenset[str]
    exemplars: dict[str, AddedExemplar]
    removed: list[tuple[str, str]]
    unknown: int
    classes: list[tuple[str | None, ClassState]]


def earlier_state(
    edits: Sequence[Edit], added: Mapping[str, AddedExemplar], release: Release | None, names: Sequence[str]
) -> EarlierState:
    """Replay the edits of an earlier release.

    Args:
        edits: in their order.
        added: the exemplars that they added, by id.
        release: a copy of the release; None: there is none, and the names of its classes are taken from the edits.
        names: of the present release's classes, by class_id. One is used where the summary of an edit agrees with it.
    """
    base = _base_classes(edits, added, names) if release is None else _classes_of(release)
    touched = {name for edit in edits for name in edit.sets_alive}
    released = {name: 0 for name in touched - added.keys()} if release is None else release.rows
    log = EditLog(base, released)
    for edit in edits:
        if edit.kind != "revert" or edit.payload["reverts"] in log.edits:
            log.append(edit)
    gone = [name for name in touched if name in released and not log.is_alive(name)]
    found = [] if release is None else [_place(release, name) for name in gone]
    classes = [(base[n].info.name if n < len(base) else None, state) for n, state in enumerate(log.class_states())]
    alive = {name: one for name, one in added.items() if name in log.added_in and log.is_alive(name)}
    return EarlierState(frozenset(added), alive, found, len(gone) - len(found), classes)


def _classes_of(release: Release) -> list[ClassState]:
    return [ClassState(info, info.class_id in release.card.retired) for info in release.card.classes]


def _place(release: Release, name: str) -> tuple[str, str]:
    row, exemplars = release.rows[name], release.exemplars
    return release.sources[int(exemplars.image_ids[row])].source, exemplars.masks[row]


def _base_classes(edits: Sequence[Edit], added: Mapping[str, AddedExemplar], names: Sequence[str]) -> list[ClassState]:
    """The classes that a release must have had, with the names that its edits tell; "": not told."""
    made = {info.class_id for edit in edits for info in edit.new_classes}
    used = {one.class_id for one in added.values()}
    used |= {info.class_id for edit in edits for info in edit.changed_classes}
    count = min(made) if made else max(used, default=-1) + 1
    told: dict[int, tuple[str, tuple[int, int, int]]] = {}
    for edit in edits:
        if edit.kind == "class" and edit.payload["before"] is not None:
            before = edit.payload["before"]
            told.setdefault(edit.payload["class_id"], (before["name"], tuple(before["color"])))
        elif edit.adds:
            for class_id, name in _told_by(edit, added, names).items():
                told.setdefault(class_id, (name, _GREY))
    infos = (
        ClassInfo(class_id=n, name=told.get(n, ("", _GREY))[0], color=told.get(n, ("", _GREY))[1]) for n in range(count)
    )
    return [ClassState(info, False) for info in infos]


def _told_by(edit: Edit, added: Mapping[str, AddedExemplar], names: Sequence[str]) -> dict[int, str]:
    """Names of classes by id, as the summary of an edit that adds exemplars tells them."""
    class_ids = {added[name].class_id for name in edit.payload["exemplar_ids"] if name in added}
    summary = str(edit.payload.get("summary", ""))
    one = _OF_ONE_CLASS.fullmatch(summary)
    if one is not None and len(class_ids) == 1:
        return {class_ids.pop(): one[1]}
    return {n: names[n] for n in class_ids if n < len(names) and f" of {names[n]}" in summary}
