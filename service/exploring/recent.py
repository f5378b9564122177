"""The segments of recent images with the labels that they have now."""

import logging
from typing import NamedTuple

import numpy as np

from model_store.predictor import SegmentLabels
from segsort.retrieval import NO_CLASS
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.problems import DamageError
from service.records.database import Answered

_log = logging.getLogger("segsort.exploring")


class RecentImage(NamedTuple):
    """One answer with the labels that its segments have now.

    answered: the newest answer of its image; parts: [S] float64, share of the image's area of each segment, 0..1;
    known: [S] bool; certainty: [S] float64, confidence of known segments, or their share of the vote if the release is
    not calibrated; 0 for others; nearest: [S] float64, cosine to the nearest exemplar, or -1; class_ids: [S] int64.
    """

    answered: Answered
    parts: np.ndarray
    known: np.ndarray
    certainty: np.ndarray
    nearest: np.ndarray
    class_ids: np.ndarray

    @property
    def prototypes(self) -> np.ndarray:
        """[S, D] float32 unit vectors."""
        return self.answered.prototypes


def recent_images(engine: Engine, served: ServedRelease, count: int, owner: str | None) -> list[RecentImage]:
    """The newest images that the served release has answered and that are still stored, the newest first, each once.

    Labels are computed anew from the recorded prototypes, so they take account of all edits. The network does not run.

    Args:
        engine: where the records are.
        served: the release that votes.
        count: largest number of images.
        owner: only images of this key; None: of all.
    """
    newest = engine.records.newest(count, release=served.live, load="prototypes", owner=owner, latest=True)
    kept = engine.records.images.which({str(answered.facts.image_id) for answered in newest})
    answers = [answered for answered in newest if answered.facts.image_id in kept]
    state = served.live.state
    images = []
    for answered in answers:
        facts = answered.facts
        try:
            areas, prototypes = answered.areas, answered.prototypes
        except DamageError as error:
            _log.error("an answer is left out: %s", error)
            continue
        labels = served.predictor.retrieve(prototypes, areas, facts.k, state.for_image(facts.image_id))
        images.append(_labelled(answered, areas / (facts.width * facts.height), labels))
    return images


def _labelled(answered: Answered, parts: np.ndarray, labels: SegmentLabels) -> RecentImage:
    shares = labels.vote.shares.max(axis=1, initial=0)
    certainty = np.where(np.isnan(labels.confidence), shares, labels.confidence)
    nearest = labels.similarities[:, 0] if labels.similarities.shape[1] else np.full(len(parts), -1.0)
    voted = labels.vote.class_ids != NO_CLASS
    known = labels.known & voted
    return RecentImage(answered, parts, known, np.where(known, certainty, 0), nearest, labels.vote.class_ids)
