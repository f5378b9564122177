"""A release with the edits made on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from model_store.live import AddedExemplar, LiveExemplars
from model_store.release import Release
from service.records.edit_log import ClassState, Edit, EditLog
from service.records.edit_rows import ReleaseKey
from service.records.image_store import unnamed_source


@dataclass
class LiveRelease:
    """A release with the edits made on it.

    Attributes:
        release: as it was built.
        state: an immutable snapshot, replaced by each edit. A reader takes it once and queries the log at its revision.
        log: the edits.
    """

    release: Release
    state: LiveExemplars
    log: EditLog

    @classmethod
    def of(cls, state: LiveExemplars) -> "LiveRelease":
        """A release before its first edit."""
        release = state.release
        classes = [ClassState(info, info.class_id in release.card.retired) for info in release.card.classes]
        return cls(release, state, EditLog(classes, release.rows))

    @property
    def name(self) -> str:
        return self.release.card.name

    @property
    def digest(self) -> str:
        """Identifies the content of the release."""
        return self.release.digest

    @property
    def key(self) -> ReleaseKey:
        """Its name and its digest."""
        return ReleaseKey(self.name, self.digest)

    def exemplars_of_image(self, image_id: str) -> int:
        """Number of exemplars of an image that vote: those that edits added, and those that were marks of an earlier
        release when this one was made of it. Corrections of whole segments are not counted among the latter."""
        return len(self.state.added_to_image(image_id)) + self._built_in.get(unnamed_source(image_id), 0)

    @cached_property
    def _built_in(self) -> dict[str, int]:
        """Number of the release's exemplars by the source of their image, of images that have no other name."""
        counts = np.bincount(self.release.exemplars.image_ids, minlength=len(self.release.sources))
        return {
            one.source: int(count)
            for one, count in zip(self.release.sources, counts.tolist(), strict=True)
            if one.source.startswith(unnamed_source(""))
        }

    def advance(self, revision: int, edits: Sequence[Edit], added: Sequence[AddedExemplar]) -> None:
        """Apply all edits of this release up to a revision.

        Args:
            revision: of the whole log; later than that of `state`.
            edits: the edits of this release since the revision of `state`, in their order.
            added: the exemplars that they added, in their order.
        """
        if not edits:
            self.state = self.state.edited(revision)
            return
        alive: dict[str, bool] = {}
        classes_changed = False
        for edit in edits:
            changes = self.log.append(edit)
            alive |= changes.alive
            classes_changed = classes_changed or bool(changes.classes)
        classes = self._classes() if classes_changed else {}
        self.state = self.state.edited(revision, added=added, alive=alive, **classes)

    def _classes(self) -> dict[str, Any]:
        states = self.log.class_states()
        return {
            "classes": [state.info for state in states],
            "retired": frozenset(n for n, state in enumerate(states) if state.retired),
        }
