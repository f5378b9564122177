"""Answers of /segment and /segmentations."""

from pydantic import Field

from service.http.wire.base import (
    Area,
    ClassName,
    Confidence,
    Cosine,
    ExemplarId,
    ImageId,
    ImageUrl,
    Incomplete,
    IndexRevision,
    Known,
    LabelId,
    LabelName,
    Release,
    ReleaseDigest,
    SegmentationId,
    SegmentId,
    Share,
    Time,
    Wire,
    never_null,
)
from service.http.wire.class_info import ClassInfo
from service.http.wire.masks import BBox, Mask, PolygonMask


class SegmentExemplar(Wire):
    """An exemplar that voted on a segment."""

    exemplar_id: ExemplarId
    class_name: ClassName
    similarity: Cosine
    weight: Share


class Segment(Wire):
    """A segment of the image with its label."""

    segment_id: SegmentId
    class_id: LabelId
    class_name: LabelName
    confidence: Confidence
    known: Known
    share: Share | None = Field(description="Share of the vote that the class has, 0 to 1; null: nothing voted.")
    margin: Share | None = Field(
        description="`share` minus the share of the second class, 0 to 1; null: nothing voted.", examples=[0.41]
    )
    area: Area
    bbox: BBox
    mask: Mask | PolygonMask | None = Field(
        None,
        json_schema_extra=never_null,
        description="Run lengths with masks=rle, outlines with masks=polygon, absent with masks=none.",
    )
    exemplars: list[SegmentExemplar] = Field(
        description="The exemplars with the largest similarity, best first: as many as `exemplars` asks for."
    )


class Timings(Wire):
    """Times of a segmentation."""

    decode: float = Field(ge=0, description="Decoding the image file.", examples=[3.1])
    embed: float = Field(ge=0, description="Running the network.", examples=[21.4])
    sort: float = Field(ge=0, description="Sorting pixels into segments.", examples=[8.9])
    retrieve: float = Field(ge=0, description="Searching exemplars and voting.", examples=[1.2])
    total: float = Field(ge=0, description="All stages.", examples=[35.0])


class RelabelTimings(Wire):
    """Times of relabelling. Neither the network nor pixel sorting runs."""

    retrieve: float = Field(ge=0, description="Searching exemplars and voting.", examples=[1.2])
    total: float = Field(ge=0, description="All stages.", examples=[1.2])


class Answer(Wire):
    """A segmented image."""

    segmentation_id: SegmentationId
    width: int = Field(ge=1, description="Width of the upright image in pixels.", examples=[640])
    height: int = Field(ge=1, description="Height of the upright image in pixels.", examples=[480])
    release: Release
    release_digest: ReleaseDigest
    index_revision: IndexRevision
    classes: list[ClassInfo] = Field(description="Classes that segments could take.")
    segments: list[Segment] = Field(description="The segments. Each pixel of the image is in exactly one of them.")
    image_id: ImageId
    image_url: ImageUrl
    conversion: str | None = Field(
        description="What was done to the values of the image when it was decoded, if they were not 8 bits of grey "
        "or RGB; null: nothing, or an old answer.",
        examples=["whole numbers up to 4095: as 12 bits, 0..255"],
    )
    page: int = Field(
        ge=0, description="Number of the page of the file that was sent, from 0. The image is this page alone."
    )
    pages: int = Field(ge=1, description="How many pages the file has: 1 for most, more for some TIFFs.", examples=[1])
    incomplete: Incomplete | None = Field(
        None,
        json_schema_extra=never_null,
        description="For an earlier answer whose release is gone: what is missing. Its segments have no exemplars, "
        "and classes that no edit named are called by their number.",
    )


class NewAnswer(Answer):
    """A segmented image, and how long it took."""

    image_id: str = Field(description="SHA-256 of the image file.")
    timings_ms: Timings = Field(description="Time of each stage in milliseconds.")


class LabelChange(Wire):
    """A segment whose label is different."""

    segment_id: SegmentId = Field(description="Id of the segment in the new answer.")
    before_segment_id: SegmentId = Field(description="Id of the segment in the earlier answer.")
    before: LabelName = Field(description="Name of its class in the earlier answer; null: it had no class.")
    after: LabelName = Field(description="Name of its class in the new answer; null: it has no class.")


class RelabelledAnswer(Answer):
    """The segments of an earlier answer, labelled with the present exemplars."""

    relabelled_from: SegmentationId = Field(description="Id of the earlier answer.")
    changed: list[LabelChange] = Field(description="Segments whose label is different.")
    timings_ms: RelabelTimings = Field(description="Time of each stage in milliseconds.")


class AnswerSummary(Wire):
    """An answer in a list."""

    segmentation_id: SegmentationId
    created: Time
    width: int = Field(ge=1, description="Width of the upright image in pixels.", examples=[640])
    height: int = Field(ge=1, description="Height of the upright image in pixels.", examples=[480])
    release: Release
    release_digest: ReleaseDigest
    index_revision: IndexRevision
    segments: int = Field(ge=0, description="Number of segments.", examples=[31])
    image_id: ImageId
    image_url: ImageUrl
    page: int = Field(ge=0, description="Number of the page of the file that was sent, from 0.")
    pages: int = Field(ge=1, description="How many pages the file has.", examples=[1])
    pinned: bool = Field(description="Whether it is kept whatever the retention: see PUT .../pin. Updates inherit it.")
    marked: int = Field(ge=0, description="Number of exemplars of the image: marks of it that still vote.")
    outdated: bool = Field(
        description="Whether its labels may be others now. After later edits, relabel the answer; if another release "
        "is served now, segment its image again."
    )
