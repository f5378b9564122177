"""Answers of the audit of exemplars, and of the edits that follow from it."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import ClassId, ClassName, Cosine, CropUrl, IndexRevision, SegmentId, Wire
from service.http.wire.class_info import ClassInfo
from service.http.wire.edits import EditOrNone, EffectSegment
from service.http.wire.exemplars import ExemplarSummary


class AuditNeighbour(Wire):
    """An exemplar near another one."""

    exemplar: ExemplarSummary = Field(description="The other exemplar.")
    similarity: Cosine


class CorrectedSegment(Wire):
    """A segment whose label was corrected."""

    revision: int = Field(ge=1, description="Number of the edit that corrected it.", examples=[7])
    segment_id: SegmentId
    before: ClassName = Field(description="Name of its class in the answer.")
    after: ClassName = Field(description="Name of its class after the correction.")
    crop_url: CropUrl


class AuditEntry(Wire):
    """An exemplar, a group of near duplicates, or a class that is worth a look."""

    exemplar: ExemplarSummary | None = Field(
        description="The exemplar; for duplicates, the one that the others are compared with; null for thin classes."
    )
    class_id: ClassId
    class_name: ClassName
    score: float = Field(
        description="contradicted: 0 to 1, how much nearer another class is than its own; duplicates: smallest cosine "
        "to the exemplar; thin: sum of the strengths; corrections: number of corrected segments.",
        examples=[0.42],
    )
    reason: str = Field(
        description="Why it is listed, in words.",
        examples=["Labelled pole, but all of its 20 nearest exemplars in other images are building."],
    )
    suggested_class_id: int | None = Field(
        ge=0, description="For contradicted ones: number of the class that wins the vote; else null.", examples=[1]
    )
    suggested_class_name: str | None = Field(description="Name of that class; else null.", examples=["building"])
    margin: float | None = Field(
        ge=0,
        le=1.000001,
        description="For contradicted ones: share of the vote of that class minus the share of its own; else null.",
        examples=[0.9],
    )
    conflict: bool | None = Field(description="For duplicates: whether they have several classes; else null.")
    neighbours: list[AuditNeighbour] = Field(
        description="contradicted: the nearest exemplars of the other class; duplicates: the others of the group. The "
        "nearest first."
    )
    corrected: list[CorrectedSegment] = Field(
        description="For corrections: corrected segments that it had voted on, the newest first, at most 12. Readers "
        "see segments of their own answers."
    )
    exemplars: int | None = Field(ge=0, description="For thin classes: number of exemplars; else null.", examples=[4])
    images: int | None = Field(ge=0, description="For thin classes: number of their images; else null.", examples=[1])


class Audit(Wire):
    """One page of what an audit found."""

    kind: Literal["contradicted", "duplicates", "thin", "corrections"] = Field(description="What was looked for.")
    index_revision: IndexRevision
    compared: int = Field(ge=0, description="Number of exemplars that were compared.", examples=[6000])
    across_images: bool = Field(
        description="Whether exemplars were judged by those of other images alone. False: there are fewer than three "
        "images."
    )
    total: int = Field(ge=0, description="Number of entries on all pages.", examples=[97])
    entries: list[AuditEntry] = Field(description="The entries of the page, the most doubtful first.")


class ExemplarsRelabelled(Wire):
    """The result of giving exemplars other classes."""

    index_revision: IndexRevision
    edit: EditOrNone
    exemplars: list[ExemplarSummary] = Field(
        description="The exemplars that have taken the place of the others, in the order of the request."
    )
    classes: list[ClassInfo] = Field(description="Classes that the edit created.")


class ExemplarPreview(Wire):
    """What an edit of exemplars would change in recent images."""

    index_revision: IndexRevision
    answers: int = Field(ge=0, description="Number of images that were compared.", examples=[12])
    compared: int = Field(ge=0, description="Number of their segments.", examples=[840])
    changed: list[EffectSegment] = Field(
        description="Segments that would get another label, those of the newest image first. `before` is the label "
        "that they would get now without the edit."
    )
