"""Curation: each edit is validated against the end of the log, in the transaction that writes it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from model_store.exemplar_table import exemplar_id
from model_store.live import AddedExemplar, LiveExemplars
from service.answering.engine import Engine
from service.answering.served import check_release
from service.editing.class_names import Classes, ClassRef, check_name, parse_color
from service.editing.edit_list import find_edit
from service.editing.strength import needed_strength, wins_already
from service.problems import Problem
from service.records.database import Record
from service.records.edit_log import Changes, Edit, EditLog
from service.records.follower import Author, Plan
from service.records.image_store import ImageFile, image_is_stored, insert_image
from service.records.live_release import LiveRelease
from service.records.tables import ExemplarRow, now


class Piece(NamedTuple):
    """A labelled segment that is to be an exemplar: prototype [D] float32, class, bbox, pixels, run lengths."""

    prototype: np.ndarray
    ref: ClassRef
    bbox: tuple[int, int, int, int]
    area: int
    mask: str


class Added(NamedTuple):
    """What an edit added: the edit, None where all was there; the exemplars meant; ids of those that were there."""

    edit: Edit | None
    exemplars: list[AddedExemplar]
    already: set[str]


class Curation:
    """The edits of one release: that which is served when a request begins, even if another one is when it ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.served = engine, engine.served

    def add(self, author: Author, picture: ImageFile, pieces: Sequence[Piece], source: str) -> Added:
        """Make exemplars of labelled segments of a picture, which is kept with them.

        Raises:
            Problem: if a class is not there, or one too many; 503 if the database does not take it.
        """
        live = self._live
        meant: list[AddedExemplar] = []
        already: set[str] = set()

        def plan(connection: Connection, revision: int) -> Plan | None:
            classes = Classes(live.log.class_states())
            meant[:] = [_exemplar(live.log, classes.find(p.ref).class_id, p, picture, source) for p in pieces]
            already.update(e.exemplar_id for e in meant if live.log.is_alive(e.exemplar_id))
            coming = {e.exemplar_id: e for e in meant if e.exemplar_id not in already}
            if not coming:
                return None
            insert_image(connection, picture)
            names = [_name(classes, e.class_id) for e in coming.values()]
            payload = {"exemplar_ids": list(coming), "classes": [info.model_dump() for info in classes.new]}
            new = [e for name, e in coming.items() if live.state.row(name) is None]
            return Plan("add", payload | {"summary": f"added {counted(names)}"}, new)

        edit = self._engine.follower.edit(live, author, plan)
        return Added(edit, meant, already)

    def label(self, author: Author, record: Record, ref: ClassRef) -> Added:
        """Correct a segment's label: the segment becomes an exemplar that is strong enough to win its own vote.

        A correction takes the place of earlier ones of the same segment, those that it was relabelled from too.

        Raises:
            Problem: 409 if another release answered, or the picture is not kept; 404 if the class is not there.
        """
        check_release(self.served, record.answered)
        live, facts = self._live, record.segmentation
        ks = {facts.k, live.release.card.retrieval.k}
        meant: list[AddedExemplar] = []

        def plan(connection: Connection, revision: int) -> Plan | None:
            if not image_is_stored(connection, facts.image_id):
                raise _not_kept(record.segment_id)
            classes = Classes(live.log.class_states())
            info = classes.find(ref)
            earlier = _corrections(connection, live, record)
            same = [e for e in earlier if e.class_id == info.class_id]
            if same and wins_already(live.state, record.prototype, info.class_id, ks):
                meant[:] = same[-1:]
                return None
            meant[:] = [_correction(live, record, info.class_id, ks, earlier)]
            payload = {
                "exemplar_ids": [meant[0].exemplar_id],
                "classes": [info.model_dump() for info in classes.new],
                "segment_id": record.segment_id,
                "replaces": [e.exemplar_id for e in earlier if e.exemplar_id != meant[0].exemplar_id],
                "summary": f"corrected a segment to {info.name}",
            }
            there = live.state.row(meant[0].exemplar_id) is not None
            return Plan("label", payload, [] if there else meant)

        edit = self._engine.follower.edit(live, author, plan)
        return Added(edit, meant, set() if edit is not None else {meant[0].exemplar_id})

    def remove(self, author: Author, exemplar_ids: Sequence[str]) -> tuple[Edit, int]:
        """Take exemplars out of the live state; returns the edit and how many were gone already.

        Raises:
            Problem: 404 if one is not there, 409 if all are gone already or none would be left.
        """
        live, gone = self._live, 0
        wanted = list(dict.fromkeys(exemplar_ids))

        def plan(connection: Connection, revision: int) -> Plan:
            nonlocal gone
            rows = {name: live.state.row(name) for name in wanted}
            unknown = [name for name, row in rows.items() if row is None]
            if unknown:
                raise Problem(
                    404, f"The release {live.name!r} has no such exemplar.", received=unknown[:20],
                    allowed="an exemplar_id of GET /exemplars", fix="Take the ids from an answer of this release.",
                )  # fmt: skip
            there = [name for name in wanted if live.log.is_alive(name)]
            gone = len(wanted) - len(there)
            if not there:
                raise _gone_already(live.log, wanted)
            if len(there) == live.state.count:
                raise _nothing_left(live, wanted)
            rows_there = np.array([rows[name] for name in there])
            names = [live.state.classes[c].name for c in live.state.class_ids(rows_there).tolist()]
            return Plan("remove", {"exemplar_ids": there, "summary": f"removed {counted(names)}"})

        return _made(self._engine.follower.edit(live, author, plan)), gone

    def make_class(self, author: Author, name: str, color: str | None) -> Edit:
        """Make a class that has no exemplars yet.

        Raises:
            Problem: 409 if there is one of this name, or there may be no more.
        """
        live = self._live

        def plan(connection: Connection, revision: int) -> Plan:
            classes = Classes(live.log.class_states())
            _check_free(classes, name, None)
            info = classes.make(name, color)
            after = {"name": info.name, "color": list(info.color)}
            payload = {"class_id": info.class_id, "before": None, "after": after}
            return Plan("class", payload | {"summary": f"made class {info.name}"})

        return _made(self._engine.follower.edit(live, author, plan))

    def change_class(self, author: Author, class_id: int, name: str | None, color: str | None) -> Edit | None:
        """Give a class another name or colour; None if it has these already.

        Raises:
            Problem: 404 if there is no such class, 409 if another has this name.
        """
        live = self._live

        def plan(connection: Connection, revision: int) -> Plan | None:
            classes = Classes(live.log.class_states())
            info = classes.by_id(class_id)
            if name is not None:
                _check_free(classes, name, class_id)
            new_name = info.name if name is None else check_name(name)
            new_color = info.color if color is None else parse_color(color)
            if (new_name, new_color) == (info.name, info.color):
                return None
            said = [f"renamed class {info.name} to {new_name}"] if new_name != info.name else []
            said += [f"recoloured class {new_name}"] if new_color != info.color else []
            before = {"name": info.name, "color": list(info.color)}
            after = {"name": new_name, "color": list(new_color)}
            payload = {"class_id": class_id, "before": before, "after": after, "summary": " and ".join(said)}
            return Plan("class", payload)

        return self._engine.follower.edit(live, author, plan)

    def revert(self, author: Author, revision: int) -> Edit:
        """Take an edit back; of a revert: make what it took back effective again.

        Raises:
            Problem: 409 if it cannot be, naming why.
        """
        live = self._live

        def plan(connection: Connection, new: int) -> Plan:
            target = live.log.edits.get(revision)
            if target is None:
                raise _other_edit(connection, revision, live.name)
            by = live.log.reverted_by(revision)
            if by is not None:
                raise Problem(
                    409, f"Edit {revision} is already taken back by edit {by}.", received=revision,
                    allowed="an edit that is in effect", fix=f"Revert edit {by} to make it effective again.",
                )  # fmt: skip
            payload = {"reverts": revision, "summary": _reverting(live.log, target)}
            edit = Edit(new, live.name, "revert", payload, author.name, author.reason, now())
            _check_outcome(live, live.log.changes(edit), revision)
            return Plan("revert", payload)

        return _made(self._engine.follower.edit(live, author, plan))

    @property
    def _live(self) -> LiveRelease:
        return self.served.live


def counted(names: Iterable[str]) -> str:
    """Exemplars by their classes' names, in words."""
    counts = Counter(names)
    total = sum(counts.values())
    many = "an exemplar" if total == 1 else f"{total} exemplars"
    if len(counts) == 1:
        return f"{many} of {next(iter(counts))}"
    return f"{many}: " + ", ".join(f"{count} of {name}" for name, count in counts.most_common())


def _name(classes: Classes, class_id: int) -> str:
    known = class_id < len(classes.states)
    return classes.states[class_id].info.name if known else classes.new[class_id - len(classes.states)].name


def _exemplar(log: EditLog, class_id: int, piece: Piece, picture: ImageFile, source: str) -> AddedExemplar:
    """A piece as an exemplar, whose id follows from its content."""
    name = exemplar_id(piece.prototype, class_token(log, class_id, piece.ref), source, piece.mask)
    return AddedExemplar(
        name, piece.prototype, class_id, 1.0, picture.image_id, source, picture.width, picture.height,
        piece.bbox, piece.area, piece.mask,
    )  # fmt: skip


def class_token(log: EditLog, class_id: int, ref: ClassRef) -> str:
    """What stands for a class in an exemplar's id: it outlives a new name, and differs between classes of one name."""
    states = log.class_states()
    if class_id < len(log.classes):
        return log.first_name(class_id)
    first = log.first_name(class_id) if class_id < len(states) else check_name(str(ref.name))
    return f"{first}#{class_id}"


def _corrections(connection: Connection, live: LiveRelease, record: Record) -> list[AddedExemplar]:
    """The effective corrections of a segment, oldest first."""
    facts = record.segmentation
    query = select(ExemplarRow.exemplar_id).where(
        ExemplarRow.release == live.name, ExemplarRow.image_id == facts.image_id, ExemplarRow.mask == record.counts
    )
    found = []
    for name in connection.execute(query.order_by(ExemplarRow.revision)).scalars():
        row = live.state.row(name)
        added = None if row is None else live.state.added(row)
        labels = live.log.edits[live.log.added_in[name]].kind == "label" if added is not None else False
        if added is not None and labels and live.log.is_alive(name):
            found.append(added)
    return found


def _correction(
    live: LiveRelease, record: Record, class_id: int, ks: set[int], earlier: Sequence[AddedExemplar]
) -> AddedExemplar:
    """The segment as an exemplar, with the strength that it needs where earlier corrections are gone."""
    gone = {live.state.row(e.exemplar_id) for e in earlier}
    strength = needed_strength(live.state, record.prototype, class_id, ks, gone)
    facts, source = record.segmentation, f"correction of segment {record.segment_id}"
    token = f"{live.log.first_name(class_id) if class_id < len(live.log.class_states()) else ''}#{class_id}"
    name = exemplar_id(record.prototype, token, f"{source}\0{strength:g}", record.counts)
    return AddedExemplar(
        name, record.prototype, class_id, strength, str(facts.image_id), source, facts.width, facts.height,
        record.bbox, record.area, record.counts,
    )  # fmt: skip


def _check_free(classes: Classes, name: str, but: int | None) -> None:
    found = classes.by_name(name)
    if found is not None and found.class_id != but:
        raise Problem(
            409, f"There is a class {found.name!r} already.", received=name, allowed="a name that no other class has",
            fix=f"Use class {found.class_id}, or choose another name.",
        )  # fmt: skip


def _check_outcome(live: LiveRelease, changes: Changes, revision: int) -> None:
    """Refuse a revert after which the state would contradict itself."""
    for other, by in changes.reverted.items():
        if by is not None and live.log.reverted_by(other) is not None:
            raise _cannot(revision, f"edit {other} is taken back by edit {live.log.reverted_by(other)}")
    coming = [name for name, there in changes.alive.items() if there]
    if live.state.count + 2 * len(coming) - len(changes.alive) < 1:
        raise _nothing_left(live, revision)
    states = dict(enumerate(live.log.class_states())) | changes.classes
    alive = live.state.counts_per_class.copy()
    for name, there in changes.alive.items():
        alive[_class_of(live.state, name)] += 1 if there else -1
    for class_id, state in states.items():
        if state.retired and class_id < len(alive) and alive[class_id]:
            raise _cannot(
                revision, f"class {state.info.name!r} would be gone, of which {alive[class_id]} exemplars stay"
            )
    names = Counter(state.info.name.casefold() for state in states.values() if not state.retired)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise _cannot(revision, f"there would be two classes {twice!r}")


def _class_of(state: LiveExemplars, name: str) -> int:
    row = state.row(name)
    return int(state.class_ids(np.array([row]))[0])


def _cannot(revision: int, why: str) -> Problem:
    return Problem(
        409, f"Edit {revision} cannot be taken back: {why}.", received=revision,
        fix="Take back the edits that stand in the way first, the latest first; GET /edits lists them.",
    )  # fmt: skip


def _gone_already(log: EditLog, names: Sequence[str]) -> Problem:
    return Problem(
        409, "Already removed.", received={name: f"since revision {log.removed_in(name)}" for name in names[:20]},
        allowed="exemplars that are there", fix="Revert that revision to bring them back.",
    )  # fmt: skip


def _nothing_left(live: LiveRelease, received: Any) -> Problem:
    return Problem(
        409, "No exemplar would be left, and nothing could be labelled.", received=received,
        allowed=f"fewer than the {live.state.count} that are there", fix="Add exemplars first.",
    )  # fmt: skip


def _not_kept(segment_id: str) -> Problem:
    return Problem(
        409, "The picture of this segment is not kept any more, and an exemplar is never without its picture.",
        received=segment_id, allowed="segments whose picture is kept: image_url of GET /segmentations",
        fix="Send the picture to POST /segment again and correct the segment there; SEGSORT_KEEP_IMAGES_MB says how "
        "many are kept.",
    )  # fmt: skip


def _other_edit(connection: Connection, revision: int, release: str) -> Problem:
    found = find_edit(connection, revision)
    if found is None:
        return no_edit(revision)
    return Problem(
        409, "The edit was made on another release than the one that is served.", received=found.release,
        allowed=release, fix=f"Serve release {found.release!r} to take it back.",
    )  # fmt: skip


def no_edit(revision: int) -> Problem:
    """404: there is no edit of this revision."""
    return Problem(
        404, "There is no such edit.", received=revision, allowed="a revision of GET /edits",
        fix="Take the revision from GET /edits.",
    )  # fmt: skip


def _reverting(log: EditLog, target: Edit) -> str:
    """What taking an edit back amounts to, in words."""
    redone = False
    while target.kind == "revert":
        target, redone = log.edits[target.payload["reverts"]], not redone
    return f"{'restored' if redone else 'took back'} edit {target.revision}: {target.payload['summary']}"


def _made(edit: Edit | None) -> Edit:
    assert edit is not None  # its plan always writes
    return edit
