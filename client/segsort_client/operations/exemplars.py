"""Operations on exemplars."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from segsort_client.asking import Request
from segsort_client.flow import Flow, operation
from segsort_client.images import ImageInput, image_file
from segsort_client.operations.base import Asking
from segsort_client.operations.editing import Scope
from segsort_client.parsing import parse
from segsort_client.results.additions import (
    ExemplarList,
    ExemplarPreview,
    ExemplarsAdded,
    ExemplarsRelabelled,
    ExemplarsRemoved,
    Imported,
)
from segsort_client.results.answers import Segmentation
from segsort_client.results.edits import Edited
from segsort_client.results.explanations import Exemplar, ExemplarSummary
from segsort_client.results.exploring import Audit, ClusterList, SuggestionList
from segsort_client.strokes import Stroke, id_of, label_file, stroke_list


class Exemplars(Asking):
    """Add, list, remove and audit exemplars, and ask what to label next."""

    @operation
    def add_exemplar(
        self, image: ImageInput | None = None, *, segmentation: Segmentation | str | None = None,
        strokes: Iterable[Stroke | Mapping[str, Any]] = (),
        mask: NDArray[Any] | bytes | str | os.PathLike[str] | None = None, classes: Mapping[int, str] | None = None,
        annotations: Sequence[Mapping[str, Any]] | None = None, categories: Sequence[Mapping[str, Any]] | None = None,
        scope: Scope = "all", reason: str | None = None, source: str | None = None, segments: int | None = None,
        relabel: bool = True, exemplars: int = 5,
    ) -> Flow[ExemplarsAdded]:  # fmt: skip
        """Add the labelled pixels of an image as exemplars, in one edit.

        Args:
            image: as `segment` takes it; or `segmentation`, an answer to the image.
            segmentation: an answer; the result has the image labelled again.
            strokes: lines and areas.
            mask: class numbers [height, width], or an image file of them; needs `classes`.
            classes: class names by the numbers of the mask; pixels with other numbers have no class.
            annotations: as in COCO documents, in place of a mask.
            categories: of a COCO document, which `category_id` of annotations refers to.
            scope: image: no other image changes.
            reason: why, for the log of edits.
            source: name of the image; None: that of its file.
            segments: number of segments that pixel sorting starts with; None: that of the release.
            relabel: with a `segmentation`: also label the image again.
            exemplars: number of exemplars that each segment of the new answer names.

        Sending the same again adds nothing, so a try whose answer is lost is repeated.
        """
        form: dict[str, tuple[str | None, bytes]] = {}
        if image is not None:
            file = yield from image_file(image, self._timeout)
            form["image"], source = ("image", file.content), source or file.name
        if mask is not None:
            form["mask"] = ("mask", (yield from image_file(label_file(mask), self._timeout)).content)
        texts = {
            "segmentation_id": None if segmentation is None else id_of(segmentation, "segmentation_id"),
            "classes": _json(classes and {str(number): name for number, name in classes.items()}),
            "annotations": _json(annotations), "categories": _json(categories), "strokes": _json(stroke_list(strokes)),
            "scope": scope, "reason": reason, "source": source,
        }  # fmt: skip
        form |= {name: (None, text.encode()) for name, text in texts.items() if text is not None}
        params = {"segments": segments, "relabel": relabel, "exemplars": exemplars}
        asked = Request("POST", ("exemplars",), params, form=form, repeatable=True)
        return parse(ExemplarsAdded, (yield from self._service.json(asked)))

    @operation
    def exemplars(
        self, *, class_id: int | None = None, query: str | None = None, removed: bool = False, limit: int = 50,
        offset: int = 0,
    ) -> Flow[ExemplarList]:  # fmt: skip
        """A page of exemplars, the most recently added first.

        Args:
            class_id: only exemplars of this class.
            query: only exemplars whose id or source contains this text.
            removed: those that were removed instead.
            limit, offset: length of the page, and number of exemplars before it.
        """
        return self._read(
            ExemplarList, "exemplars", class_id=class_id, query=query, removed=removed or None, limit=limit,
            offset=offset or None,
        )  # fmt: skip

    @operation
    def exemplar(self, exemplar: ExemplarSummary | str) -> Flow[Exemplar]:
        """Read one exemplar with its mask."""
        return self._read(Exemplar, "exemplars", id_of(exemplar, "exemplar_id"))

    @operation
    def exemplar_crop(self, exemplar: object) -> Flow[bytes]:
        """A PNG of the part of the image around an exemplar, its mask outlined; of anything with an exemplar_id."""
        return self._bytes("exemplars", id_of(exemplar, "exemplar_id"), "crop")

    @operation
    def exemplar_image(self, exemplar: object) -> Flow[bytes]:
        """The image file of an exemplar, or of anything with an exemplar_id."""
        return self._bytes("exemplars", id_of(exemplar, "exemplar_id"), "image")

    @operation
    def remove_exemplar(self, exemplar: object, *, reason: str | None = None) -> Flow[Edited]:
        """Remove an exemplar from votes, given by its id or whatever has an exemplar_id. `revert` restores it."""
        parts = ("exemplars", id_of(exemplar, "exemplar_id"))
        return parse(Edited, (yield from self._service.json(Request("DELETE", parts, {"reason": reason}))))

    @operation
    def remove_exemplars(self, exemplars: Iterable[object], *, reason: str | None = None) -> Flow[ExemplarsRemoved]:
        """Remove several exemplars in one edit."""
        body = {"exemplar_ids": [id_of(one, "exemplar_id") for one in exemplars], "reason": reason}
        return self._post(ExemplarsRemoved, ("exemplars", "remove"), body, repeatable=False)

    @operation
    def relabel_exemplars(self, labels: Mapping[str, str], *, reason: str | None = None) -> Flow[ExemplarsRelabelled]:
        """Give exemplars other classes in one edit. labels: class names by exemplar ids."""
        body = {"labels": _exemplar_labels(labels), "reason": reason}
        return self._post(ExemplarsRelabelled, ("exemplars", "labels"), body, repeatable=False)

    @operation
    def preview_exemplars(
        self, *, remove: Iterable[object] = (), relabel: Mapping[str, str] | None = None, recent: int = 50
    ) -> Flow[ExemplarPreview]:
        """What removing or relabelling exemplars would change in recent images. Nothing is written."""
        body = {
            "remove": [id_of(one, "exemplar_id") for one in remove] or None,
            "relabel": _exemplar_labels(relabel or {}) or None,
        }
        return self._post(ExemplarPreview, ("exemplars", "preview"), body, {"recent": recent}, repeatable=True)

    @operation
    def audit(
        self, kind: Literal["contradicted", "duplicates", "thin", "corrections"], *, class_id: int | None = None,
        limit: int = 50, offset: int = 0,
    ) -> Flow[Audit]:  # fmt: skip
        """Exemplars that are worth a look, with reasons."""
        return self._read(Audit, "exemplars", "audit", kind=kind, class_id=class_id, limit=limit, offset=offset or None)

    @operation
    def import_labels(
        self, archive: bytes | str | os.PathLike[str], *, format: str = "auto", split: str | None = None,
        segments: int | None = None,
    ) -> Flow[Imported]:  # fmt: skip
        """Add the labelled images of a ZIP archive as exemplars, in any format that the service reads."""
        return self._post_archive(Imported, ("import",), archive, format=format, split=split, segments=segments)

    @operation
    def suggestions(
        self, *, limit: int = 5, images: int | None = None, skip: Sequence[object] = ()
    ) -> Flow[SuggestionList]:
        """Images to label next, the best first.

        Args:
            limit: how many.
            images: how many of the newest images are looked at.
            skip: answers that are not wanted.
        """
        left = ",".join(id_of(one, "segmentation_id") for one in skip) or None
        return self._read(SuggestionList, "suggestions", limit=limit, images=images, skip=left)

    @operation
    def clusters(
        self, *, limit: int = 10, members: int | None = None, images: int | None = None, which: str | None = None
    ) -> Flow[ClusterList]:
        """Unknown segments of recent images that resemble each other; `label_many` names all of a cluster."""
        return self._read(ClusterList, "clusters", limit=limit, members=members, images=images, which=which)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _exemplar_labels(labels: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"exemplar_id": id_of(one, "exemplar_id"), "class_name": name} for one, name in labels.items()]
