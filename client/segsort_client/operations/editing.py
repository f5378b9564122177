"""Operations that change labels and classes, and that revert such changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from segsort_client.errors import InputError
from segsort_client.flow import Flow, operation
from segsort_client.operations.base import Asking
from segsort_client.results.additions import Effect, Marked, MarksPreview, SegmentsLabelled
from segsort_client.results.answers import Segment, Segmentation
from segsort_client.results.classes import ClassChanged, OfferedClass
from segsort_client.results.edits import Edit, Edited, Labelled
from segsort_client.results.health import Caller
from segsort_client.strokes import Labels, Stroke, class_body, id_of, label_list, stroke_list

Scope: TypeAlias = Literal["all", "image"]
_PAGE = 200  # edits that are read at once


class Editing(Asking):
    """Label segments, mark pixels, change classes, and revert edits.

    An edit that says the same again changes nothing. Therefore a try whose answer is lost is repeated, except for
    reverts and new classes.
    """

    @operation
    def label(
        self, segment: Segment | str, class_name: str | None = None, *, class_id: int | None = None,
        color: str | None = None, scope: Scope = "all", reason: str | None = None, relabel: bool = True,
        exemplars: int = 5,
    ) -> Flow[Labelled]:  # fmt: skip
        """Correct the label of a segment. It becomes an exemplar, which votes from the next request on.

        Args:
            segment: a segment or its id.
            class_name: the right class; a new name makes a new class.
            class_id: its id, in place of the name.
            color: of a new class, as #rrggbb.
            scope: image: no other image changes.
            reason: why, for the log of edits.
            relabel: also label the whole image again.
            exemplars: number of exemplars that each segment of the new answer names.
        """
        body = class_body(class_name, class_id, color) | {"scope": scope, "reason": reason}
        parts = ("segments", id_of(segment, "segment_id"), "label")
        params = {"relabel": relabel, "exemplars": exemplars}
        return self._post(Labelled, parts, body, params, repeatable=True)

    @operation
    def label_many(self, labels: Labels, *, scope: Scope = "all", reason: str | None = None) -> Flow[SegmentsLabelled]:
        """Label segments of one or several answers in one edit.

        Args:
            labels: class names by segment ids, or pairs of a segment and a class name.
            scope: image: no other image changes.
            reason: why, for the log of edits.
        """
        body = {"labels": label_list(labels), "scope": scope, "reason": reason}
        return self._post(SegmentsLabelled, ("segments", "labels"), body, repeatable=True)

    @operation
    def mark(
        self, segmentation: Segmentation | str, strokes: Iterable[Stroke | Mapping[str, Any]] = (), *,
        labels: Labels = (), scope: Scope = "all", reason: str | None = None, exemplars: int = 5,
    ) -> Flow[Marked]:  # fmt: skip
        """Mark parts of an answer with classes, in one edit, and label the image again.

        Args:
            segmentation: an answer or its id.
            strokes: lines and areas; exactly their pixels become exemplars.
            labels: whole segments: class names by segment ids, or pairs of a segment and a class name.
            scope: image: no other image changes.
            reason: why, for the log of edits.
            exemplars: number of exemplars that each segment of the new answer names.
        """
        body = {"labels": label_list(labels), "strokes": stroke_list(strokes), "scope": scope, "reason": reason}
        parts = ("segmentations", id_of(segmentation, "segmentation_id"), "marks")
        return self._post(Marked, parts, body, {"exemplars": exemplars}, repeatable=True)

    @operation
    def preview(
        self, segmentation: Segmentation | str, strokes: Iterable[Stroke | Mapping[str, Any]] = (), *,
        labels: Labels = (), scope: Scope = "all", elsewhere: int = 8, exemplars: int = 5,
    ) -> Flow[MarksPreview]:  # fmt: skip
        """What `mark` would change, here and in the newest other images. Nothing is written."""
        body = {"labels": label_list(labels), "strokes": stroke_list(strokes), "scope": scope}
        parts = ("segmentations", id_of(segmentation, "segmentation_id"), "preview")
        return self._post(MarksPreview, parts, body, {"elsewhere": elsewhere, "exemplars": exemplars}, repeatable=True)

    @operation
    def classes(self) -> Flow[tuple[OfferedClass, ...]]:
        """The classes that segments may take."""
        return self._read(tuple[OfferedClass, ...], "classes")

    @operation
    def add_class(self, name: str, color: str | None = None, *, reason: str | None = None) -> Flow[ClassChanged]:
        """Make a class. color: #rrggbb; None: one that differs from the others."""
        return self._post(
            ClassChanged, ("classes",), {"name": name, "color": color, "reason": reason}, repeatable=False
        )

    @operation
    def change_class(
        self, class_id: int, *, name: str | None = None, color: str | None = None, reason: str | None = None
    ) -> Flow[ClassChanged]:
        """Change the name or the colour of a class."""
        body = {"class_id": class_id, "name": name, "color": color, "reason": reason}
        return self._post(ClassChanged, ("classes",), body, repeatable=True)

    @operation
    def edits(self, *, limit: int = 50, before: int | None = None) -> Flow[tuple[Edit, ...]]:
        """A page of edits, the newest first. before: the last `revision` of the page before."""
        return self._read(tuple[Edit, ...], "edits", limit=limit, before=before)

    @operation
    def edit(self, revision: int) -> Flow[Edit]:
        """Read one edit."""
        return self._read(Edit, "edits", revision)

    @operation
    def effect(self, edit: int | Edit | Edited, *, recent: int = 50) -> Flow[Effect]:
        """Segments of recent answers that would get another label now because of an edit."""
        return self._read(Effect, "edits", _revision(edit), "effect", recent=recent)

    @operation
    def revert(self, edit: int | Edit | Edited, *, reason: str | None = None) -> Flow[Edited]:
        """Revert an edit, given by its number or its result. Reverting a revert restores the edit.

        A try whose answer is lost is not repeated: the error says that it may have been carried out.
        """
        return self._post(Edited, ("edits", _revision(edit), "revert"), {"reason": reason}, repeatable=False)

    @operation
    def undo(self, *, reason: str | None = None) -> Flow[Edited]:
        """Revert the newest edit of this caller that is in effect and is no revert itself.

        Raises:
            InputError: if there is none.
        """
        name = (yield from self._read(Caller, "me")).name
        before: int | None = None
        while True:
            page = yield from self._read(tuple[Edit, ...], "edits", limit=_PAGE, before=before)
            for edit in page:
                if edit.author == name and edit.reverted_by is None and edit.kind != "revert":
                    return (yield from Editing.revert(self, edit, reason=reason))
            if not page:
                raise InputError("There is no edit to undo.", received=f"edits of {name}", allowed="an edit in effect")
            before = page[-1].revision


def _revision(edit: int | Edit | Edited) -> int:
    """The number of an edit.

    Raises:
        InputError: if the result is one of an edit that changed nothing.
    """
    found = edit.edit if isinstance(edit, Edited) else edit
    if found is None:
        raise InputError("This edit changed nothing, so that it has no number.", received="edit: None")
    return found.revision if isinstance(found, Edit) else found
