"""The four lists of an audit: what is computed once for a revision, and what a request selects from it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from model_store.auditing import (
    MOST_NEIGHBOURS,
    Contradictions,
    Material,
    Nearest,
    contradictions,
    duplicate_groups,
    nearest_of_all,
    thin_classes,
)
from model_store.live import LiveExemplars
from service.auditing.entries import Entries
from service.auditing.wrong_votes import WrongVotes, wrong_votes
from service.records.database import Records
from service.records.live_release import LiveRelease

Kind = Literal["contradicted", "duplicates", "thin", "corrections"]
Sort = Literal["doubt", "class", "newest"]
Write = Callable[[Entries], dict[str, Any]]


class Computed(NamedTuple):
    """The part of an audit that takes time. found: by kind; None for thin classes, which take none.

    material: the exemplars that were compared.
    """

    material: Material
    found: Contradictions | Nearest | Sequence[WrongVotes] | None


class Filters(NamedTuple):
    """What a request asks for.

    class_id: None for all classes; similarity: smallest cosine of duplicates; sort: "doubt" for the most doubtful
    first, "class" by the names of the classes, "newest" for the exemplars first that were added last.
    """

    class_id: int | None
    similarity: float
    sort: Sort = "doubt"


class Listed(NamedTuple):
    """An entry. class_id: its class; row: of its exemplar in the live state, -1 for a class; write: as JSON."""

    class_id: int
    row: int
    write: Write


def compute(kind: Kind, records: Records, live: LiveRelease, state: LiveExemplars) -> Computed:
    """Compute an audit of all classes.

    Args:
        kind: of the audit.
        records: the recorded answers.
        live: the release.
        state: its exemplars.
    """
    material = Material.of(state)
    if kind == "contradicted":
        return Computed(material, contradictions(material))
    if kind == "duplicates":
        return Computed(material, nearest_of_all(material, MOST_NEIGHBOURS))
    return Computed(material, wrong_votes(records, live) if kind == "corrections" else None)


def entries_of(computed: Computed, state: LiveExemplars, filters: Filters) -> list[Listed]:
    """The entries that a request asks for, in their order."""
    found = _all_entries(computed, state, filters)
    if filters.sort == "class":
        return sorted(found, key=lambda one: (state.classes[one.class_id].name.casefold(), one.class_id))
    if filters.sort == "newest":
        return sorted(found, key=lambda one: -one.row)
    return found


def _all_entries(computed: Computed, state: LiveExemplars, filters: Filters) -> list[Listed]:
    """The entries that a request asks for, the most doubtful first."""
    material, found = computed
    if isinstance(found, Nearest):
        return _duplicates(material, found, filters)
    if found is None:
        return _thin(material, state, filters.class_id)
    listed = _contradicted(material, found) if isinstance(found, Contradictions) else _corrections(state, found)
    return [one for one in listed if filters.class_id in (None, one.class_id)]


def _contradicted(material: Material, found: Contradictions) -> list[Listed]:
    labels, rows = material.class_ids[found.places].tolist(), material.rows[found.places].tolist()
    return [
        Listed(class_id, row, lambda to, n=n: to.contradicted(material, found, n))  # type: ignore[misc]
        for n, (class_id, row) in enumerate(zip(labels, rows, strict=True))
    ]


def _corrections(state: LiveExemplars, found: Sequence[WrongVotes]) -> list[Listed]:
    labels = state.class_ids(np.array([one.row for one in found], dtype=np.int64)).tolist()
    return [
        Listed(class_id, one.row, lambda to, one=one: to.corrections(one))  # type: ignore[misc]
        for one, class_id in zip(found, labels, strict=True)
    ]


def _duplicates(material: Material, near: Nearest, filters: Filters) -> list[Listed]:
    groups = duplicate_groups(material, near, filters.similarity)
    if filters.class_id is not None:
        groups = [one for one in groups if (material.class_ids[list(one.places)] == filters.class_id).any()]
    return [
        Listed(
            int(material.class_ids[one.places[0]]),
            int(material.rows[list(one.places)].max()),
            lambda to, one=one: to.duplicates(material, one),  # type: ignore[misc]
        )
        for one in groups
    ]


def _thin(material: Material, state: LiveExemplars, class_id: int | None) -> list[Listed]:
    offered = [one.class_id for one in state.classes if one.class_id not in state.retired]
    classes = [one for one in thin_classes(material, offered) if class_id in (None, one.class_id)]
    return [
        Listed(one.class_id, -1, lambda to, one=one: to.thin(one, material.k))  # type: ignore[misc]
        for one in classes
    ]
