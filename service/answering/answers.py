"""Answers: what POST /segment tells of labelled segments, and what is recorded of it, so that it can be told again."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from model_store.card import ClassInfo
from model_store.live import LiveExemplars
from model_store.predictor import Prediction
from model_store.predictor import Retrieved as Labelled
from segsort.masks import decode_rle, encode_with_boxes
from segsort.retrieval import vote
from segsort.segments import Segments
from service.images.polygons import polygons
from service.problems import Problem
from service.records.database import Answered, Retrieved
from service.records.edit_log import ClassState
from service.records.follower import LiveRelease

Masks = Literal["rle", "polygon", "none"]


@dataclass(frozen=True)
class Form:
    """How an answer is told: how many exemplars of each segment, and its masks."""

    exemplars: int = 5
    masks: Masks = "rle"


class Shapes(NamedTuple):
    """Where the segments of an image lie.

    size: (H, W); counts: run lengths of each; boxes: x, y, width, height of each; areas: pixels of each;
    prototypes: [S, D] float32.
    """

    size: tuple[int, int]
    counts: list[str]
    boxes: list[list[int]]
    areas: list[int]
    prototypes: np.ndarray

    @classmethod
    def of_segments(cls, found: Segments) -> "Shapes":
        """Those of an image that has just been sorted."""
        labels, prototypes, areas = found
        counts, boxes = encode_with_boxes(labels, len(areas))
        return cls(labels.shape, counts, boxes.tolist(), areas.tolist(), prototypes)

    @classmethod
    def of_answer(cls, answered: Answered) -> "Shapes":
        """Those of an image that was answered before."""
        segments, facts = answered.segments, answered.facts
        counts, boxes, areas = ([segment[name] for segment in segments] for name in ("counts", "bbox", "area"))
        return cls((facts.height, facts.width), counts, boxes, areas, answered.prototypes)

    def mask(self, n: int) -> np.ndarray:
        """[H, W] bool, the pixels of one segment."""
        return decode_rle(self.counts[n], self.size)


class Described(NamedTuple):
    """body: the answer without its timings; the others: what `Records.add` takes."""

    body: dict[str, Any]
    facts: dict[str, Any]
    segments: list[dict[str, Any]]
    retrieved: Retrieved


class At(NamedTuple):
    """A release at a revision: its exemplars, and its classes as they were then."""

    live: LiveRelease
    state: LiveExemplars
    revision: int
    classes: list[ClassState]

    @classmethod
    def now(cls, live: LiveRelease) -> "At":
        """The present state, one and the same for all that is asked of it."""
        state = live.state
        return cls(live, state, state.revision, live.log.class_states(state.revision))

    @classmethod
    def then(cls, live: LiveRelease, revision: int) -> "At":
        """As it was at a revision; the state may hold more exemplars."""
        return cls(live, live.state, revision, live.log.class_states(revision))

    @property
    def infos(self) -> list[ClassInfo]:
        """By class_id, the retired ones too."""
        return [told.info for told in self.classes]

    def name(self, class_id: int) -> str:
        return self.classes[class_id].info.name

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The classes that are not retired, as they are told."""
        return [class_told(told.info) for told in self.classes if not told.retired]


def image_url(segmentation_id: str) -> str:
    """Where the picture of an answer is, if it is kept."""
    return f"/segmentations/{segmentation_id}/image"


def class_told(info: ClassInfo) -> dict[str, Any]:
    """A class as JSON."""
    return {"class_id": info.class_id, "name": info.name, "color": "#{:02x}{:02x}{:02x}".format(*info.color)}


def describe(
    at: At, shapes: Shapes, labelled: Labelled | Prediction, form: Form, segmentation_id: str | None = None
) -> Described:
    """What is answered of an image's segments, and what is recorded of it; segmentation_id: None for a new one."""
    segmentation_id = segmentation_id or uuid.uuid4().hex
    rows, places = _numbered(labelled.rows)
    ids = at.state.ids(rows)
    class_ids = labelled.vote.class_ids.tolist()
    shares = labelled.vote.shares[np.arange(len(class_ids)), labelled.vote.class_ids].tolist()
    names = [info.name for info in at.infos]
    listed = _listed(at, labelled, ids, places, form.exemplars)
    columns = (class_ids, labelled.confidence.tolist(), labelled.known.tolist(), shapes.areas, shapes.boxes, shares)
    recorded, segments = [], []
    for n, (class_id, confidence, known, area, box, share) in enumerate(zip(*columns, strict=True)):
        recorded.append(
            {"class_id": class_id, "confidence": confidence, "known": known, "area": area, "bbox": box, "share": share,
             "counts": shapes.counts[n]}
        )  # fmt: skip
        segment = {
            "segment_id": f"{segmentation_id}-{n}", "class_id": class_id, "class_name": names[class_id],
            "confidence": confidence, "known": known, "area": area, "bbox": box,
        }  # fmt: skip
        mask = _mask(form.masks, shapes, n)
        if mask is not None:
            segment["mask"] = mask
        segment["exemplars"] = listed[n]
        segments.append(segment)
    facts = {"segmentation_id": segmentation_id, "width": shapes.size[1], "height": shapes.size[0]}
    facts |= {"release": at.live.name, "index_revision": at.revision}
    voted = {"k": labelled.vote.weights.shape[1], "kappa": at.live.release.card.retrieval.kappa}
    voted |= {"release_path": str(at.live.release.path.absolute()), "image_similarity": labelled.image_similarity}
    return Described(
        facts | {"classes": at.offered, "segments": segments},
        facts | voted,
        recorded,
        Retrieved(shapes.prototypes, ids, places, labelled.similarities),
    )


def told_again(live: LiveRelease, answered: Answered, form: Form, kept: bool) -> dict[str, Any]:
    """A recorded answer in the form in which it was given, but for its timings; kept: whether its picture still is.

    Raises:
        Problem: 410 if the release no longer has an exemplar of it.
    """
    at, facts = At.then(live, answered.facts.index_revision), answered.facts
    rows = rows_of(live.state, answered.exemplar_ids, facts.segmentation_id)[answered.neighbours]
    voters, voting = answered.similarities[:, : facts.k], rows[:, : facts.k]
    state = live.state
    result = vote(voters, state.class_ids(voting), len(state.classes), facts.kappa, state.strengths(voting))
    confidence = np.array([segment["confidence"] for segment in answered.segments])
    known = np.array([segment["known"] for segment in answered.segments])
    labelled = Labelled(answered.similarities, rows, result, confidence, known, facts.image_similarity)
    body = describe(at, Shapes.of_answer(answered), labelled, form, facts.segmentation_id).body
    return body | {"image_id": facts.image_id, "image_url": image_url(facts.segmentation_id) if kept else None}


def rows_of(state: LiveExemplars, ids: Sequence[str], received: str) -> np.ndarray:
    """[n] int64 rows of exemplars that an answer names.

    Raises:
        Problem: 410 if the release no longer has one of them.
    """
    rows = [state.row(exemplar_id) for exemplar_id in ids]
    if None in rows:
        raise Problem(
            410, f"The release {state.release.card.name!r} no longer holds every exemplar of this answer.",
            received=received, fix="Put back the release, and the database, as they were when it answered.",
        )  # fmt: skip
    return np.array(rows, dtype=np.int64)


def _listed(
    at: At, labelled: Labelled | Prediction, ids: list[str], places: np.ndarray, most: int
) -> list[list[dict[str, Any]]]:
    """The first exemplars of each segment's vote; places: [S, R] of its neighbours in `ids`."""
    most = min(most, labelled.vote.weights.shape[1])
    classes = at.state.class_ids(labelled.rows[:, :most])
    columns = (places[:, :most], classes, labelled.similarities[:, :most], labelled.vote.weights[:, :most])
    names = [info.name for info in at.infos]
    told = [
        {"exemplar_id": ids[i], "class_name": names[c], "similarity": similarity, "weight": weight}
        for i, c, similarity, weight in zip(*(column.ravel().tolist() for column in columns), strict=True)
    ]
    return [told[n * most : (n + 1) * most] for n in range(len(places))]


def _numbered(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that occur, rising, and the place of each among them: as `np.unique`, without sorting."""
    places = np.zeros(int(rows.max(initial=-1)) + 1, dtype=np.int32)
    places[rows] = 1
    found = np.flatnonzero(places)
    places[found] = np.arange(len(found), dtype=np.int32)
    return found, places[rows]


def _mask(form: Masks, shapes: Shapes, n: int) -> dict[str, Any] | None:
    if form == "rle":
        return {"size": list(shapes.size), "counts": shapes.counts[n]}
    if form == "polygon":
        return {"size": list(shapes.size), "polygons": polygons(shapes.mask(n))}
    return None
