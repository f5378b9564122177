"""The log of edits of one release: which exemplars are alive, which classes there are, at any revision.

Everything follows from the edits and their order. All that is kept only ever grows, each entry with the revision it
came with: whoever asks for a revision gets the same answer whatever comes later, so that readers need no lock.

An edit is effective unless an effective revert names it. Its payload, by kind:

- add: exemplar_ids, classes (those the edit creates);
- label: the same, with segment_id, a correction; replaces: exemplars of earlier corrections of that segment, that go;
- remove: exemplar_ids;
- class: class_id, before, after: {name, color}, before None where the class is new;
- revert: reverts, a revision.

Each has a summary too, in the words of its time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from model_store.card import ClassInfo

Kind = Literal["add", "label", "remove", "class", "revert"]
T = TypeVar("T")
_Dated = list[tuple[int, T]]  # what held from a revision on, in their order


@dataclass(frozen=True)
class Edit:
    """A row of the log."""

    revision: int
    release: str
    kind: Kind
    payload: Mapping[str, Any]
    author: str
    reason: str | None
    created: datetime

    @property
    def says(self) -> dict[str, bool]:
        """Exemplars it touches, and whether they are there after it."""
        if self.kind in ("add", "label"):
            gone = dict.fromkeys(self.payload.get("replaces", ()), False)
            return gone | dict.fromkeys(self.payload["exemplar_ids"], True)
        return dict.fromkeys(self.payload["exemplar_ids"], False) if self.kind == "remove" else {}

    @property
    def creates(self) -> list[ClassInfo]:
        """Classes it creates."""
        if self.kind == "class" and self.payload["before"] is None:
            return [self.class_after]
        return [ClassInfo.model_validate(info) for info in self.payload.get("classes", ())]

    @property
    def class_after(self) -> ClassInfo:
        """Of an edit of a class: how it is after it."""
        return ClassInfo.model_validate({"class_id": self.payload["class_id"], **self.payload["after"]})


class ClassState(NamedTuple):
    """A class; a retired one was created by an edit that is taken back."""

    info: ClassInfo
    retired: bool


class Changes(NamedTuple):
    """What one more edit would change.

    reverted: by revision, the effective revert that names it now, or None; alive: exemplars that come or go;
    classes: those that are new, renamed, retired or back.
    """

    reverted: dict[int, int | None]
    alive: dict[str, bool]
    classes: dict[int, ClassState]


@dataclass
class EditLog:
    """Edits of one release, in their order.

    Args:
        classes: those of the release.
        released: the exemplars of the release.
    """

    classes: Sequence[ClassState]
    released: Mapping[str, int]
    edits: dict[int, Edit] = field(default_factory=dict)
    added_in: dict[str, int] = field(default_factory=dict)
    corrections: dict[str, list[int]] = field(default_factory=dict)
    _reverted: dict[int, _Dated[int | None]] = field(default_factory=dict)
    _touches: dict[str, _Dated[bool]] = field(default_factory=dict)
    _lives: dict[str, _Dated[bool]] = field(default_factory=dict)
    _class_edits: dict[int, list[int]] = field(default_factory=dict)
    _class_states: list[_Dated[ClassState]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._class_states = [[(0, state)] for state in self.classes]

    def changes(self, edit: Edit) -> Changes:
        """What an edit would change that came next."""
        if edit.kind != "revert":
            alive = {name: there for name, there in edit.says.items() if there != self.is_alive(name)}
            states = {info.class_id: ClassState(info, False) for info in edit.creates}
            if edit.kind == "class" and edit.payload["before"] is not None:
                retired = self.class_states()[edit.class_after.class_id].retired
                states[edit.class_after.class_id] = ClassState(edit.class_after, retired)
            return Changes({}, alive, states)
        reverted = self._flips(edit)
        flipped = [self.edits[revision] for revision in reverted]
        names = {name for other in flipped for name in other.says}
        alive = {name: self._would_live(name, reverted) for name in names}
        classes = {info.class_id for other in flipped for info in other.creates}
        classes |= {other.class_after.class_id for other in flipped if other.kind == "class"}
        return Changes(
            reverted,
            {name: there for name, there in sorted(alive.items()) if there != self.is_alive(name)},
            {class_id: self._would_be(class_id, reverted) for class_id in sorted(classes)},
        )

    def append(self, edit: Edit) -> Changes:
        """Take one more edit in, which comes after all that are here."""
        changes, revision = self.changes(edit), edit.revision
        for name, there in edit.says.items():
            self._touches.setdefault(name, []).append((revision, there))
            if there and name not in self.released:
                self.added_in.setdefault(name, revision)
        for info in edit.creates:
            self._class_edits.setdefault(info.class_id, []).append(revision)
        if edit.kind == "class" and edit.payload["before"] is not None:
            self._class_edits.setdefault(edit.class_after.class_id, []).append(revision)
        if edit.kind == "label":
            self.corrections.setdefault(edit.payload["segment_id"], []).append(revision)
        for other, by in changes.reverted.items():
            self._reverted.setdefault(other, []).append((revision, by))
        for name, there in changes.alive.items():
            self._lives.setdefault(name, []).append((revision, there))
        for class_id, state in sorted(changes.classes.items()):
            if class_id == len(self._class_states):
                self._class_states.append([])
            self._class_states[class_id].append((revision, state))
        self.edits[revision] = edit
        return changes

    def reverted_by(self, revision: int, at: int | None = None) -> int | None:
        """The effective revert that names an edit."""
        return _last(self._reverted.get(revision, ()), at)

    def is_alive(self, exemplar_id: str, at: int | None = None) -> bool:
        """Whether an exemplar is in the live state."""
        there = _last(self._lives.get(exemplar_id, ()), at)
        return exemplar_id in self.released if there is None else there

    def removed_in(self, exemplar_id: str, at: int | None = None) -> int | None:
        """The revision since which an exemplar is gone, None while it is there."""
        if self.is_alive(exemplar_id, at):
            return None
        return next((r for r, _ in reversed(self._lives.get(exemplar_id, ())) if at is None or r <= at), None)

    def touched(self) -> Iterator[str]:
        """Every exemplar that an edit named."""
        return iter(list(self._touches))

    def class_states(self, at: int | None = None) -> list[ClassState]:
        """Classes by class_id, the retired ones among them."""
        states = (_last(dated, at) for dated in list(self._class_states))
        return [state for state in states if state is not None]

    def first_name(self, class_id: int) -> str:
        """What a class was called when it was made: unlike its name now, it never changes."""
        return self._class_states[class_id][0][1].info.name

    def touched_by(self, revision: int) -> frozenset[str]:
        """Exemplars that an edit touches; of a revert, those of what it takes back."""
        edit = self.edits[revision]
        while edit.kind == "revert":
            edit = self.edits[edit.payload["reverts"]]
        return frozenset(edit.says)

    def _flips(self, revert: Edit) -> dict[int, int | None]:
        """Edits that a revert makes ineffective or, where it reverts a revert, effective again."""
        flips: dict[int, int | None] = {}
        by: int | None = revert.revision
        target = self.edits[revert.payload["reverts"]]
        flips[target.revision] = by
        while target.kind == "revert":
            reverting, target = target, self.edits[target.payload["reverts"]]
            by = None if by is not None else reverting.revision
            flips[target.revision] = by
        return flips

    def _effective(self, revision: int, flips: Mapping[int, int | None]) -> bool:
        return (flips[revision] if revision in flips else self.reverted_by(revision)) is None

    def _would_live(self, exemplar_id: str, flips: Mapping[int, int | None]) -> bool:
        for revision, there in reversed(self._touches.get(exemplar_id, ())):
            if self._effective(revision, flips):
                return there
        return exemplar_id in self.released

    def _would_be(self, class_id: int, flips: Mapping[int, int | None]) -> ClassState:
        """A class as the last effective edit of it says; without its creation it is retired."""
        revisions = self._class_edits.get(class_id, [])
        info, retired = self._class_states[class_id][0][1]
        if class_id >= len(self.classes):
            retired = not self._effective(revisions[0], flips)
        for revision in revisions:
            edit = self.edits[revision]
            if edit.kind == "class" and self._effective(revision, flips):
                info = edit.class_after
        return ClassState(info, retired)


def _last(dated: Sequence[tuple[int, T]], at: int | None) -> T | None:
    """What holds at a revision, or now; None if nothing does yet."""
    for revision, value in reversed(dated):
        if at is None or revision <= at:
            return value
    return None
