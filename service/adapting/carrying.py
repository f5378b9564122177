"""Carrying over: edits made on a release while it was adapted are made on the new release too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from model_store.card import ClassInfo
from model_store.explanation import exemplar_facts
from model_store.live import LiveExemplars, Scope
from segsort.arrays import on_host
from segsort.masks import decode_rle
from service.answering.engine import Engine
from service.answering.remeasuring import prototypes_of
from service.answering.served import ServedRelease
from service.editing.class_names import Classes, ClassRef
from service.editing.curation import Curation
from service.editing.pieces import Piece, Source
from service.explaining.exemplar_detail import exemplar_file
from service.records.edit_log import Edit
from service.records.follower import Author

_ROUNDS = 5  # of carrying edits over while others are made; the last ones are carried over while edits wait
_LONGEST_REASON = 1000  # characters


class Carrier:
    """Makes the edits of one release on another one that was adapted from it.

    Exemplars that were added are embedded again from their images, with the network of the new release. Exemplars that
    were removed are removed, and classes are created, renamed and recoloured. What an edit and its revert undo is left
    out. Exemplars that vote for one image alone are no part of a release; all of them are carried over.

    Args:
        engine: embeds images.
        since: revision of the old release that the new one was made of.
        ids: for each exemplar alive at that revision: its id in the new release.

    Attributes:
        edits: number of edits made on the new release.
        revision: of the last edit of the old release that is carried over.
    """

    def __init__(self, engine: Engine, since: int, ids: dict[str, str]) -> None:
        self._engine, self._ids = engine, ids
        self._classes: dict[int, int] = {}  # classes created since, and their ids in the new release
        self._since = self.revision = since
        self.edits = 0

    @contextmanager
    def __call__(self, old: ServedRelease, new: ServedRelease) -> Iterator[None]:
        """Carry over all edits. In the block, no edit is made; after it, edits of the old release are refused."""
        for _ in range(_ROUNDS):
            if not self._carry(old, new):
                break
        with self._engine.follower.no_edits():
            self._carry(old, new)
            yield
            self._engine.follower.close_release(old.live, new.name)

    def _carry(self, old: ServedRelease, new: ServedRelease) -> bool:
        """Carry over the edits up to the present revision of the old release; whether there were any."""
        state, since = old.live.state, self.revision
        edits = [edit for revision, edit in sorted(old.live.log.edits.items()) if since < revision <= state.revision]
        if edits or self._of_one_image(old, state):
            curation = Curation(self._engine.follower, new, self._engine.records.images)
            self._carry_classes(old, curation, state.revision)
            self._carry_added(old, new, curation, state)
            self._carry_removed(old, curation, state.revision)
        self.revision = state.revision
        return bool(edits)

    def _carry_classes(self, old: ServedRelease, curation: Curation, revision: int) -> None:
        """Rename and recolour classes, then create the new ones, whose names may be those that the others gave up."""
        log = old.live.log
        before, after = log.class_states(self.revision), log.class_states(revision)
        new, by = list[ClassInfo](), self._author(old, None)
        for class_id, state in enumerate(after):
            if state.retired:
                continue
            if class_id >= len(before) or before[class_id].retired:
                new.append(state.info)
            elif state.info != before[class_id].info:
                changed = curation.change_class(by, self._class_of(class_id), state.info.name, _hex(state.info))
                self.edits += changed is not None
        for info in new:
            if info.class_id not in self._classes:
                self._carry_new_class(info, by, curation)

    def _carry_new_class(self, info: ClassInfo, by: Author, curation: Curation) -> None:
        """Create a class, unless one has its name, for example because an attempt before this one failed later."""
        present = Classes(curation.served.live.log.class_states()).named(info.name)
        if present:
            self._classes[info.class_id] = present[0].class_id
            recoloured = curation.change_class(by, present[0].class_id, None, _hex(info))
            self.edits += recoloured is not None
        else:
            edit = curation.make_class(by, info.name, _hex(info))
            self._classes[info.class_id] = edit.class_after.class_id
            self.edits += 1

    def _carry_added(self, old: ServedRelease, new: ServedRelease, curation: Curation, state: LiveExemplars) -> None:
        log = old.live.log
        of_one_image = self._of_one_image(old, state)
        groups: dict[tuple[int, str, str, Scope], list[str]] = defaultdict(list)
        for name in log.touched():
            since = log.alive_since(name, state.revision)
            later = since is not None and since > self.revision and not log.is_alive(name, self.revision)
            if since is not None and (later or name in of_one_image):
                groups[since, *self._image_of(state, name)].append(name)
        for (revision, _, source, scope), names in sorted(groups.items()):
            rows = [row for row in map(state.row, names) if row is not None]
            file = exemplar_file(old.live, rows[0], self._engine.records.images)
            pieces = self._pieces(new, file.content, state, rows)
            added = curation.add(self._author(old, log.edits[revision]), Source(file, source), pieces, scope=scope)
            self._ids |= {name: one.exemplar_id for name, one in zip(names, added.exemplars, strict=True)}
            self.edits += added.edit is not None

    def _carry_removed(self, old: ServedRelease, curation: Curation, revision: int) -> None:
        log = old.live.log
        groups: dict[int, list[str]] = defaultdict(list)
        for name in log.touched():
            removed = log.removed_in(name, revision)
            there = self._ids.get(name)
            if removed is None or there is None or not log.is_alive(name, self.revision):
                continue
            if curation.served.live.log.is_alive(there):
                groups[removed].append(there)
        for removed, names in sorted(groups.items()):
            curation.remove(self._author(old, log.edits[removed]), names)
            self.edits += 1

    def _pieces(self, new: ServedRelease, content: bytes, state: LiveExemplars, rows: Sequence[int]) -> list[Piece]:
        """The exemplars of one image as pieces, with prototypes of the new network."""
        embeddings = on_host(self._engine.embed(self._engine.decode(content, new), None, new)[0])
        found = [exemplar_facts(state, row) for row in rows]
        areas = (decode_rle(facts["mask"]["counts"], tuple(facts["mask"]["size"])) for facts in found)
        return [
            Piece(
                prototype, ClassRef(class_id=self._class_of(facts["class_id"])), tuple(facts["bbox"]), facts["area"],
                facts["mask"]["counts"], stroked=facts["strength"] > 1,
            )
            for facts, prototype in zip(found, prototypes_of(embeddings, areas), strict=True)
        ]  # fmt: skip

    def _class_of(self, class_id: int) -> int:
        """The id that a class of the old release has in the new one."""
        return self._classes.get(class_id, class_id)

    def _of_one_image(self, old: ServedRelease, state: LiveExemplars) -> set[str]:
        """Alive exemplars that vote for one image alone, which the new release lacks because it has no such exemplars.

        They were added up to the revision that the new release was made of. Those of later edits are carried over with
        these edits.
        """
        log, names = old.live.log, state.ids(state.rows_of_other_images(None))
        before = (name for name in names if name not in self._ids and log.added_in[name] <= self._since)
        return {name for name in before if log.is_alive(name, state.revision)}

    @staticmethod
    def _image_of(state: LiveExemplars, name: str) -> tuple[str, str, Scope]:
        """Which image an exemplar is of, for sorting, the name of that image, and which images it votes for."""
        row = state.row(name)
        if row is None:
            raise RuntimeError(f"exemplar {name} of an edit is not in its release")
        added = state.added(row)
        if added is not None:
            return added.image_id, added.source, added.scope
        image_id = int(state.release.exemplars.image_ids[row])
        return str(image_id), state.release.sources[image_id].source, "all"

    @staticmethod
    def _author(old: ServedRelease, edit: Edit | None) -> Author:
        if edit is None:
            return Author("adaptation", f"carried over from release {old.name}")
        told = f": {edit.reason}" if edit.reason else ""
        return Author(
            edit.author, f"carried over from edit {edit.revision} of release {old.name}{told}"[:_LONGEST_REASON]
        )


def _hex(info: ClassInfo) -> str:
    """The colour of a class as "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*info.color)
