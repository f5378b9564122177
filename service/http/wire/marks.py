"""Answers about marks: what they changed, and what they would change."""

from pydantic import Field

from service.http.wire.answers import RelabelledAnswer
from service.http.wire.base import Area, ImageUrl, IndexRevision, LabelName, SegmentationId, SegmentId, Wire
from service.http.wire.class_info import ClassInfo
from service.http.wire.edits import EditOrNone
from service.http.wire.exemplars import AddedExemplar


class SegmentsLabelled(Wire):
    """The result of labelling segments of several answers."""

    index_revision: IndexRevision
    edit: EditOrNone
    exemplars: list[AddedExemplar] = Field(description="One for each segment, whether it is new or not.")
    classes: list[ClassInfo] = Field(description="Classes that the edit created.")


class Marked(Wire):
    """The result of marks on an answer."""

    index_revision: IndexRevision
    edit: EditOrNone
    exemplars: list[AddedExemplar] = Field(description="One for each marked part, whether it is new or not.")
    classes: list[ClassInfo] = Field(description="Classes that the edit created.")
    relabelled: RelabelledAnswer | None = Field(description="The whole image, labelled again; null where that failed.")


class ChangeElsewhere(Wire):
    """A segment of another image whose label would be different."""

    segment_id: SegmentId
    before: LabelName = Field(description="Name of the class that it has at present; null: it has none.")
    after: LabelName = Field(description="Name of the class that it would have; null: none.")
    area: Area


class Elsewhere(Wire):
    """Another recent image, by its newest answer, and what would change in it."""

    segmentation_id: SegmentationId
    image_url: ImageUrl
    width: int = Field(ge=1, description="Width of the upright image in pixels.", examples=[640])
    height: int = Field(ge=1, description="Height of the upright image in pixels.", examples=[480])
    segments: int = Field(ge=0, description="Number of segments of the answer.", examples=[31])
    changed: list[ChangeElsewhere] = Field(
        description="Segments whose label would be different from the one that the exemplars of now give it."
    )


class MarksPreview(Wire):
    """What marks would change. Nothing is written."""

    relabelled: RelabelledAnswer = Field(
        description="The whole image as it would be labelled. No answer has its ids, and `index_revision` is the "
        "present one."
    )
    elsewhere: list[Elsewhere] = Field(description="Other images, the newest first, with or without changes.")
