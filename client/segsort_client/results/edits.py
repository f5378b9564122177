"""Edits: changes to exemplars and classes."""

from __future__ import annotations

from dataclasses import dataclass

from segsort_client.results.answers import Relabelled
from segsort_client.results.base import ClassInfo
from segsort_client.results.explanations import Exemplar


@dataclass(frozen=True)
class Edit:
    """One change to exemplars or classes.

    Attributes:
        revision: its number.
        kind: add, label, mark, remove, class, revert or carry.
        release, release_digest: the release that it belongs to.
        author, reason, created: who made it, why, and when.
        summary: what it does, in one line.
        exemplar_ids: exemplars that it adds or removes.
        classes: classes that it creates or changes.
        reverted_by: number of the edit that reverts it; None: it is in effect.
        scope: "all" or "image", where it adds exemplars.
        segment_id, segment_ids: segments that it corrects or marks as a whole.
        replaces: exemplars that it removes.
        reverts: number of the edit that it reverts.
    """

    revision: int
    kind: str
    release: str
    release_digest: str | None
    author: str
    reason: str | None
    created: str
    summary: str
    exemplar_ids: tuple[str, ...]
    classes: tuple[ClassInfo, ...]
    reverted_by: int | None
    scope: str | None = None
    segment_id: str | None = None
    segment_ids: tuple[str, ...] | None = None
    replaces: tuple[str, ...] | None = None
    reverts: int | None = None


@dataclass(frozen=True)
class Edited:
    """The result of an edit. edit: None: there was nothing to change."""

    index_revision: int
    edit: Edit | None


@dataclass(frozen=True)
class Labelled(Edited):
    """The result of a correction. relabelled: the image, labelled again; None where that failed or was not asked."""

    exemplar: Exemplar
    strength: float
    relabelled: Relabelled | None
    classes: tuple[ClassInfo, ...]
