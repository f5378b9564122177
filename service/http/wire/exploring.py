"""Answers of /suggestions and /clusters."""

from typing import Annotated

from pydantic import Field

from service.http.wire.base import (
    Area,
    ClassId,
    ClassName,
    Cosine,
    CropUrl,
    IndexRevision,
    Known,
    LabelName,
    Release,
    SegmentationId,
    SegmentId,
    Time,
    Wire,
)

Looked = Annotated[
    int, Field(ge=0, description="Number of images that were looked at: the newest ones.", examples=[40])
]


class Suggestion(Wire):
    """An image to label next."""

    segmentation_id: SegmentationId = Field(description="Id of the newest answer of the image.")
    image_id: str = Field(description="SHA-256 of the image file.")
    image_url: str = Field(description="Path of the image file.", examples=[f"/segmentations/{'3f' * 16}/image"])
    width: int = Field(ge=1, description="Width of the upright image in pixels.", examples=[640])
    height: int = Field(ge=1, description="Height of the upright image in pixels.", examples=[480])
    created: Time
    score: float = Field(
        ge=0,
        description="How much closer the segments of all these images come to a labelled one, if this image is "
        "labelled after those before it in the list: the sum over segments of the increase of the largest cosine, "
        "weighted by their share of the area and their uncertainty.",
        examples=[3.1],
    )
    unknown: float = Field(ge=0, le=1, description="Share of its area that is unknown, 0 to 1.", examples=[0.62])
    uncertainty: float = Field(
        ge=0,
        le=1,
        description="Mean uncertainty of its segments, weighted by area, 0 to 1: 1 for an unknown segment, else 1 "
        "minus the confidence, or 1 minus the share of the vote if the release is not calibrated.",
        examples=[0.71],
    )
    novelty: float = Field(
        ge=0,
        le=2.0001,
        description="Mean distance, 1 minus cosine, of its segments to the nearest exemplar or segment of a marked "
        "image or of an image before it in the list.",
        examples=[0.31],
    )
    reasons: list[str] = Field(description="Why it is suggested.", examples=[["62 % of its area is unknown."]])


class SuggestionList(Wire):
    """Images to label next, the best first."""

    release: Release
    index_revision: IndexRevision
    images: Looked
    marked: int = Field(
        ge=0, description="Number of these of which an edit has marked a part. They are not suggested.", examples=[2]
    )
    suggestions: list[Suggestion] = Field(description="The images, the best first.")


class ClusterSegment(Wire):
    """A segment of a cluster, with the label that it has now."""

    segment_id: SegmentId
    segmentation_id: SegmentationId
    class_name: LabelName = Field(description="Name of its nearest class; null: there is no exemplar.")
    known: Known
    area: Area
    share: float = Field(ge=0, le=1, description="Share of the area of its image, 0 to 1.", examples=[0.08])
    similarity: Cosine = Field(description="Cosine to the centre of the cluster.")
    crop_url: CropUrl


class NearestClass(Wire):
    """The class that a cluster resembles most."""

    class_id: ClassId
    class_name: ClassName
    similarity: Cosine = Field(description="Cosine of the centre of the cluster to the nearest exemplar.")


class Cluster(Wire):
    """Segments of several images that resemble each other."""

    size: int = Field(ge=1, description="Number of its segments.", examples=[31])
    images: int = Field(ge=1, description="Number of images that have one of its segments.", examples=[9])
    area: float = Field(
        ge=0, description="Sum of the shares of its segments of the area of their images.", examples=[1.7]
    )
    spread: Cosine = Field(
        description="Mean cosine of its segments to its centre, weighted by area; 1: all have one direction."
    )
    nearest: NearestClass | None = Field(description="The class that it resembles most; null: there is no exemplar.")
    segments: list[ClusterSegment] = Field(
        description="Its segments, the largest share of their image first: as many as `members` asks for."
    )


class ClusterList(Wire):
    """The segments of recent images without a sure label, clustered."""

    release: Release
    index_revision: IndexRevision
    images: Looked
    segments: int = Field(ge=0, description="Number of segments of these images without a sure label.", examples=[211])
    left_out: int = Field(
        ge=0, description="Number of those that are not in a cluster, because there are too many: the smallest ones."
    )
    near: float = Field(
        ge=-1,
        le=1,
        description="Cosine from which on a segment is near the centre of its cluster: the familiarity of known "
        "segments, within 0.5 and 0.99. The number of clusters is the smallest tried with which 90 % of the area is "
        "near, but at most 64, and at most one for two segments.",
        examples=[0.95],
    )
    clusters_found: int = Field(ge=0, description="Number of clusters, also of those that are not listed.")
    clusters: list[Cluster] = Field(description="The clusters, the largest area first.")
