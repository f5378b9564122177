"""The JSON of every answer as pydantic models: the source of the OpenAPI document and of the types of its clients.

Frequent answers are built as plain dictionaries and are not validated at run time; tests validate real answers of every
route against these models.
"""

from service.http.wire.access import Caller, Limit
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
from service.http.wire.audit import (
    Audit,
    AuditEntry,
    AuditNeighbour,
    CorrectedSegment,
    ExemplarPreview,
    ExemplarsRelabelled,
)
from service.http.wire.base import Wire
from service.http.wire.batches import BatchAnswer, BatchImage, JobImage, JobImageList, SegmentResult
from service.http.wire.building import BuildResult, MeasuredClass, Survey, SurveyedClass
from service.http.wire.class_info import ClassInfo
from service.http.wire.classes import ClassChanged, OfferedClass
from service.http.wire.comparing import ComparedClass, ComparedImage, Comparison
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
from service.http.wire.exploring import Cluster, ClusterList, ClusterSegment, NearestClass, Suggestion, SuggestionList
from service.http.wire.health import DeviceSteps, Liveness, Readiness
from service.http.wire.importing import Imported, ImportedImage, SkippedFile
from service.http.wire.jobs import AcceptedJob, AdaptationResult, CarryResult, Job
from service.http.wire.marks import ChangeElsewhere, Elsewhere, Marked, MarksPreview, SegmentsLabelled
from service.http.wire.masks import BBox, Mask, PolygonMask
from service.http.wire.problems import Problem
from service.http.wire.releases import (
    ActivatedRelease,
    AdaptedScores,
    HeldOutScores,
    Licence,
    ReleaseCard,
    ReleaseSummary,
)
from service.http.wire.webhooks import NewWebhook, Webhook, WebhookTest

__all__ = [
    "AcceptedJob",
    "ActivatedRelease",
    "AdaptationResult",
    "AdaptedScores",
    "AddedExemplar",
    "Answer",
    "AnswerSummary",
    "Audit",
    "AuditEntry",
    "AuditNeighbour",
    "BBox",
    "BatchAnswer",
    "BatchImage",
    "Boundary",
    "BoundaryNeighbour",
    "BuildResult",
    "Caller",
    "CarryResult",
    "ChangeElsewhere",
    "ClassChanged",
    "ClassInfo",
    "ClassShare",
    "Cluster",
    "ClusterList",
    "ClusterSegment",
    "ComparedClass",
    "ComparedImage",
    "Comparison",
    "CorrectedSegment",
    "Correction",
    "DeviceSteps",
    "DroppedShape",
    "Edit",
    "Edited",
    "Effect",
    "EffectSegment",
    "Elsewhere",
    "Exemplar",
    "ExemplarList",
    "ExemplarPreview",
    "ExemplarSummary",
    "ExemplarsAdded",
    "ExemplarsRelabelled",
    "ExemplarsRemoved",
    "Explanation",
    "HeldOutScores",
    "Imported",
    "ImportedImage",
    "Job",
    "JobImage",
    "JobImageList",
    "LabelChange",
    "Licence",
    "Limit",
    "Liveness",
    "Marked",
    "MarksPreview",
    "Mask",
    "MeasuredClass",
    "NearestClass",
    "Neighbour",
    "NewAnswer",
    "NewWebhook",
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
    "SegmentResult",
    "SegmentsLabelled",
    "SimilarSegment",
    "SkippedFile",
    "Suggestion",
    "SuggestionList",
    "Survey",
    "SurveyedClass",
    "Timings",
    "Vote",
    "Voter",
    "Webhook",
    "WebhookTest",
    "Wire",
]
