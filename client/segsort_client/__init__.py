"""Client of the segsort service: image segmentation whose every label names the labelled examples that decided it."""

from segsort_client.asking import DEFAULT_ADDRESS
from segsort_client.clients import AsyncClient, Client
from segsort_client.errors import InputError, JobError, ResponseError, SegsortError, UnreachableError
from segsort_client.many import Result
from segsort_client.results.answers import Relabelled, Segment, Segmentation
from segsort_client.results.edits import Edit, Edited, Labelled
from segsort_client.results.explanations import Explanation
from segsort_client.results.jobs import Job
from segsort_client.strokes import Stroke

__all__ = [
    "DEFAULT_ADDRESS",
    "AsyncClient",
    "Client",
    "Edit",
    "Edited",
    "Explanation",
    "InputError",
    "Job",
    "JobError",
    "Labelled",
    "Relabelled",
    "ResponseError",
    "Result",
    "Segment",
    "Segmentation",
    "SegsortError",
    "Stroke",
    "UnreachableError",
]
