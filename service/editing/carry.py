"""Carrying over: the edits of earlier releases of a name are made on the present one, as one edit."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from model_store.card import ClassInfo
from model_store.class_names import name_key
from model_store.live import AddedExemplar, Scope
from model_store.release import Release
from service.answering.release_view import ReleaseView
from service.answering.remeasuring import Measuring
from service.editing.class_names import Classes, ClassRef
from service.editing.curation import counted
from service.editing.earlier_state import EarlierState, earlier_state
from service.editing.pieces import ImageFacts, Mark, Piece
from service.editing.planning import Planned, after, plan_marks
from service.problems import Problem
from service.records.database import Records
from service.records.earlier_edits import UNKNOWN, carried_of, earlier_groups, of_others
from service.records.edit_log import ClassState, Edit
from service.records.edit_rows import read_added, read_edits_where
from service.records.follower import Author, Follower, Plan
from service.records.live_release import LiveRelease
from service.records.tables import EditRow

OpenCopy = Callable[[str], Release | None]  # a copy of an earlier release by its digest
Report = Callable[[int, int], None]  # number of images that are done, and of all


class CarriedOver(NamedTuple):
    """What was carried over.

    edit: None: nothing waited; exemplars: number of exemplars that the edit makes alive; left: what could not be
    carried over and why, in words.
    """

    edit: Edit | None
    exemplars: int
    left: list[str]


class _Wanted(NamedTuple):
    """Marks for every image or for one image, and the earlier exemplar of each."""

    marks: list[Mark]
    origins: list[str]


class _Sources(NamedTuple):
    """The edits that wait, replayed. last: by digest, the last edit; edits: their number."""

    states: list[EarlierState]
    last: dict[str, int]
    edits: int


class CarryOver:
    """Carries edits of earlier releases over to one release of their name.

    The exemplars that these edits leave get the prototypes that their pixels have with the network of the release.
    Their classes are matched by name, created, renamed and recoloured. What is carried over is noted in the edit, so
    that a second time adds nothing. Reverting the edit makes the earlier edits wait again.

    Args:
        records: the database.
        follower: appends to its log.
        live: the release.
        network: measures prototypes with its network.
        open_copy: opens a copy of an earlier release.
        report: called for each image.
    """

    def __init__(
        self,
        records: Records,
        follower: Follower,
        live: LiveRelease,
        network: Measuring,
        open_copy: OpenCopy,
        report: Report = lambda done, total: None,
    ) -> None:
        self._records, self._follower, self._live = records, follower, live
        self._open_copy, self._network, self._report = open_copy, network, report
        self._left: list[str] = []

    def measure(self) -> None:
        """Measure the prototypes of all exemplars that wait, without an edit."""
        self._follower.catch_up()
        with self._records.engine.connect() as connection:
            sources = self._sources(connection, carried_of(self._live.log))
        self._wanted(sources, counterparts_of(self._live))

    def __call__(self, author: Author) -> CarriedOver:
        """Carry over all edits that wait.

        Raises:
            Problem: 409 if another request carries them over at the same time, or there would be too many classes; 503
                if the database refuses the edit.
        """
        self._follower.catch_up()
        carried = carried_of(self._live.log)
        with self._records.engine.connect() as connection:
            sources = self._sources(connection, carried)
        if not sources.last:
            return CarriedOver(None, 0, [])
        done = counterparts_of(self._live)
        wanted = self._wanted(sources, done)
        coming = 0

        def plan(connection: Connection, revision: int) -> Plan:
            nonlocal coming
            if carried_of(self._live.log) != carried:
                raise Problem(
                    409, "The edits have just been carried over by another request.", received=self._live.name,
                    fix="Look at GET /edits, and send it again if edits still wait.",
                )  # fmt: skip
            found = self._plan(sources, wanted, done)
            coming = len(found.payload["exemplar_ids"])
            return found

        return CarriedOver(self._follower.edit(self._live, author, plan), coming, self._left)

    def _sources(self, connection: Connection, carried: Mapping[str, int]) -> _Sources:
        """Replay all edits of each earlier release that has edits which wait."""
        groups = earlier_groups(connection, self._live.key, carried)
        names = [state.info.name for state in self._live.log.class_states()]
        states = []
        for group in groups:
            of_group = (
                EditRow.release_digest == group.digest if group.digest != UNKNOWN else EditRow.release_digest.is_(None)
            )
            edits = read_edits_where(connection, of_others(self._live.key), of_group)
            added = read_added(connection, [edit.revision for edit in edits if edit.adds])
            by_id = {one.exemplar_id: one for some in added.values() for one in some}
            copy = None if group.digest == UNKNOWN else self._open_copy(group.digest)
            states.append(earlier_state(edits, by_id, copy, names))
        return _Sources(states, {group.digest: group.last for group in groups}, sum(group.edits for group in groups))

    def _wanted(self, sources: _Sources, done: Mapping[str, str]) -> dict[Scope, _Wanted]:
        """The marks of the exemplars that were not carried over yet, with prototypes of the present network."""
        found: dict[Scope, _Wanted] = {"all": _Wanted([], []), "image": _Wanted([], [])}
        images = [self._by_image(state, done) for state in sources.states]
        total, number = sum(map(len, images)), 0
        for state, by_image in zip(sources.states, images, strict=True):
            for image_id, exemplars in by_image.items():
                self._report(number, total)
                number += 1
                for one, mark in zip(exemplars, self._marks(image_id, exemplars, state), strict=False):
                    found[one.scope].marks.append(mark)
                    found[one.scope].origins.append(one.exemplar_id)
            if state.unknown:
                self._left.append(f"{state.unknown} removed exemplars: there is no copy of the earlier release")
        self._report(total, total)
        return found

    def _by_image(self, state: EarlierState, done: Mapping[str, str]) -> dict[str, list[AddedExemplar]]:
        """The exemplars of an earlier release that were not carried over yet, by image."""
        by_image: dict[str, list[AddedExemplar]] = defaultdict(list)
        for name, one in state.exemplars.items():
            if name in done:
                continue
            if not state.classes[one.class_id][1].info.name:
                self._left.append(f"exemplar {name}: the name of its class is not known")
            else:
                by_image[one.image_id].append(one)
        return by_image

    def _marks(self, image_id: str, exemplars: Sequence[AddedExemplar], state: EarlierState) -> list[Mark]:
        image = self._records.images.get(image_id)
        if image is None:
            self._left.append(f"{len(exemplars)} exemplars: their image {image_id[:12]} is not in the database")
            return []
        try:
            prototypes = self._network.prototypes(image_id, image.content, exemplars)
        except Problem as problem:
            self._left.append(f"{len(exemplars)} exemplars of image {image_id[:12]}: {problem.detail}")
            return []
        marks = []
        for one, prototype in zip(exemplars, prototypes, strict=True):
            info = state.classes[one.class_id][1].info
            ref = ClassRef(name=info.name, color="#{:02x}{:02x}{:02x}".format(*info.color))
            piece = Piece(prototype, ref, one.bbox, one.area, one.mask, stroked=one.strength > 1)
            marks.append(Mark(piece, ImageFacts(one.image_id, one.width, one.height), one.source))
        return marks

    def _plan(self, sources: _Sources, wanted: Mapping[Scope, _Wanted], done: Mapping[str, str]) -> Plan:
        live = self._live
        view = ReleaseView.current(live)
        changed = self._changed_classes(view, sources.states)
        states = list(view.classes)
        for info in changed:
            states[info.class_id] = ClassState(info, False)
        view, counterparts, plans = view._replace(classes=states), dict[str, str](), list[Planned]()
        for scope, some in wanted.items():
            if some.marks:
                planned = plan_marks(view, some.marks, scope, ())
                view = after(view, planned)
                plans.append(planned)
                counterparts |= {
                    name: one.exemplar_id for name, one in zip(some.origins, planned.exemplars, strict=True)
                }
        coming = {one.exemplar_id: one for planned in plans for one in planned.coming}
        new_classes = [info for planned in plans for info in planned.classes]
        new_classes += self._empty_classes(view, sources.states)
        replaces = {one.exemplar_id for planned in plans for one in planned.replaced}
        replaces |= self._removed(sources.states, done)
        names = {info.class_id: info.name for info in [*(state.info for state in view.classes), *new_classes]}
        edits = "1 edit" if sources.edits == 1 else f"{sources.edits} edits"
        what = counted([names[one.class_id] for one in coming.values()]) if coming else "no exemplars"
        payload = {
            "exemplar_ids": list(coming),
            "classes": [info.model_dump() for info in new_classes],
            "changed": [info.model_dump() for info in changed],
            "replaces": sorted(replaces - coming.keys()),
            "scope": "image" if coming and all(one.scope == "image" for one in coming.values()) else "all",
            "carried": sources.last,
            "counterparts": counterparts,
            "summary": f"carried over {edits} of an earlier {live.name}: {what}",
        }
        return Plan("carry", payload, [one for name, one in coming.items() if live.state.row(name) is None])

    def _changed_classes(self, view: ReleaseView, states: Sequence[EarlierState]) -> list[ClassInfo]:
        """Classes of the release that the earlier edits renamed or recoloured, where no other class has the name."""
        classes, found = Classes(view.classes), dict[int, ClassInfo]()
        for state in states:
            for before, after_edits in state.classes:
                present = None if before is None or after_edits.info.name in ("", before) else classes.named(before)
                taken = {
                    name_key(info.name) for info in classes.active if name_key(info.name) != name_key(before or "")
                }
                if present and len(present) == 1 and name_key(after_edits.info.name) not in taken:
                    own = present[0]
                    found[own.class_id] = own.model_copy(
                        update={"name": after_edits.info.name, "color": after_edits.info.color}
                    )
        return list(found.values())

    @staticmethod
    def _empty_classes(view: ReleaseView, states: Sequence[EarlierState]) -> list[ClassInfo]:
        """Classes that earlier edits made and that are still missing, because they have no exemplars."""
        classes = Classes(view.classes)
        for state in states:
            for before, made in state.classes:
                if before is None and not made.retired:
                    classes.find(ClassRef(name=made.info.name, color="#{:02x}{:02x}{:02x}".format(*made.info.color)))
        return classes.new

    def _removed(self, states: Sequence[EarlierState], done: Mapping[str, str]) -> set[str]:
        """Living exemplars whose counterparts are removed: those of the release by their pixels, and carried ones."""
        live, removed = self._live, {place for state in states for place in state.removed}
        exemplars, sources = live.release.exemplars, live.release.sources
        found = set()
        if removed:
            places = zip(exemplars.ids, exemplars.image_ids.tolist(), exemplars.masks, strict=True)
            found = {name for name, image, mask in places if (sources[image].source, mask) in removed}
            if len(found) < len(removed):
                self._left.append(f"{len(removed) - len(found)} removed exemplars: this release does not have them")
        dead = {name for state in states for name in state.added - state.exemplars.keys()}
        found |= {new for old, new in done.items() if old in dead}
        return {name for name in found if live.log.is_alive(name)}


def counterparts_of(live: LiveRelease) -> dict[str, str]:
    """By id of an exemplar of an earlier release: the one that the edits in effect made of it."""
    found: dict[str, str] = {}
    for revision, edit in list(live.log.edits.items()):  # another thread may append
        if edit.kind == "carry" and live.log.reverted_by(revision) is None:
            found |= edit.payload["counterparts"]
    return found
