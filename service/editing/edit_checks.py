"""Edits that are refused, each with a problem that says why and what to do."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from sqlalchemy import Connection

from model_store.class_names import name_key
from model_store.live import LiveExemplars
from service.editing.class_names import Classes, shown
from service.editing.edit_list import find_edit
from service.problems import Problem
from service.records.edit_log import Changes, ClassState, Edit, EditLog
from service.records.live_release import LiveRelease


def check_free(classes: Classes, name: str, class_id: int | None) -> None:
    """Check that no other class has a name.

    Args:
        classes: the present classes.
        name: compared without regard to case.
        class_id: the class that is to have the name; None for a new class.

    Raises:
        Problem: 409 if another class has the name.
    """
    others = [info for info in classes.active if info.class_id != class_id and name_key(info.name) == name_key(name)]
    if others:
        found = others[0]
        raise Problem(
            409, f"A class named {found.name!r} already exists.", received=shown(name),
            allowed="a name that differs from all others by more than case",
            fix=f"Use the class {found.name!r}, whose class_id is {found.class_id}, or choose another name.",
        )  # fmt: skip


def check_known(live: LiveRelease, exemplar_ids: Sequence[str]) -> None:
    """Check that a release has exemplars, living or removed.

    Raises:
        Problem: 404 if it lacks one.
    """
    unknown = [name for name in exemplar_ids if live.state.row(name) is None]
    if unknown:
        raise Problem(
            404, f"The release {live.name!r} has no such exemplar.", received=unknown[:20],
            allowed="an exemplar_id of GET /exemplars", fix="Take the ids from an answer of this release.",
        )  # fmt: skip


def check_not_reverted(log: EditLog, revision: int) -> None:
    """Check that an edit is effective.

    Raises:
        Problem: 409 if it is reverted.
    """
    by = log.reverted_by(revision)
    if by is not None:
        raise Problem(
            409, f"Edit {revision} is already reverted by edit {by}.", received=revision,
            allowed="an edit that is in effect", fix=f"Revert edit {by} to restore edit {revision}.",
        )  # fmt: skip


def check_revert(live: LiveRelease, changes: Changes, revision: int) -> None:
    """Check that the state after a revert is consistent.

    Args:
        live: the release.
        changes: what the revert changes.
        revision: of the edit that is to be reverted.

    Raises:
        Problem: 409 if it is not, with the reason.
    """
    for other, by in changes.reverted.items():
        if by is not None and live.log.reverted_by(other) is not None:
            raise _cannot_revert(revision, f"edit {other} is reverted by edit {live.log.reverted_by(other)}")
    _check_classes(live, changes, revision)


def _check_classes(live: LiveRelease, changes: Changes, revision: int) -> None:
    states = dict(enumerate(live.log.class_states())) | changes.classes
    alive = live.state.counts_per_class.copy()
    for name, lives in changes.alive.items():
        alive[_class_of(live.state, name)] += 1 if lives else -1
    for class_id, state in states.items():
        if state.retired and class_id < len(alive) and alive[class_id]:
            raise _cannot_revert(
                revision, f"class {state.info.name!r} would be removed, but {alive[class_id]} of its exemplars stay"
            )
    twice = _names(states.values()) - _names(live.log.class_states())
    shared = next((name for name, count in twice.items() if _names(states.values())[name] > 1), None)
    if shared is not None:
        raise _cannot_revert(revision, f"two classes would be named {shared!r}")


def _names(states: Iterable[ClassState]) -> Counter[str]:
    """How many present classes have each name, without regard to case."""
    return Counter(name_key(state.info.name) for state in states if not state.retired)


def _class_of(state: LiveExemplars, name: str) -> int:
    return int(state.class_ids(np.array([state.row(name)]))[0])


def _cannot_revert(revision: int, why: str) -> Problem:
    return Problem(
        409, f"Edit {revision} cannot be reverted: {why}.", received=revision,
        fix="First revert the later edits that depend on it, the latest first. GET /edits lists them.",
    )  # fmt: skip


def already_removed(log: EditLog, exemplar_ids: Sequence[str]) -> Problem:
    """409: all exemplars to remove are removed."""
    since = {name: f"since revision {log.removed_in(name)}" for name in exemplar_ids[:20]}
    return Problem(
        409, "These exemplars are already removed.", received=since, allowed="exemplars that are alive",
        fix="To restore them, revert the edit with that revision.",
    )  # fmt: skip


def image_not_kept(segment_id: str) -> Problem:
    """409: a segment cannot become an exemplar without its image."""
    return Problem(
        409, "The image of this segment is no longer kept, and an exemplar needs its image.", received=segment_id,
        allowed="segments whose image is kept: image_url of GET /segmentations",
        fix="Send the image to POST /segment again and correct the new segment. The operator can keep more images with "
        "SEGSORT_KEEP_IMAGES_MB.",
    )  # fmt: skip


def edit_of_another_release(connection: Connection, revision: int, release: str) -> Problem:
    """409: an edit belongs to another release than the served one; 404 if there is no such edit."""
    found: Edit | None = find_edit(connection, revision)
    if found is None:
        return no_edit(revision)
    if found.release == release:
        return Problem(
            409, f"The edit was made on an earlier release of the name {release!r}, and has no effect on this one.",
            received=revision, allowed="edits of the served release",
            fix="Nothing is to be done. If it was carried over, revert the edit of kind carry.",
        )  # fmt: skip
    return Problem(
        409, "The edit was made on another release than the served one.", received=found.release, allowed=release,
        fix=f"Serve release {found.release!r}, then revert the edit.",
    )  # fmt: skip


def no_edit(revision: int) -> Problem:
    """404: there is no edit with a revision."""
    return Problem(
        404, "There is no edit with this revision.", received=revision, allowed="a revision of GET /edits",
        fix="Take the revision from GET /edits.",
    )  # fmt: skip
