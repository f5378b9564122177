"""The answer of /explain."""

from pydantic import Field

from model_store.card import Calibration, SearchInfo
from service.http.wire.base import (
    Area,
    Author,
    ClassId,
    ClassName,
    Confidence,
    Cosine,
    CropUrl,
    ExemplarId,
    ImageUrl,
    Incomplete,
    IndexRevision,
    Known,
    LabelId,
    LabelName,
    Release,
    ReleaseDigest,
    Revision,
    SegmentationId,
    SegmentId,
    Share,
    Wire,
)
from service.http.wire.exemplars import Exemplar
from service.http.wire.masks import BBox, Mask


class Neighbour(Exemplar):
    """One of the nearest exemplars of a segment."""

    similarity: Cosine


class Voter(Neighbour):
    """An exemplar that voted; its weight is strength * exp(kappa * similarity), divided by the sum over all voters."""

    weight: Share


class ClassShare(Wire):
    """The votes for one class."""

    class_id: ClassId
    class_name: ClassName
    weight: Share


class VotedClass(ClassShare):
    """The votes for one class, and its colour."""

    color: str = Field(description="Colour in which the class is drawn.", examples=["#804080"])


class Vote(Wire):
    """The vote of the nearest exemplars."""

    k: int = Field(ge=0, description="Number of exemplars that voted; 0: there was none.", examples=[20])
    kappa: float = Field(gt=0, description="Concentration: a larger one gives near exemplars more weight.")
    classes: list[VotedClass] = Field(description="Classes with a share, the largest first. Shares sum to 1.")


class RunnerUp(ClassShare):
    """The class with the second largest share."""

    exemplars: list[Neighbour] = Field(description="Its nearest exemplars at the time of the answer, at most 5.")


class BoundaryNeighbour(Wire):
    """Another segment at the boundary."""

    segment_id: SegmentId
    class_name: LabelName
    known: Known
    share: float = Field(ge=0, le=1, description="Share of the pixels that lie near this segment, 0 to 1.")


class Boundary(Wire):
    """The pixels of a segment near other segments. There its outline is least certain."""

    distance_px: int = Field(description="Largest distance that counts as near, in pixels.", examples=[3])
    share: float = Field(ge=0, le=1, description="Share of the segment's pixels that are near, 0 to 1.")
    neighbours: list[BoundaryNeighbour] = Field(description="The other segments, the largest share first.")


class SimilarSegment(Wire):
    """A segment of an earlier answer with a similar prototype."""

    segment_id: SegmentId
    class_name: LabelName = Field(description="Name of its class in that answer; null: it had no class.")
    known: Known
    confidence: Confidence
    similarity: Cosine
    image_url: ImageUrl
    crop_url: CropUrl


class Correction(Wire):
    """A correction of this segment's label that is in effect."""

    revision: Revision
    class_name: ClassName
    author: Author


class RecordedNeighbour(Wire):
    """A neighbour of a segment, of which only the record is left."""

    exemplar_id: ExemplarId
    similarity: Cosine
    class_name: str | None = Field(description="Name of its class; null: only the release knew it.")
    voted: bool = Field(description="False: it was in reserve.")


class IncompleteExplanation(Incomplete):
    """What is missing of an explanation, and the neighbours that were recorded."""

    neighbours: list[RecordedNeighbour] = Field(
        description="The nearest exemplars, nearest first; empty: they were recorded by their places in the release."
    )


class Explanation(Wire):
    """Why a segment has its label, with all values that are needed to recompute the vote."""

    segment_id: SegmentId
    segmentation_id: SegmentationId
    class_id: LabelId
    class_name: LabelName
    confidence: Confidence
    share: Share | None = Field(description="Share of the vote that the class has, 0 to 1; null: nothing voted.")
    known: Known
    familiarity: Cosine | None = Field(
        description="Mean of image_similarity and the similarity of the nearest exemplar. It is the latter alone if "
        "the release is not calibrated, or if an edit added that exemplar. Below the threshold in `calibration` the "
        "segment is not known. Null: nothing voted."
    )
    image_similarity: Cosine | None = Field(
        description="Mean similarity of the image's segments to their nearest exemplars, weighted by area; null: "
        "nothing voted."
    )
    area: Area
    bbox: BBox
    mask: Mask = Field(description="Its pixels in the image.")
    vote: Vote = Field(description="Settings and result of the vote.")
    exemplars: list[Voter] = Field(description="The exemplars that voted, nearest first.")
    reserve: list[Neighbour] = Field(
        description="The next nearest exemplars. They vote if nearer exemplars are removed."
    )
    runner_up: RunnerUp | None = Field(description="The second class; null: no exemplar voted for another class.")
    margin: float | None = Field(
        ge=0, le=1.000001, description="Share of the class minus that of the runner-up, 0 to 1; null: nothing voted."
    )
    flip_set: list[str] | None = Field(
        description="Ids of the smallest set of exemplars whose removal changes the label; null: removing any of the "
        "listed exemplars does not change it, or nothing voted."
    )
    boundary: Boundary = Field(description="How much of the segment lies near other segments.")
    similar: list[SimilarSegment] = Field(description="Similar segments of other images, the most similar first.")
    corrections: list[Correction] = Field(description="Corrections of this segment's label, the newest first.")
    calibration: Calibration | None = Field(
        description="How a share becomes a confidence, and from which familiarity on a segment is known; null: the "
        "release is gone, see `incomplete`."
    )
    search: SearchInfo | None = Field(
        description="What the search index finds of the nearest exemplars; null: it compares with every exemplar."
    )
    incomplete: IncompleteExplanation | None = Field(
        description="What is missing because the release is gone; null: nothing. Otherwise `exemplars`, `reserve` and "
        "the classes of the vote are empty."
    )
    release: Release
    release_digest: ReleaseDigest
    index_revision: IndexRevision
    label_url: str = Field(description="Path to which a corrected label is sent with POST.")
    image_url: ImageUrl
    crop_url: CropUrl
