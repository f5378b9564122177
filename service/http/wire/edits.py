"""Answers of /edits, and models that the answers to all edits share."""

from typing import Annotated, Literal

from pydantic import Field

from service.http.wire.base import (
    Author,
    CropUrl,
    ExemplarId,
    ImageId,
    ImageUrl,
    IndexRevision,
    LabelName,
    Release,
    ReleaseDigest,
    Revision,
    SegmentId,
    Time,
    Wire,
    never_null,
)
from service.http.wire.class_info import ClassInfo


class Edit(Wire):
    """One change to exemplars or classes."""

    revision: Revision
    kind: Literal["add", "label", "mark", "remove", "class", "revert", "carry"] = Field(
        description=(
            "add: exemplars of a labelled image; label: the corrected label of a segment; mark: parts of answers "
            "marked with classes; remove: exemplars removed; class: a class created or changed; revert: an earlier "
            "edit reverted; carry: edits of an earlier release of this name carried over."
        )
    )
    release: Release
    release_digest: ReleaseDigest
    author: Author
    reason: str | None = Field(description="Reason that the author gave; null: none.", examples=["kerb, not road"])
    created: Time
    summary: str = Field(description="What the edit does, in one line.", examples=["corrected a segment to kerb"])
    exemplar_ids: list[ExemplarId] = Field(description="Exemplars that the edit adds or removes.")
    classes: list[ClassInfo] = Field(description="Classes that the edit creates or changes.")
    reverted_by: int | None = Field(description="Number of the edit that reverts this one; null: it is in effect.")
    scope: Literal["all", "image"] | None = Field(
        None,
        json_schema_extra=never_null,
        description="Where it adds exemplars: whether they vote for segments of every image, or only for those of "
        "their own image.",
    )
    segment_id: str | None = Field(
        None, json_schema_extra=never_null, description="For a correction: id of the segment."
    )
    segment_ids: list[str] | None = Field(
        None, json_schema_extra=never_null, description="For marks: ids of the segments that are marked as a whole."
    )
    replaces: list[str] | None = Field(
        None,
        json_schema_extra=never_null,
        description="Ids of the exemplars that it removes: for a correction, those of earlier corrections of the "
        "segment; for strokes and marks, those whose pixels they mark with another class.",
    )
    reverts: int | None = Field(
        None, json_schema_extra=never_null, description="For a revert: number of the reverted edit."
    )


EditOrNone = Annotated[Edit | None, Field(description="The edit; null: there was nothing to change.")]


class Edited(Wire):
    """The result of an edit."""

    index_revision: IndexRevision
    edit: Edit = Field(description="The edit.")


class EffectSegment(Wire):
    """A segment whose label an edit changes."""

    segment_id: SegmentId
    before: LabelName = Field(description="Name of its class in the answer; null: it had no class.")
    after: LabelName = Field(description="Name of the class that it would get now; null: none.")
    known: bool = Field(description="Whether it would be known now. False: that class is only the nearest one.")
    image_id: ImageId
    image_url: ImageUrl
    crop_url: CropUrl


class Effect(Wire):
    """What an edit changes in recent answers."""

    segments: list[EffectSegment] = Field(description="Segments whose label changes through this edit.")
    answers: int = Field(ge=0, description="Number of answers that were compared.")
