"""Explanations: why a segment has its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from segsort_client.parsing import Wire
from segsort_client.results.base import Box, Mask, Masked


@dataclass(frozen=True)
class VotedClass:
    """A class and its share of the vote, 0 to 1."""

    class_id: int
    class_name: str
    weight: float
    color: str


@dataclass(frozen=True)
class Vote:
    """The vote of the k nearest exemplars. kappa: the concentration of their weights."""

    k: int
    kappa: float
    classes: tuple[VotedClass, ...]


@dataclass(frozen=True)
class ExemplarSummary:
    """A labelled segment.

    Attributes:
        exemplar_id: its id.
        class_id, class_name: its class.
        strength: factor of its weight in votes.
        scope: whether it votes for "all" images, or for those with its "image" file alone.
        source: name of its image.
        bbox: (x, y, width, height) in pixels.
        area: number of pixels.
        added_in, removed_in: number of the edit; None: it is part of the release, or it is alive.
        author: who added it; None: the release.
        release: the release that it belongs to.
        image_url, crop_url: paths of its image and its crop.
    """

    exemplar_id: str
    class_id: int
    class_name: str
    strength: float
    scope: str
    source: str
    bbox: Box
    area: int
    added_in: int | None
    removed_in: int | None
    author: str | None
    release: str
    image_url: str
    crop_url: str


@dataclass(frozen=True)
class Exemplar(Masked, ExemplarSummary):
    """A labelled segment with its mask."""

    shape: Annotated[Mask, Wire("mask")]


@dataclass(frozen=True)
class Neighbour(Exemplar):
    """An exemplar near a segment. similarity: cosine."""

    similarity: float


@dataclass(frozen=True)
class Voter(Neighbour):
    """An exemplar that voted. weight: its share of the vote."""

    weight: float


@dataclass(frozen=True)
class RunnerUp:
    """The class with the second largest share, and its nearest exemplars."""

    class_id: int
    class_name: str
    weight: float
    exemplars: tuple[Neighbour, ...]


@dataclass(frozen=True)
class BoundaryNeighbour:
    """Another segment at the boundary. share: of the near pixels."""

    segment_id: str
    class_name: str | None
    known: bool
    share: float


@dataclass(frozen=True)
class Boundary:
    """Pixels of a segment at most distance_px from other segments. share: of its pixels."""

    distance_px: int
    share: float
    neighbours: tuple[BoundaryNeighbour, ...]


@dataclass(frozen=True)
class SimilarSegment:
    """A segment of an earlier answer with a similar prototype."""

    segment_id: str
    class_name: str | None
    known: bool
    confidence: float | None
    similarity: float
    image_url: str | None
    crop_url: str


@dataclass(frozen=True)
class Correction:
    """A correction of the segment's label that is in effect."""

    revision: int
    class_name: str
    author: str


@dataclass(frozen=True)
class Calibration:
    """How confidence and known are computed: points of a curve, and a threshold."""

    confidence_x: tuple[float, ...]
    confidence_y: tuple[float, ...]
    known_threshold: float
    how: str
    calibrated: bool = True


@dataclass(frozen=True)
class SearchInfo:
    """How exemplars were searched, and the measured recall."""

    index_factory: str
    k: int
    recall: float
    recall_p05: float
    queries: int
    nearest: float | None = None


@dataclass(frozen=True)
class RecordedNeighbour:
    """A neighbour of which only the record is left. voted: False: it was in reserve."""

    exemplar_id: str
    similarity: float
    class_name: str | None
    voted: bool


@dataclass(frozen=True)
class IncompleteExplanation:
    """What is missing of an explanation whose release is gone, and the recorded neighbours."""

    reason: str
    missing: tuple[str, ...]
    fix: str
    neighbours: tuple[RecordedNeighbour, ...]


@dataclass(frozen=True)
class Explanation(Masked):
    """Why a segment has its label, with everything that is needed to recompute the vote.

    Attributes:
        exemplars: those that voted, best first.
        reserve: the next ones, which would vote if others were removed.
        runner_up, margin: the class with the second largest share, and the distance to it.
        flip_set: ids of the smallest set of exemplars whose removal changes the label; None: it is not known.
        familiarity, image_similarity: how much the segment and its image resemble the exemplars.
        boundary: pixels near other segments, where the outline is least certain.
        similar: segments of earlier answers.
        corrections: of this segment, in effect.
        incomplete: what is missing, if the release is gone.
    """

    segment_id: str
    segmentation_id: str
    class_id: int | None
    class_name: str | None
    confidence: float | None
    share: float | None
    known: bool
    familiarity: float | None
    image_similarity: float | None
    area: int
    bbox: Box
    shape: Annotated[Mask, Wire("mask")]
    vote: Vote
    exemplars: tuple[Voter, ...]
    reserve: tuple[Neighbour, ...]
    runner_up: RunnerUp | None
    margin: float | None
    flip_set: tuple[str, ...] | None
    boundary: Boundary
    similar: tuple[SimilarSegment, ...]
    corrections: tuple[Correction, ...]
    calibration: Calibration | None
    search: SearchInfo | None
    incomplete: IncompleteExplanation | None
    release: str
    release_digest: str | None
    index_revision: int
    label_url: str
    image_url: str | None
    crop_url: str
