"""Curation: edits of the served release, each validated in the transaction that writes it."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from http import HTTPStatus
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from model_store.live import AddedExemplar
from service.answering.served import ServedRelease, check_release
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
from service.editing.pieces import Piece, Source, added_to_image, exemplars_of, overridden, stroked_exemplars
from service.editing.strength import wins_already
from service.problems import Problem
from service.records.database import Record
from service.records.edit_log import Edit, EditLog
from service.records.follower import Author, Follower, Plan
from service.records.image_store import image_is_stored, insert_image
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
    """

    def __init__(self, follower: Follower, served: ServedRelease) -> None:
        self._follower, self.served = follower, served

    def add(self, author: Author, source: Source, pieces: Sequence[Piece], ks: Collection[int] = ()) -> Added:
        """Make exemplars of labelled pieces of an image, and store the image.

        A piece of a stroke gets the strength that its class needs to win the vote on its pixels. Exemplars of the image
        that strokes of other classes cover are removed by the same edit.

        Args:
            author: who edits.
            source: the image of the pieces.
            pieces: labelled segments and pieces of strokes.
            ks: numbers of exemplars that may vote on pieces of strokes, in addition to that of the release's card.

        Raises:
            Problem: 404 if a class does not exist, or 422 if a stroke names it; 409 if there would be too many classes;
                503 if the database refuses the edit.
        """
        live = self._live
        requested: list[AddedExemplar] = []
        already: set[str] = set()

        def plan(connection: Connection, revision: int) -> Plan | None:
            classes = Classes(live.log.class_states())
            class_ids = [_class_of(classes, piece) for piece in pieces]
            present = added_to_image(connection, live, source.image.image_id)
            requested[:] = self._exemplars(source, pieces, class_ids, present, ks)
            already.update(e.exemplar_id for e in requested if live.log.is_alive(e.exemplar_id))
            coming = {e.exemplar_id: e for e in requested if e.exemplar_id not in already}
            if not coming:
                return None
            insert_image(connection, source.image)
            names = [classes.name(e.class_id) for e in coming.values()]
            payload = {"exemplar_ids": list(coming), "classes": [info.model_dump() for info in classes.new]}
            replaced = _overridden(pieces, class_ids, present)
            if replaced:
                payload["replaces"] = [e.exemplar_id for e in replaced]
            unknown = [e for name, e in coming.items() if live.state.row(name) is None]
            return Plan("add", payload | {"summary": f"added {counted(names)}"}, unknown)

        edit = self._follower.edit(live, author, plan)
        return Added(edit, requested, already)

    def label(self, author: Author, record: Record, ref: ClassRef) -> Added:
        """Correct a segment's label: the segment becomes an exemplar that is strong enough to win its own vote.

        A correction replaces earlier corrections of the same segment, also in answers that it was relabelled from.

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
            earlier = corrections_of(connection, live, record)
            same = [e for e in earlier if e.class_id == info.class_id]
            if same and wins_already(live.state, record.prototype, info.class_id, ks):
                requested[:] = same[-1:]
                return None
            new = correction(live, record, info.class_id, ks, earlier)
            requested[:] = [new]
            payload = {
                "exemplar_ids": [new.exemplar_id],
                "classes": [info.model_dump() for info in classes.new],
                "segment_id": record.segment_id,
                "replaces": [e.exemplar_id for e in earlier if e.exemplar_id != new.exemplar_id],
                "summary": f"corrected a segment to {info.name}",
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

    def _exemplars(
        self,
        source: Source,
        pieces: Sequence[Piece],
        class_ids: Sequence[int],
        present: Sequence[AddedExemplar],
        ks: Collection[int],
    ) -> list[AddedExemplar]:
        """The exemplar of each piece, in their order."""
        made = exemplars_of(self._live.log, source, pieces, class_ids, [1.0] * len(pieces))
        stroked = [n for n, piece in enumerate(pieces) if piece.stroked]
        if stroked:
            of_strokes, classes = [pieces[n] for n in stroked], [class_ids[n] for n in stroked]
            ks = {*ks, self._live.release.card.retrieval.k}
            strong = stroked_exemplars(self._live, source, of_strokes, classes, present, ks)
            for n, exemplar in zip(stroked, strong, strict=True):
                made[n] = exemplar
        return made

    @property
    def _live(self) -> LiveRelease:
        return self.served.live


def _class_of(classes: Classes, piece: Piece) -> int:
    """The class of a piece. A stroke that names a class that does not exist is malformed."""
    try:
        return classes.find(piece.ref).class_id
    except Problem as problem:
        if not piece.stroked or problem.status != HTTPStatus.NOT_FOUND:
            raise
        raise Problem(
            422, f"A stroke names an unknown class. {problem.detail}", received=problem.received,
            allowed=problem.allowed, fix=problem.fix,
        ) from problem  # fmt: skip


def _overridden(
    pieces: Sequence[Piece], class_ids: Sequence[int], present: Sequence[AddedExemplar]
) -> list[AddedExemplar]:
    stroked = [n for n, piece in enumerate(pieces) if piece.stroked]
    return overridden([pieces[n] for n in stroked], [class_ids[n] for n in stroked], present)


def counted(names: Iterable[str]) -> str:
    """Count exemplars by the names of their classes, as text such as "3 exemplars: 2 of road, 1 of sky"."""
    counts = Counter(names)
    total = sum(counts.values())
    many = "an exemplar" if total == 1 else f"{total} exemplars"
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
