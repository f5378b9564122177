"""The log of edits of one release: its living exemplars and its classes at any revision.

The state follows from the edits and their order. An edit is effective unless an effective later revert names it.

Every list only grows, and each entry carries the revision of its edit. A query at a revision therefore has the same
result whatever is appended later, and readers need no lock.

The payload of an edit, by kind:

- add: exemplar_ids; classes, the ones that the edit creates; replaces, exemplars of the image that the edit removes,
  because strokes mark their pixels with another class (absent if there are none); scope, "all" or "image", which
  segments the exemplars vote for (absent in edits of earlier versions, which have the scope "all").
- mark (marks on answers: strokes, areas and whole segments): as add; segments, the exemplar of each whole segment by
  the segment's id (absent if there are none).
- label (a correction of a segment): exemplar_ids; classes; segment_id; replaces, the exemplars of earlier corrections
  of the segment, which the edit removes; scope.
- remove: exemplar_ids.
- class: class_id; before and after, each {name, color}. `before` is None where the class is new.
- revert: reverts, the revision of the edit that it reverts.
- carry (edits of earlier releases of this name): as add; replaces, exemplars whose counterparts were removed there;
  changed, classes that it renames or recolours, as they are afterwards; carried, by digest of an earlier release the
  last of its edits ("" for edits without a digest); counterparts, its exemplars by the ids of those they stand for.

Every payload has a summary for people, with the names that classes had when it was written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from model_store.card import ClassInfo
from model_store.live import Scope

Kind = Literal["add", "label", "mark", "remove", "class", "revert", "carry"]
ADDING = ("add", "label", "mark", "carry")  # kinds of edits that add exemplars
T = TypeVar("T")
_Dated = list[tuple[int, T]]  # (revision, value from that revision on), revisions ascending


@dataclass(frozen=True)
class Edit:
    """An entry of the log; `payload` is described at the top of this module."""

    revision: int
    release: str
    kind: Kind
    payload: Mapping[str, Any]
    author: str
    reason: str | None
    created: datetime
    release_digest: str | None = None  # None: a version that did not record it made the edit

    @property
    def adds(self) -> bool:
        """Whether it adds exemplars."""
        return self.kind in ADDING

    @property
    def sets_alive(self) -> dict[str, bool]:
        """The exemplars that it touches, and whether they are alive after it."""
        if self.kind in ADDING:
            gone = dict.fromkeys(self.payload.get("replaces", ()), False)
            return gone | dict.fromkeys(self.payload["exemplar_ids"], True)
        return dict.fromkeys(self.payload["exemplar_ids"], False) if self.kind == "remove" else {}

    @property
    def scope(self) -> Scope | None:
        """Which segments the exemplars that it adds vote for; None: it adds none."""
        return self.payload.get("scope", "all") if self.kind in ADDING else None

    @property
    def corrected(self) -> Mapping[str, str]:
        """By segment that it corrects as a whole: the exemplar that the segment became."""
        if self.kind == "label":
            return {self.payload["segment_id"]: self.payload["exemplar_ids"][0]}
        segments: Mapping[str, str] = self.payload.get("segments", {})
        return segments

    @property
    def new_classes(self) -> list[ClassInfo]:
        """The classes that it creates."""
        if self.kind == "class" and self.payload["before"] is None:
            return [self.class_after]
        return [ClassInfo.model_validate(info) for info in self.payload.get("classes", ())]

    @property
    def changed_classes(self) -> list[ClassInfo]:
        """The classes that it renames or recolours, as they are afterwards."""
        if self.kind == "class":
            return [] if self.payload["before"] is None else [self.class_after]
        return [ClassInfo.model_validate(info) for info in self.payload.get("changed", ())]

    @property
    def class_after(self) -> ClassInfo:
        """The class after an edit of kind class."""
        return ClassInfo.model_validate({"class_id": self.payload["class_id"], **self.payload["after"]})


class ClassState(NamedTuple):
    """A class. It is retired where the edit that created it is reverted."""

    info: ClassInfo
    retired: bool


class Changes(NamedTuple):
    """The changes that one more edit makes.

    reverted: by revision of an earlier edit: the effective revert that now names it, or None.
    alive: exemplars that are added to the living ones (True) or removed from them (False).
    classes: classes that are created, renamed, recoloured, retired or restored.
    """

    reverted: dict[int, int | None]
    alive: dict[str, bool]
    classes: dict[int, ClassState]


@dataclass
class EditLog:
    """The edits of one release, in their order.

    Args:
        classes: the classes of the release.
        released: the exemplars of the release; all are alive before the first edit.

    Attributes:
        edits: by revision.
        added_in: by exemplar that is not of the release: the revision of the first edit that added it.
        corrections: by segment: the revisions of its corrections.
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
        """Compute the changes that an edit makes if it is appended now."""
        if edit.kind == "revert":
            return self._changes_of_revert(edit)
        alive = {name: lives for name, lives in edit.sets_alive.items() if lives != self.is_alive(name)}
        states = {info.class_id: ClassState(info, False) for info in edit.new_classes}
        for info in edit.changed_classes:
            states[info.class_id] = ClassState(info, self.class_states()[info.class_id].retired)
        return Changes({}, alive, states)

    def _changes_of_revert(self, revert: Edit) -> Changes:
        reverted = self._flips(revert)
        flipped = [self.edits[revision] for revision in reverted]
        names = {name for other in flipped for name in other.sets_alive}
        alive = {name: self._would_live(name, reverted) for name in names}
        classes = {info.class_id for other in flipped for info in other.new_classes}
        classes |= {info.class_id for other in flipped for info in other.changed_classes}
        return Changes(
            reverted,
            {name: lives for name, lives in sorted(alive.items()) if lives != self.is_alive(name)},
            {class_id: self._class_after(class_id, reverted) for class_id in sorted(classes)},
        )

    def append(self, edit: Edit) -> Changes:
        """Append an edit, whose revision is later than all in the log, and return its changes."""
        changes = self.changes(edit)
        self._index(edit)
        self._apply(edit.revision, changes)
        self.edits[edit.revision] = edit
        return changes

    def _index(self, edit: Edit) -> None:
        """Note which exemplars, classes and segments an edit names."""
        revision = edit.revision
        for name, lives in edit.sets_alive.items():
            self._touches.setdefault(name, []).append((revision, lives))
            if lives and name not in self.released:
                self.added_in.setdefault(name, revision)
        for info in edit.new_classes:
            self._class_edits.setdefault(info.class_id, []).append(revision)
        for info in edit.changed_classes:
            self._class_edits.setdefault(info.class_id, []).append(revision)
        for segment_id in edit.corrected:
            self.corrections.setdefault(segment_id, []).append(revision)

    def _apply(self, revision: int, changes: Changes) -> None:
        for other, by in changes.reverted.items():
            self._reverted.setdefault(other, []).append((revision, by))
        for name, lives in changes.alive.items():
            self._lives.setdefault(name, []).append((revision, lives))
        for class_id, state in sorted(changes.classes.items()):
            if class_id == len(self._class_states):
                self._class_states.append([])
            self._class_states[class_id].append((revision, state))

    def reverted_by(self, revision: int, at: int | None = None) -> int | None:
        """The effective revert that names an edit, at a revision or now; None if the edit is effective."""
        return _last(self._reverted.get(revision, ()), at)

    def is_alive(self, exemplar_id: str, at: int | None = None) -> bool:
        """Check whether an exemplar is alive, at a revision or now."""
        lives = _last(self._lives.get(exemplar_id, ()), at)
        return exemplar_id in self.released if lives is None else lives

    def removed_in(self, exemplar_id: str, at: int | None = None) -> int | None:
        """The revision that removed an exemplar, at a revision or now; None while it is alive."""
        if self.is_alive(exemplar_id, at):
            return None
        return next((r for r, _ in reversed(self._lives.get(exemplar_id, ())) if at is None or r <= at), None)

    def alive_since(self, exemplar_id: str, at: int | None = None) -> int | None:
        """The revision that made an exemplar alive, at a revision or now; None if it is not, or was from the start."""
        if not self.is_alive(exemplar_id, at):
            return None
        return next((r for r, _ in reversed(self._lives.get(exemplar_id, ())) if at is None or r <= at), None)

    def touched(self) -> Iterator[str]:
        """Every exemplar that an edit named."""
        return iter(list(self._touches))

    def class_states(self, at: int | None = None) -> list[ClassState]:
        """All classes in the order of class_id, at a revision or now, with the retired ones."""
        states = (_last(dated, at) for dated in list(self._class_states))
        return [state for state in states if state is not None]

    def first_name(self, class_id: int) -> str:
        """The name that a class was created with. It never changes."""
        return self._class_states[class_id][0][1].info.name

    def touched_by(self, revision: int) -> frozenset[str]:
        """The exemplars that an edit touches. A revert touches those of the edit that it reverts."""
        edit = self.edits[revision]
        while edit.kind == "revert":
            edit = self.edits[edit.payload["reverts"]]
        return frozenset(edit.sets_alive)

    def _flips(self, revert: Edit) -> dict[int, int | None]:
        """By revision: the effective revert that names each edit after this revert, or None.

        A chain of reverts alternates. Reverting a revert makes its target effective again, and so on.
        """
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
        """Whether the last effective edit of an exemplar leaves it alive."""
        for revision, lives in reversed(self._touches.get(exemplar_id, ())):
            if self._effective(revision, flips):
                return lives
        return exemplar_id in self.released

    def _class_after(self, class_id: int, flips: Mapping[int, int | None]) -> ClassState:
        """A class after its last effective edit. It is retired where the edit that created it is not effective."""
        revisions = self._class_edits.get(class_id, [])
        info, retired = self._class_states[class_id][0][1]
        if class_id >= len(self.classes):
            retired = not self._effective(revisions[0], flips)
        for revision in revisions:
            if self._effective(revision, flips):
                edit = self.edits[revision]
                made = [*edit.new_classes, *edit.changed_classes] if edit.kind in ("class", "carry") else []
                info = next((one for one in made if one.class_id == class_id), info)
        return ClassState(info, retired)


def _last(dated: Sequence[tuple[int, T]], at: int | None) -> T | None:
    """The value at a revision, or the newest one; None if there is none yet."""
    for revision, value in reversed(dated):
        if at is None or revision <= at:
            return value
    return None
