"""Curation: edits of the served release, each validated in the transaction that writes it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from sqlalchemy import Connection

from model_store.live import AddedExemplar, Scope
from service.answering.release_view import ReleaseView
from service.answering.served import ServedRelease, check_release
from service.editing.class_changes import ClassChange, images_of, relabelled, summary_of
from service.editing.class_names import Classes, ClassRef, check_name, parse_color
from service.editing.corrections import correction, corrections_of
from service.editing.edit_checks import (
    already_removed,
    check_free,
    check_known,
    check_not_reverted,
    check_revert,
    edit_of_another_release,
    image_not_kept,
)
from service.editing.pieces import Mark, Piece, Source, marks_of
from service.editing.planning import Planned, plan_marks
from service.editing.strength import wins_already
from service.records.database import Record
from service.records.edit_log import Edit, EditLog
from service.records.follower import Author, Follower, Plan
from service.records.image_store import ImageStore, image_is_stored
from service.records.live_release import LiveRelease
from service.records.tables import now


class Added(NamedTuple):
    """The result of an edit that adds exemplars.

    edit: None where every exemplar was alive already; exemplars: those that were asked for; already: the ids of those
    that were alive before.
    """

    edit: Edit | None
    exemplars: list[AddedExemplar]
    already: set[str]


class Curation:
    """Makes edits of one release.

    Args:
        follower: appends to the log of edits.
        served: the release that is served when the request begins.
        images: the stored images.
    """

    def __init__(self, follower: Follower, served: ServedRelease, images: ImageStore) -> None:
        self._follower, self.served, self._images = follower, served, images

    def add(
        self,
        author: Author,
        source: Source,
        pieces: Sequence[Piece],
        ks: Collection[int] = (),
        scope: Scope = "all",
    ) -> Added:
        """Make exemplars of labelled pieces of an image, and store the image, see `plan_marks`.

        Args:
            author: who edits.
            source: the image of the pieces.
            pieces: labelled segments and pieces of strokes.
            ks: numbers of exemplars that may vote on pieces of strokes, in addition to that of the release's card.
            scope: which segments the exemplars vote for.

        Raises:
            Problem: 404 if a class does not exist, or 422 if a stroke names it; 409 if there would be too many classes;
                503 if the database refuses the edit, or the object store the image.
        """
        marks, kept = marks_of(source, pieces), self._images.keep(source.image)

        def prepare(connection: Connection) -> None:
            self._images.store(connection, kept)

        return self._add(author, "add", marks, scope, ks, prepare)

    def mark(self, author: Author, marks: Sequence[Mark], ks: Collection[int], scope: Scope) -> Added:
        """Make exemplars of marks on answers of this release, in one edit, see `plan_marks`.

        Args:
            author: who edits.
            marks: pieces of the images of answers.
            ks: numbers of exemplars that may vote on them, in addition to that of the release's card.
            scope: which segments the exemplars vote for.

        Raises:
            Problem: 409 if an image is no longer kept, or there would be too many classes; 422 if a class does not
                exist; 503 if the database refuses the edit.
        """

        def prepare(connection: Connection) -> None:
            for mark in {mark.image.image_id: mark for mark in marks}.values():
                if not image_is_stored(connection, mark.image.image_id):
                    raise image_not_kept(mark.segment_id or mark.source)

        return self._add(author, "mark", marks, scope, ks, prepare)

    def _add(
        self,
        author: Author,
        kind: Literal["add", "mark"],
        marks: Sequence[Mark],
        scope: Scope,
        ks: Collection[int],
        prepare: Callable[[Connection], None],
    ) -> Added:
        live = self._live
        planned: Planned | None = None

        def plan(connection: Connection, revision: int) -> Plan | None:
            nonlocal planned
            view = ReleaseView.current(live)
            planned = plan_marks(view, marks, scope, ks, strengthen=kind == "mark")
            coming = planned.coming
            if not coming:
                return None
            prepare(connection)
            payload = _payload(view, marks, planned, scope)
            verb, part = ("added", "exemplar") if kind == "add" else ("marked", "part")
            only = "" if scope == "all" else ", for one image only"
            names = [_name(view, planned, e.class_id) for e in coming]
            payload["summary"] = f"{verb} {counted(names, part)}{only}"
            return Plan(kind, payload, [e for e in coming if live.state.row(e.exemplar_id) is None])

        edit = self._follower.edit(live, author, plan)
        if planned is None:
            raise RuntimeError("an edit was not planned")
        return Added(edit, planned.exemplars, planned.already)

    def label(self, author: Author, record: Record, ref: ClassRef, scope: Scope = "all") -> Added:
        """Correct a segment's label: the segment becomes an exemplar that is strong enough to win its own vote.

        A correction replaces earlier corrections of the same segment, also in answers that it was relabelled from. One
        for one image alone replaces only such ones, because it must not change other images.

        Raises:
            Problem: 404 if the class does not exist; 409 if another release answered, or the image is not kept; 503 if
                the database refuses the edit.
        """
        check_release(self.served, record.answered)
        live, facts = self._live, record.segmentation
        ks = {facts.k, live.release.card.retrieval.k}
        requested: list[AddedExemplar] = []

        def plan(connection: Connection, revision: int) -> Plan | None:
            if not image_is_stored(connection, facts.image_id):
                raise image_not_kept(record.segment_id)
            classes = Classes(live.log.class_states())
            info = classes.find(ref)
            present = corrections_of(live, record)
            earlier = present if scope == "all" else [e for e in present if e.scope == "image"]
            same = [e for e in present if e.class_id == info.class_id and (scope == "image" or e.scope == "all")]
            if same and wins_already(live.state.for_image(facts.image_id), record.prototype, info.class_id, ks):
                requested[:] = same[-1:]
                return None
            new = correction(live, record, info.class_id, ks, earlier, scope)
            requested[:] = [new]
            payload = {
                "exemplar_ids": [new.exemplar_id],
                "classes": [info.model_dump() for info in classes.new],
                "segment_id": record.segment_id,
                "replaces": [e.exemplar_id for e in earlier if e.exemplar_id != new.exemplar_id],
                "scope": scope,
                "summary": f"corrected a segment to {info.name}" + ("" if scope == "all" else ", for one image only"),
            }
            return Plan("label", payload, [new] if live.state.row(new.exemplar_id) is None else [])

        edit = self._follower.edit(live, author, plan)
        return Added(edit, requested, set() if edit is not None else {requested[0].exemplar_id})

    def remove(self, author: Author, exemplar_ids: Sequence[str]) -> tuple[Edit, int]:
        """Remove exemplars; returns the edit, and how many of them were removed before.

        Raises:
            Problem: 404 if one does not exist; 409 if all are removed already; 503 if the database refuses the edit.
        """
        live, removed_before = self._live, 0
        requested = list(dict.fromkeys(exemplar_ids))

        def plan(connection: Connection, revision: int) -> Plan:
            nonlocal removed_before
            check_known(live, requested)
            alive = [name for name in requested if live.log.is_alive(name)]
            removed_before = len(requested) - len(alive)
            if not alive:
                raise already_removed(live.log, requested)
            rows = np.array([live.state.row(name) for name in alive])
            names = [live.state.classes[c].name for c in live.state.class_ids(rows).tolist()]
            return Plan("remove", {"exemplar_ids": alive, "summary": f"removed {counted(names)}"})

        return _made(self._follower.edit(live, author, plan)), removed_before

    def relabel(self, author: Author, changes: Sequence[ClassChange]) -> Added:
        """Give exemplars other classes: one edit replaces them by exemplars of the same pixels.

        Exemplars that have their new class already stay as they are.

        Returns:
            The edit, and the exemplars that have taken their place, in the order of the changes.

        Raises:
            Problem: 404 if an exemplar or a class does not exist; 409 if an exemplar is removed, or there would be too
                many classes; 503 if the database refuses the edit.
        """
        live = self._live
        check_known(live, [one.exemplar_id for one in changes])
        images = images_of(live, [one.exemplar_id for one in changes])
        kept = {image.image_id: self._images.keep(image) for image in images.values()}
        found: list[AddedExemplar] = []

        def plan(connection: Connection, revision: int) -> Plan | None:
            classes = Classes(live.log.class_states())
            made = relabelled(live, changes, classes, images)
            found[:] = [one.new for one in made]
            if not made:
                return None
            new = {one.new.exemplar_id: one.new for one in made}
            for image_id in {one.image.image_id for one in made if one.image is not None}:
                self._images.store(connection, kept[image_id])
            payload = {
                "exemplar_ids": list(new),
                "classes": [info.model_dump() for info in classes.new],
                "replaces": [one.old for one in made if one.old not in new],
                "scope": "image" if all(one.new.scope == "image" for one in made) else "all",
                "summary": summary_of(live, made, classes),
            }
            return Plan("add", payload, [one for name, one in new.items() if live.state.row(name) is None])

        return Added(self._follower.edit(live, author, plan), found, set())

    def make_class(self, author: Author, name: str, color: str | None) -> Edit:
        """Create a class without exemplars.

        Raises:
            Problem: 409 if a class has the name, or there would be too many; 503 if the database refuses the edit.
        """
        live = self._live

        def plan(connection: Connection, revision: int) -> Plan:
            classes = Classes(live.log.class_states())
            check_free(classes, name, None)
            info = classes.make(name, color)
            after = {"name": info.name, "color": list(info.color)}
            payload = {"class_id": info.class_id, "before": None, "after": after}
            return Plan("class", payload | {"summary": f"made class {info.name}"})

        return _made(self._follower.edit(live, author, plan))

    def change_class(self, author: Author, class_id: int, name: str | None, color: str | None) -> Edit | None:
        """Rename or recolour a class; None if it has this name and colour already.

        Raises:
            Problem: 404 if the class does not exist; 409 if another class has the name; 503 if the database refuses
                the edit.
        """
        live = self._live

        def plan(connection: Connection, revision: int) -> Plan | None:
            classes = Classes(live.log.class_states())
            info = classes.by_id(class_id)
            new_name = info.name
            if name is not None and name != info.name:
                new_name = check_name(name)
                check_free(classes, new_name, class_id)
            new_color = info.color if color is None else parse_color(color)
            if (new_name, new_color) == (info.name, info.color):
                return None
            changes = [f"renamed class {info.name} to {new_name}"] if new_name != info.name else []
            changes += [f"recoloured class {new_name}"] if new_color != info.color else []
            before = {"name": info.name, "color": list(info.color)}
            after = {"name": new_name, "color": list(new_color)}
            payload = {"class_id": class_id, "before": before, "after": after, "summary": " and ".join(changes)}
            return Plan("class", payload)

        return self._follower.edit(live, author, plan)

    def revert(self, author: Author, revision: int) -> Edit:
        """Revert an edit. Reverting a revert makes its target effective again.

        Raises:
            Problem: 404 if there is no such edit; 409 if it cannot be reverted, with the reason; 503 if the database
                refuses the edit.
        """
        live = self._live

        def plan(connection: Connection, new: int) -> Plan:
            target = live.log.edits.get(revision)
            if target is None:
                raise edit_of_another_release(connection, revision, live.name)
            check_not_reverted(live.log, revision)
            payload = {"reverts": revision, "summary": _summary_of_revert(live.log, target)}
            edit = Edit(new, live.name, "revert", payload, author.name, author.reason, now())
            check_revert(live, live.log.changes(edit), revision)
            return Plan("revert", payload)

        return _made(self._follower.edit(live, author, plan))

    @property
    def _live(self) -> LiveRelease:
        return self.served.live


def _payload(view: ReleaseView, marks: Sequence[Mark], planned: Planned, scope: Scope) -> dict[str, Any]:
    """The payload of an edit of kind add or mark, without its summary."""
    payload: dict[str, Any] = {
        "exemplar_ids": [e.exemplar_id for e in planned.coming],
        "classes": [info.model_dump() for info in planned.classes],
        "scope": scope,
    }
    if planned.replaced:
        payload["replaces"] = [e.exemplar_id for e in planned.replaced]
    pairs = zip(marks, planned.exemplars, strict=True)
    segments = {mark.segment_id: e.exemplar_id for mark, e in pairs if e.exemplar_id not in planned.already}
    segments.pop(None, None)
    return payload | ({"segments": segments} if segments else {})


def _name(view: ReleaseView, planned: Planned, class_id: int) -> str:
    """The name of a present or planned class."""
    known = len(view.classes)
    return view.classes[class_id].info.name if class_id < known else planned.classes[class_id - known].name


def counted(names: Iterable[str], what: str = "exemplar") -> str:
    """Count exemplars by the names of their classes, as text such as "3 exemplars: 2 of road, 1 of sky"."""
    counts = Counter(names)
    total = sum(counts.values())
    article = "an" if what[0] in "aeiou" else "a"
    many = f"{article} {what}" if total == 1 else f"{total} {what}s"
    if len(counts) == 1:
        return f"{many} of {next(iter(counts))}"
    return f"{many}: " + ", ".join(f"{count} of {name}" for name, count in counts.most_common())


def _summary_of_revert(log: EditLog, target: Edit) -> str:
    """A revert in words. A chain of reverts names the edit at its end, reverted or restored."""
    restored = False
    while target.kind == "revert":
        target, restored = log.edits[target.payload["reverts"]], not restored
    return f"{'restored' if restored else 'reverted'} edit {target.revision}: {target.payload['summary']}"


def _made(edit: Edit | None) -> Edit:
    if edit is None:
        raise RuntimeError("a plan that always changes something returned no edit")
    return edit
