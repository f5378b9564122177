"""The preview of an edit of exemplars: the labels of recent images that it would change. Nothing is written."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_store.live import LiveExemplars
from segsort.retrieval import NO_CLASS
from service.answering.links import image_url, segment_crop_url
from service.editing.class_changes import ClassChange, images_of, relabelled
from service.editing.class_names import Classes
from service.editing.edit_checks import check_known
from service.editing.effect import labels_now
from service.records.database import Answered, Records
from service.records.live_release import LiveRelease


def state_after(
    live: LiveRelease, removed: Sequence[str], changes: Sequence[ClassChange]
) -> tuple[LiveExemplars, LiveExemplars]:
    """The present exemplars of a release, and those after an edit that is not made.

    Args:
        live: the release.
        removed: ids of the exemplars that the edit removes; those that are removed already are ignored.
        changes: exemplars that get another class.

    Raises:
        Problem: 404 if an exemplar or a class does not exist; 409 if an exemplar to relabel is removed.
    """
    names = [one.exemplar_id for one in changes]
    check_known(live, [*removed, *names])
    classes = Classes(live.log.class_states())
    made = relabelled(live, changes, classes, images_of(live, names))
    state = live.state
    alive = {**dict.fromkeys(removed, False), **{one.old: False for one in made}}
    alive |= {one.new.exemplar_id: True for one in made}
    new = {one.new.exemplar_id: one.new for one in made if state.row(one.new.exemplar_id) is None}
    infos = [*state.classes, *classes.new]
    return state, state.edited(state.revision, added=list(new.values()), alive=alive, classes=infos)


def preview_of(
    records: Records,
    live: LiveRelease,
    removed: Sequence[str],
    changes: Sequence[ClassChange],
    recent: int,
    owner: str | None = None,
) -> dict[str, Any]:
    """Compare the labels that recent images have now with those that they would have after an edit.

    Args:
        records: the recorded answers.
        live: the release.
        removed: see `state_after`.
        changes: see `state_after`.
        recent: number of recent images: of each, the newest answer is compared.
        owner: only answers of this key; None: of all.

    Raises:
        Problem: see `state_after`.
    """
    before, after = state_after(live, removed, changes)
    listed = records.newest(recent, release=live, load="facts", owner=owner, latest=True)
    kept = records.images.which({a.facts.image_id for a in listed if a.facts.image_id is not None})
    answers = records.each([one.facts.segmentation_id for one in listed], load="prototypes")
    changed = [one for answered in answers for one in _changed(answered, before, after, kept)]
    return {
        "index_revision": before.revision,
        "answers": len(listed),
        "compared": sum(answered.facts.segment_count for answered in listed),
        "changed": changed,
    }


def _changed(answered: Answered, before: LiveExemplars, after: LiveExemplars, kept: set[str]) -> list[dict[str, Any]]:
    facts = answered.facts
    before, after = (state.for_image(facts.image_id) for state in (before, after))
    old, new = (labels_now(state, answered.prototypes, facts.k) for state in (before, after))
    known = new.known(after, answered)
    return [
        {
            "segment_id": answered.segment_id(n),
            "before": _name(before, int(old.class_ids[n])),
            "after": _name(after, int(new.class_ids[n])),
            "known": known[n],
            "image_id": facts.image_id,
            "image_url": image_url(facts.segmentation_id) if facts.image_id in kept else None,
            "crop_url": segment_crop_url(answered.segment_id(n)),
        }
        for n in np.flatnonzero(old.class_ids != new.class_ids).tolist()
    ]


def _name(state: LiveExemplars, class_id: int) -> str | None:
    return None if class_id == NO_CLASS else state.classes[class_id].name
