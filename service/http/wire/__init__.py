"""The JSON of every answer as pydantic models: the source of the OpenAPI document and of the types of its clients.

Frequent answers are built as plain dictionaries and are not validated at run time; tests validate real answers of every
route against these models.
"""

from service.http.wire.access import Caller
from service.http.wire.answers import (
    Answer,
    AnswerSummary,
    LabelChange,
    NewAnswer,
    RelabelledAnswer,
    Segment,
    SegmentExemplar,
    Timings,
)
from service.http.wire.base import Wire
from service.http.wire.class_info import ClassInfo
from service.http.wire.classes import ClassChanged, OfferedClass
from service.http.wire.edits import Edit, Edited, Effect, EffectSegment
from service.http.wire.exemplars import (
    AddedExemplar,
    DroppedShape,
    Exemplar,
    ExemplarList,
    ExemplarsAdded,
    ExemplarsRemoved,
    ExemplarSummary,
    SegmentLabelled,
)
from service.http.wire.explanations import (
    Boundary,
    BoundaryNeighbour,
    ClassShare,
    Correction,
    Explanation,
    Neighbour,
    RunnerUp,
    SimilarSegment,
    Vote,
    Voter,
)
from service.http.wire.health import DeviceSteps, Liveness, Readiness
from service.http.wire.importing import Imported, ImportedImage, SkippedFile
from service.http.wire.jobs import AdaptationResult, Job
from service.http.wire.masks import BBox, Mask, PolygonMask
from service.http.wire.problems import Problem
from service.http.wire.releases import ActivatedRelease, Licence, ReleaseCard, ReleaseSummary

__all__ = [
    "ActivatedRelease",
    "AdaptationResult",
    "AddedExemplar",
    "Answer",
    "AnswerSummary",
    "BBox",
    "Boundary",
    "BoundaryNeighbour",
    "Caller",
    "ClassChanged",
    "ClassInfo",
    "ClassShare",
    "Correction",
    "DeviceSteps",
    "DroppedShape",
    "Edit",
    "Edited",
    "Effect",
    "EffectSegment",
    "Exemplar",
    "ExemplarList",
    "ExemplarSummary",
    "ExemplarsAdded",
    "ExemplarsRemoved",
    "Explanation",
    "Imported",
    "ImportedImage",
    "Job",
    "LabelChange",
    "Licence",
    "Liveness",
    "Mask",
    "Neighbour",
    "NewAnswer",
    "OfferedClass",
    "PolygonMask",
    "Problem",
    "Readiness",
    "RelabelledAnswer",
    "ReleaseCard",
    "ReleaseSummary",
    "RunnerUp",
    "Segment",
    "SegmentExemplar",
    "SegmentLabelled",
    "SimilarSegment",
    "SkippedFile",
    "Timings",
    "Vote",
    "Voter",
    "Wire",
]
