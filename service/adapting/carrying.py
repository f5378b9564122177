"""Carrying over: edits made on a release while it was adapted are made on the new release too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from model_store.explanation import exemplar_facts
from model_store.live import LiveExemplars
from segsort.masks import decode_rle
from segsort.pixel_sorting import sorting_features
from segsort.segments import prototypes
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.editing.class_names import ClassRef
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
    out.

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
        self.revision, self.edits = since, 0

    @contextmanager
    def __call__(self, old: ServedRelease, new: ServedRelease) -> Iterator[None]:
        """Carry over all edits. In the block, no edit is made; after it, edits of the old release are refused."""
        for _ in range(_ROUNDS):
            if not self._carry(old, new):
                break
        with self._engine.follower.no_edits():
            self._carry(old, new)
            yield
            self._engine.follower.close_release(old.name, new.name)

    def _carry(self, old: ServedRelease, new: ServedRelease) -> bool:
        """Carry over the edits up to the present revision of the old release; whether there were any."""
        state, since = old.live.state, self.revision
        edits = [edit for revision, edit in sorted(old.live.log.edits.items()) if since < revision <= state.revision]
        if edits:
            curation = Curation(self._engine.follower, new)
            self._carry_classes(old, curation, state.revision)
            self._carry_added(old, new, curation, state)
            self._carry_removed(old, curation, state.revision)
        self.revision = state.revision
        return bool(edits)

    def _carry_classes(self, old: ServedRelease, curation: Curation, revision: int) -> None:
        log = old.live.log
        before, after = log.class_states(self.revision), log.class_states(revision)
        by = self._author(old, None)
        for class_id, state in enumerate(after):
            is_new = class_id >= len(before) or before[class_id].retired
            color = "#{:02x}{:02x}{:02x}".format(*state.info.color)
            if state.retired or (is_new and class_id in self._classes):
                continue
            if is_new:
                edit = curation.make_class(by, state.info.name, color)
                self._classes[class_id] = edit.class_after.class_id
                self.edits += 1
            elif state.info != before[class_id].info:
                changed = curation.change_class(by, self._class_of(class_id), state.info.name, color)
                self.edits += changed is not None

    def _carry_added(self, old: ServedRelease, new: ServedRelease, curation: Curation, state: LiveExemplars) -> None:
        log = old.live.log
        groups: dict[tuple[int, str, str], list[str]] = defaultdict(list)
        for name in log.touched():
            since = log.alive_since(name, state.revision)
            if since is not None and since > self.revision and not log.is_alive(name, self.revision):
                groups[since, *self._image_of(state, name)].append(name)
        for (revision, _, source), names in sorted(groups.items()):
            rows = [row for row in map(state.row, names) if row is not None]
            file = exemplar_file(old.live, rows[0], self._engine.records.images)
            pieces = self._pieces(new, file.content, state, rows)
            added = curation.add(self._author(old, log.edits[revision]), Source(file, source), pieces)
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
        embeddings = self._engine.embed(self._engine.decode(content, new), None, new)[0].cpu()
        features = sorting_features(embeddings[None].float(), 0)[0]
        pieces = []
        for row in rows:
            facts = exemplar_facts(state, row)
            inside = decode_rle(facts["mask"]["counts"], tuple(facts["mask"]["size"]))
            labels = np.where(inside, 0, -1).astype(np.int32)
            prototype = prototypes(embeddings, features, labels, 1)[0]
            ref = ClassRef(class_id=self._class_of(facts["class_id"]))
            strong = facts["strength"] > 1
            pieces.append(Piece(prototype, ref, tuple(facts["bbox"]), facts["area"], facts["mask"]["counts"], strong))
        return pieces

    def _class_of(self, class_id: int) -> int:
        """The id that a class of the old release has in the new one."""
        return self._classes.get(class_id, class_id)

    @staticmethod
    def _image_of(state: LiveExemplars, name: str) -> tuple[str, str]:
        """Which image an exemplar is of, for sorting, and the name of that image."""
        row = state.row(name)
        if row is None:
            raise RuntimeError(f"exemplar {name} of an edit is not in its release")
        added = state.added(row)
        if added is not None:
            return added.image_id, added.source
        image_id = int(state.release.exemplars.image_ids[row])
        return str(image_id), state.release.sources[image_id].source

    @staticmethod
    def _author(old: ServedRelease, edit: Edit | None) -> Author:
        if edit is None:
            return Author("adaptation", f"carried over from release {old.name}")
        told = f": {edit.reason}" if edit.reason else ""
        return Author(
            edit.author, f"carried over from edit {edit.revision} of release {old.name}{told}"[:_LONGEST_REASON]
        )
