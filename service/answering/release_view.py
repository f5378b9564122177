"""A release at one revision: its exemplars, and its classes with the names that they had then."""

from typing import Any, NamedTuple

from model_store.card import ClassInfo
from model_store.live import LiveExemplars
from service.records.edit_log import ClassState
from service.records.live_release import LiveRelease


class ReleaseView(NamedTuple):
    """A release at a revision.

    live: the release; state: its exemplars, at this revision or a later one, perhaps in the view for one image;
    classes: by class_id, at this revision.
    """

    live: LiveRelease
    state: LiveExemplars
    revision: int
    classes: list[ClassState]

    @classmethod
    def current(cls, live: LiveRelease, image_id: str | None = None) -> "ReleaseView":
        """The release at its present revision, for one image. Later edits do not change the view.

        Args:
            live: the release.
            image_id: the image whose own exemplars vote too; None: those of no image.
        """
        state = live.state
        return cls(live, state.for_image(image_id), state.revision, live.log.class_states(state.revision))

    @classmethod
    def at_revision(cls, live: LiveRelease, revision: int) -> "ReleaseView":
        """The release at a past revision; `state` may hold exemplars that were added later."""
        return cls(live, live.state, revision, live.log.class_states(revision))

    @property
    def infos(self) -> list[ClassInfo]:
        """All classes by class_id, retired ones too."""
        return [entry.info for entry in self.classes]

    def name(self, class_id: int | None) -> str | None:
        """The name of a class at this revision; None for the class None."""
        return None if class_id is None else self.classes[class_id].info.name

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The classes that are not retired, as JSON."""
        return [class_json(entry.info) for entry in self.classes if not entry.retired]


def class_json(info: ClassInfo) -> dict[str, Any]:
    """A class as JSON: class_id, name, and color as "#rrggbb"."""
    return {"class_id": info.class_id, "name": info.name, "color": "#{:02x}{:02x}{:02x}".format(*info.color)}
