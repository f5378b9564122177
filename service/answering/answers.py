"""Answers: the JSON of POST /segment, and what is recorded of it, from which the same JSON can be written again."""

import math
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from model_store.live import LiveExemplars
from model_store.predictor import Prediction, SegmentLabels
from segsort.masks import decode_rle, encode_with_boxes
from segsort.retrieval import NO_CLASS
from segsort.segments import Segments
from service.answering.limits import AnswerOptions, MaskFormat
from service.answering.links import image_url
from service.answering.release_view import ReleaseView
from service.answering.rounding import rounded, rounded_all
from service.images.polygons import polygons
from service.records.answered import Answered, RecordedNeighbours, SharedShapes, gone
from service.records.tables import NO_SIMILARITY


class Shapes(NamedTuple):
    """The shapes and prototypes of the S segments of an image.

    size: (H, W); counts: COCO run lengths of each; boxes: x, y, width, height of each, pixels; areas: pixels of each;
    prototypes: [S, D] float32; packed: all of this as it is recorded; None: it is not packed yet.
    """

    size: tuple[int, int]
    counts: list[str]
    boxes: list[list[int]]
    areas: list[int]
    prototypes: np.ndarray
    packed: bytes | SharedShapes | None = None

    @classmethod
    def of_segments(cls, found: Segments) -> "Shapes":
        """The shapes of an image that has just been sorted."""
        labels, prototypes, areas = found
        counts, boxes = encode_with_boxes(labels, len(areas))
        return cls(labels.shape, counts, boxes.tolist(), areas.tolist(), prototypes)

    @classmethod
    def of_answer(cls, answered: Answered) -> "Shapes":
        """The shapes of a recorded answer."""
        segments, facts = answered.segments, answered.facts
        counts, boxes, areas = ([segment[name] for segment in segments] for name in ("counts", "bbox", "area"))
        size = (facts.height, facts.width)
        return cls(size, counts, boxes, areas, answered.prototypes, answered.shared_shapes)

    def mask(self, n: int) -> np.ndarray:
        """[H, W] bool, the pixels of one segment."""
        return decode_rle(self.counts[n], self.size)

    def part(self, n: int) -> tuple[np.ndarray, tuple[int, int]]:
        """The pixels of one segment in its box, [h, w] bool, and the row and column of the box."""
        x, y, width, height = self.boxes[n]
        return self.mask(n)[y : y + height, x : x + width], (y, x)


class ComposedAnswer(NamedTuple):
    """An answer before it is recorded.

    body: its JSON without timings and image; facts, segments, retrieved, shapes: the arguments of `Records.add`.
    """

    body: dict[str, Any]
    facts: dict[str, Any]
    segments: list[dict[str, Any]]
    retrieved: RecordedNeighbours
    shapes: bytes | SharedShapes | None


def compose_answer(
    view: ReleaseView,
    shapes: Shapes,
    labels: SegmentLabels | Prediction,
    options: AnswerOptions,
    segmentation_id: str | None = None,
    k: int | None = None,
) -> ComposedAnswer:
    """Compose the answer to an image from its labelled segments.

    A segment that no exemplar voted on has the class null. The confidence is null if it was not measured, and for
    unknown segments, because it was measured on familiar ones.

    Args:
        view: the release that voted, with the class names to use.
        shapes: of the segments.
        labels: of the segments.
        options: how the answer is written.
        segmentation_id: id of the answer; None: a new one.
        k: exemplars that were to vote, which may be more than there were; None: the card's.
    """
    segmentation_id = segmentation_id or uuid.uuid4().hex
    rows, places = _numbered(labels.rows)
    ids = view.state.ids(rows)
    facts = {"segmentation_id": segmentation_id, "width": shapes.size[1], "height": shapes.size[0]}
    facts |= {"release": view.live.name, "release_digest": view.live.digest, "index_revision": view.revision}
    retrieval, similarity = view.live.release.card.retrieval, labels.image_similarity
    voted: dict[str, Any] = {"k": retrieval.k if k is None else k, "kappa": retrieval.kappa}
    voted |= {"release_path": str(view.live.release.path.absolute())}
    voted |= {"image_similarity": NO_SIMILARITY if math.isnan(similarity) else similarity}
    listed = _listed_exemplars(view, labels, ids, places, options.exemplars)
    segments, recorded = _segments(view, shapes, labels, segmentation_id, options.masks, listed)
    return ComposedAnswer(
        facts | {"classes": view.offered, "segments": segments},
        facts | voted,
        recorded,
        RecordedNeighbours(shapes.prototypes, ids, places, labels.similarities, rows, view.state),
        shapes.packed,
    )


def recorded_answer_json(view: ReleaseView, answered: Answered, options: AnswerOptions, kept: bool) -> dict[str, Any]:
    """The JSON of a recorded answer as it was given, without its timings.

    Args:
        view: the release that answered, at the answer's revision.
        answered: the answer.
        options: how it is written.
        kept: whether its image is still kept.

    Raises:
        Problem: 410 if the release no longer has an exemplar of it.
    """
    facts, found = answered.facts, answered.neighbours(view.state)
    rows = rows_of(view.state, found.exemplar_ids, facts.segmentation_id)[found.places]
    votes = view.state.vote(found.cosines[:, : facts.k], rows[:, : facts.k], facts.kappa)
    confidence = np.array([segment["confidence"] for segment in answered.segments], dtype=np.float64)  # null: NaN
    known = np.array([segment["known"] for segment in answered.segments])
    labels = SegmentLabels(found.cosines, rows, votes, confidence, known, facts.image_similarity)
    body = compose_answer(view, Shapes.of_answer(answered), labels, options, facts.segmentation_id).body
    url = image_url(facts.segmentation_id) if kept else None
    image = {"image_id": facts.image_id, "image_url": url, "conversion": facts.conversion}
    return body | image | page_json(answered)


def page_json(answered: Answered) -> dict[str, int]:
    """The page of a recorded answer, from 0, and how many pages its file had."""
    return {"page": answered.facts.page or 0, "pages": answered.facts.pages or 1}


def rows_of(state: LiveExemplars, ids: Sequence[str], received: str) -> np.ndarray:
    """The rows of the exemplars that a recorded answer names.

    Args:
        state: the exemplars of the release that answered.
        ids: n exemplar ids.
        received: id of the answer or segment, for the error.

    Returns:
        [n] int64.

    Raises:
        Problem: 410 if the release no longer has one of them.
    """
    rows = [state.row(exemplar_id) for exemplar_id in ids]
    if None in rows:
        raise gone(state.release.card.name, received)
    return np.array(rows, dtype=np.int64)


def _segments(
    view: ReleaseView,
    shapes: Shapes,
    labels: SegmentLabels | Prediction,
    segmentation_id: str,
    masks: MaskFormat,
    listed: list[list[dict[str, Any]]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The segments as they are answered, and as they are recorded: with all digits."""
    class_ids = [None if class_id == NO_CLASS else class_id for class_id in labels.vote.class_ids.tolist()]
    shares = [
        None if c is None else float(of_segment[c]) for of_segment, c in zip(labels.vote.shares, class_ids, strict=True)
    ]
    margins = margins_of(labels.vote.shares).tolist()
    confidences = [None if math.isnan(confidence) else confidence for confidence in labels.confidence.tolist()]
    columns = (class_ids, confidences, labels.known.tolist(), shapes.areas, shapes.boxes, shares, margins)
    segments, recorded = [], []
    for n, (class_id, confidence, known, area, box, share, margin) in enumerate(zip(*columns, strict=True)):
        recorded.append(
            {"class_id": class_id, "confidence": confidence, "known": known, "area": area, "bbox": box, "share": share,
             "counts": shapes.counts[n]}
        )  # fmt: skip
        segment = {
            "segment_id": f"{segmentation_id}-{n}", "class_id": class_id, "class_name": view.name(class_id),
            "confidence": rounded(confidence) if known and confidence is not None else None, "known": known,
            "share": None if share is None else rounded(share), "margin": None if share is None else rounded(margin),
            "area": area, "bbox": box,
        }  # fmt: skip
        mask = _mask(masks, shapes, n)
        if mask is not None:
            segment["mask"] = mask
        segment["exemplars"] = listed[n]
        segments.append(segment)
    return segments, recorded


def margins_of(shares: np.ndarray) -> np.ndarray:
    """The largest share of the vote minus the second largest: [S, C] -> [S]; 0 without classes."""
    if not shares.shape[1]:
        return np.zeros(len(shares))
    best = np.partition(shares, -2, axis=1)[:, -2:] if shares.shape[1] > 1 else np.pad(shares, ((0, 0), (1, 0)))
    return np.asarray(best[:, 1] - best[:, 0])


def _listed_exemplars(
    view: ReleaseView, labels: SegmentLabels | Prediction, ids: list[str], places: np.ndarray, most: int
) -> list[list[dict[str, Any]]]:
    """The first exemplars of each segment's vote, as JSON; places: [S, R] of its neighbours in `ids`."""
    most = min(most, labels.vote.weights.shape[1])
    classes = view.state.class_ids(labels.rows[:, :most])
    numbers = (places[:, :most].ravel().tolist(), classes.ravel().tolist())
    values = (labels.similarities[:, :most], labels.vote.weights[:, :most])
    names = [info.name for info in view.infos]
    listed = [
        {"exemplar_id": ids[i], "class_name": names[c], "similarity": similarity, "weight": weight}
        for i, c, similarity, weight in zip(
            *numbers, *(rounded_all(column.ravel().tolist()) for column in values), strict=True
        )
    ]
    return [listed[n * most : (n + 1) * most] for n in range(len(places))]


def _numbered(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows in ascending order, and the place of each row among them.

    It gives what `np.unique` with `return_inverse` gives, without sorting.
    """
    places = np.zeros(int(rows.max(initial=-1)) + 1, dtype=np.int32)
    places[rows] = 1
    found = np.flatnonzero(places)
    places[found] = np.arange(len(found), dtype=np.int32)
    return found, places[rows]


def _mask(form: MaskFormat, shapes: Shapes, n: int) -> dict[str, Any] | None:
    if form == "rle":
        return {"size": list(shapes.size), "counts": shapes.counts[n]}
    if form == "polygon":
        return {"size": list(shapes.size), "polygons": polygons(*shapes.part(n))}
    return None
