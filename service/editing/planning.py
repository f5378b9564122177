"""Planning: the exemplars that marks become, and what they replace. Edits write the plan; previews do not."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import NamedTuple

import numpy as np

from model_store.card import ClassInfo
from model_store.live import AddedExemplar, LiveExemplars, Scope
from service.answering.release_view import ReleaseView
from service.editing.class_names import Classes
from service.editing.joint_strength import OfImages, joint_strengths
from service.editing.pieces import MAX_PIECES, Mark, Piece, exemplar_of, overridden
from service.editing.strength import wins_vote
from service.problems import Problem
from service.records.edit_log import ClassState


class Planned(NamedTuple):
    """What an edit would do.

    exemplars: one for each mark; already: the ids of those that are alive and stay as they are; replaced: alive
    exemplars that the edit removes; classes: those that it creates.
    """

    exemplars: list[AddedExemplar]
    already: set[str]
    replaced: list[AddedExemplar]
    classes: list[ClassInfo]

    @property
    def coming(self) -> list[AddedExemplar]:
        """The exemplars that the edit makes alive, each once."""
        return list({one.exemplar_id: one for one in self.exemplars if one.exemplar_id not in self.already}.values())


def plan_marks(
    view: ReleaseView, marks: Sequence[Mark], scope: Scope, ks: Collection[int], strengthen: bool = True
) -> Planned:
    """Plan an edit that makes exemplars of marks.

    A piece that a person marked gets the strength that its class needs to win the vote on its pixels. If it is an
    exemplar already, it stays that exemplar, or is replaced by a stronger one where it loses the vote. Exemplars of the
    image that it contradicts are replaced: those whose pixels are all marked with another class now. Marks for one
    image alone replace only exemplars for one image, because an edit for one image must not change others.

    Args:
        view: the present exemplars and classes; not the view for one image.
        marks: at least one.
        scope: which segments the exemplars will vote for.
        ks: numbers of exemplars that may vote, in addition to that of the release's card.
        strengthen: replace exemplars that lose the vote on their own pixels by stronger ones.

    Raises:
        Problem: 404 if a class does not exist, or 422 if a mark names it; 409 if there would be too many classes; 422
            if more than `MAX_PIECES` parts of segments are marked.
    """
    classes = Classes(view.classes)
    class_ids = [_class_of(classes, mark.piece) for mark in marks]
    chosen: list[AddedExemplar | None] = [None] * len(marks)
    replaced: dict[str, AddedExemplar] = {}
    ks = {*ks, view.live.release.card.retrieval.k}
    by_image: dict[str, list[int]] = defaultdict(list)
    for n, mark in enumerate(marks):
        if mark.piece.stroked:
            by_image[mark.image.image_id].append(n)
        else:
            chosen[n] = exemplar_of(view.live.log, mark, class_ids[n], 1.0, scope)
    for image_id, numbers in by_image.items():
        state = view.state.for_image(image_id)
        present = state.added_to_image(image_id)
        same = _same(state, [(marks[n], class_ids[n]) for n in numbers], present, scope, ks if strengthen else ())
        for n, (stays, outdated) in zip(numbers, same, strict=True):
            chosen[n] = stays
            replaced |= {one.exemplar_id: one for one in outdated}
        of_scope = present if scope == "all" else [one for one in present if one.scope == "image"]
        pieces, of_pieces = [marks[n].piece for n in numbers], [class_ids[n] for n in numbers]
        replaced |= {one.exemplar_id: one for one in overridden(pieces, of_pieces, of_scope)}
    new = [n for n, one in enumerate(chosen) if one is None]
    if len(new) > MAX_PIECES:
        raise Problem(
            422, "The marks would add too many exemplars at once.", received=f"{len(new)} pieces of segments",
            allowed=f"at most {MAX_PIECES}", fix="Apply some of the marks first, or segment with fewer `segments`.",
        )  # fmt: skip
    if new:
        strengths = _strengths(view.state, [marks[n] for n in new], [class_ids[n] for n in new], ks, scope, replaced)
        for n, strength in zip(new, strengths, strict=True):
            chosen[n] = exemplar_of(view.live.log, marks[n], class_ids[n], strength, scope)
    exemplars = [one for one in chosen if one is not None]
    already = {one.exemplar_id for one in exemplars if _is_alive(view.state, one)}
    kept = {one.exemplar_id for one in exemplars}
    return Planned(exemplars, already, [one for name, one in replaced.items() if name not in kept], classes.new)


def after(view: ReleaseView, planned: Planned, image_id: str | None = None) -> ReleaseView:
    """The release as it would be after an edit, at the present revision.

    Args:
        view: that the edit was planned for.
        planned: the edit.
        image_id: the image whose own exemplars vote too; None: those of no image.
    """
    states = [*view.classes, *(ClassState(info, False) for info in planned.classes)]
    alive = {one.exemplar_id: False for one in planned.replaced} | {one.exemplar_id: True for one in planned.coming}
    unknown = [one for one in planned.coming if view.state.row(one.exemplar_id) is None]
    state = view.state.edited(
        view.state.revision, added=unknown, alive=alive, classes=[state.info for state in states],
        retired=[n for n, state in enumerate(states) if state.retired],
    )  # fmt: skip
    return ReleaseView(view.live, state.for_image(image_id), view.revision, states)


def _same(
    state: LiveExemplars,
    marks: Sequence[tuple[Mark, int]],
    present: Sequence[AddedExemplar],
    scope: Scope,
    ks: Collection[int],
) -> list[tuple[AddedExemplar | None, list[AddedExemplar]]]:
    """For each mark and its class: the present exemplar that it is already, and those that a new one replaces.

    An exemplar for every image also serves a mark for one image, but not the reverse. It must win the vote with each of
    the numbers `ks` of voters.
    """
    by_mask: dict[tuple[str, int], list[AddedExemplar]] = defaultdict(list)
    for one in present:
        by_mask[one.mask, one.class_id].append(one)
    found: list[tuple[AddedExemplar | None, list[AddedExemplar]]] = []
    for mark, class_id in marks:
        equal = [one for one in by_mask[mark.piece.mask, class_id] if _is_of(mark, one)]
        wins = bool(equal) and _wins(state, mark.piece.prototype, class_id, ks)
        serving = [one for one in equal if scope == "image" or one.scope == "all"] if wins else []
        outdated = [one for one in equal if scope == "all" or one.scope == "image"]
        found.append((serving[-1], []) if serving else (None, outdated))
    return found


def _is_of(mark: Mark, one: AddedExemplar) -> bool:
    """Whether an exemplar with the pixels and the class of a mark is that mark."""
    if mark.segment_id is not None:
        return True
    return one.source == mark.source and np.array_equal(one.prototype, mark.piece.prototype)


def _wins(state: LiveExemplars, prototype: np.ndarray, class_id: int, ks: Collection[int]) -> bool:
    return all(bool(wins_vote(state, prototype[None], np.array([class_id]), k)[0]) for k in ks)


def _strengths(
    state: LiveExemplars,
    marks: Sequence[Mark],
    class_ids: Sequence[int],
    ks: Collection[int],
    scope: Scope,
    replaced: Collection[str],
) -> list[float]:
    prototypes = np.stack([mark.piece.prototype for mark in marks])
    of_images = OfImages([mark.image.image_id for mark in marks], scope)
    gone = {state.row(name) for name in replaced}
    found: list[float] = joint_strengths(state, prototypes, np.array(class_ids), ks, gone, of_images).tolist()
    return found


def _is_alive(state: LiveExemplars, one: AddedExemplar) -> bool:
    row = state.row(one.exemplar_id)
    return row is not None and state.is_alive(row)


def _class_of(classes: Classes, piece: Piece) -> int:
    """The class of a piece. A mark that names a class that does not exist is malformed."""
    try:
        return classes.find(piece.ref).class_id
    except Problem as problem:
        if not piece.stroked or problem.status != HTTPStatus.NOT_FOUND:
            raise
        raise Problem(
            422, f"A mark names an unknown class. {problem.detail}", received=problem.received,
            allowed=problem.allowed, fix=problem.fix,
        ) from problem  # fmt: skip
