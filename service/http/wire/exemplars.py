"""Answers of /exemplars, and of the correction of a segment's label."""

from typing import Literal

from pydantic import Field

from service.http.wire.answers import RelabelledAnswer
from service.http.wire.base import (
    Area,
    ClassId,
    ClassName,
    CropUrl,
    ExemplarId,
    IndexRevision,
    Release,
    ScopeOfVotes,
    Strength,
    Wire,
)
from service.http.wire.class_info import ClassInfo
from service.http.wire.edits import Edit, EditOrNone
from service.http.wire.masks import BBox, Mask


class ExemplarSummary(Wire):
    """An exemplar in a list: everything but its mask."""

    exemplar_id: ExemplarId
    class_id: ClassId
    class_name: ClassName
    strength: Strength
    scope: ScopeOfVotes
    source: str = Field(description="Name of its image.", examples=["streets/train/000017"])
    bbox: BBox
    area: Area
    added_in: int | None = Field(description="Number of the edit that added it; null: it is part of the release.")
    removed_in: int | None = Field(description="Number of the edit that removed it; null: it takes part in votes.")
    author: str | None = Field(
        description="Name of the key that added it; null: it is part of the release.", examples=["local"]
    )
    release: Release
    image_url: str = Field(description="Path of its image file.")
    crop_url: CropUrl


class Exemplar(ExemplarSummary):
    """A labelled segment that votes on the labels of others."""

    mask: Mask = Field(description="Its pixels in its image.")


class ExemplarList(Wire):
    """One page of exemplars."""

    total: int = Field(ge=0, description="Number of exemplars on all pages.", examples=[412])
    exemplars: list[ExemplarSummary] = Field(description="The exemplars of the page, the most recently added first.")


class AddedExemplar(Wire):
    """A labelled part of the image."""

    exemplar_id: ExemplarId
    class_id: ClassId
    class_name: ClassName
    area: Area
    bbox: BBox
    strength: Strength = Field(description="Number of exemplars that it counts as: 1, or more for a stroke.")
    scope: ScopeOfVotes
    wins: bool = Field(
        description="Whether its class wins the vote on its own pixels. False: another class looks the same to the "
        "network."
    )
    added: bool = Field(description="False: the exemplar existed before.")


class DroppedShape(Wire):
    """A part of the annotations that is not used."""

    annotation: int = Field(ge=0, description="Number of the annotation, from 0.", examples=[3])
    ring: int | None = Field(
        ge=0, description="Number of the polygon in the annotation, from 0; null: the whole annotation.", examples=[0]
    )
    reason: Literal["fewer than three points", "outside the image", "covers no pixel"] = Field(
        description="Why it is not used."
    )


class ExemplarsAdded(Wire):
    """The exemplars of a labelled image."""

    index_revision: IndexRevision
    edit: EditOrNone
    exemplars: list[AddedExemplar] = Field(description="One for each labelled part, whether it is new or not.")
    classes: list[ClassInfo] = Field(description="Classes that the edit created.")
    already: int = Field(ge=0, description="Number of exemplars that existed before.")
    dropped: list[DroppedShape] = Field(
        description="Annotations, and polygons of annotations, that are not used because they cover no pixel."
    )
    relabelled: RelabelledAnswer | None = Field(
        description="The whole image, labelled again; null without `segmentation_id`, with relabel=false, or where "
        "that failed."
    )


class ExemplarsRemoved(Wire):
    """The result of removing exemplars."""

    index_revision: IndexRevision
    edit: Edit = Field(description="The edit.")
    already: int = Field(ge=0, description="Number of exemplars that had been removed before.")


class SegmentLabelled(Wire):
    """The result of correcting a label: the segment is now an exemplar."""

    index_revision: IndexRevision
    edit: EditOrNone
    exemplar: Exemplar = Field(description="The segment as an exemplar of the right class.")
    strength: Strength = Field(description="Strength that it needs to take the label. Usually 1.")
    relabelled: RelabelledAnswer | None = Field(
        description="The whole image, labelled again; null with relabel=false, or where that failed."
    )
    classes: list[ClassInfo] = Field(description="Classes that the edit created.")
