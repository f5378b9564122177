"""Marks of a request: classes of whole segments, and strokes, with the scope that they have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from model_store.live import Scope
from service.editing.annotations import MAX_NUMBER, parsed
from service.editing.class_names import ClassRef
from service.editing.strokes import MAX_STROKES, Stroke
from service.json_parsing import MANY_VALUES, parsed_json
from service.problems import Problem

MAX_LABELS = 2000
_FIX = (
    'Send JSON such as {"strokes": [{"class_name": "kerb", "points": [[10, 10], [60, 40]], "width": 5}]} or '
    '{"labels": [{"segment_id": "...", "class_name": "kerb"}]}.'
)
_ALLOWED = f"labels (at most {MAX_LABELS}), strokes (at most {MAX_STROKES}), scope (all or image) and reason"
_SCOPE = "all: the marks vote for segments of every image; image: only for those of their own image file."
_REASON = "Why, in your words, at most 1000 characters."


class SegmentMark(BaseModel):
    """A whole segment and its class, by name or id."""

    model_config = ConfigDict(extra="forbid")

    segment_id: Annotated[str, Field(description="Id of the segment.", examples=[f"{'3f' * 16}-0"])]
    class_name: Annotated[str | None, Field(description="Name of its class; a new name creates a class.")] = None
    class_id: Annotated[int | None, Field(ge=0, le=MAX_NUMBER, description="Id of its class, instead of a name.")] = (
        None
    )
    color: Annotated[str | None, Field(description="Colour #rrggbb of the class if it is created.")] = None


class MarksBody(BaseModel):
    """Marks on one answer. A stroke covers earlier strokes, and all strokes cover whole segments."""

    model_config = ConfigDict(extra="forbid")

    labels: Annotated[
        list[SegmentMark], Field(max_length=MAX_LABELS, description="Whole segments of the answer and their classes.")
    ] = []
    strokes: Annotated[
        list[Stroke], Field(max_length=MAX_STROKES, description="Lines and areas in the image, with their classes.")
    ] = []
    scope: Annotated[Scope, Field(description=_SCOPE)] = "all"
    reason: Annotated[str | None, Field(description=_REASON)] = None


class LabelsBody(BaseModel):
    """Segments of one or several answers, and their classes."""

    model_config = ConfigDict(extra="forbid")

    labels: Annotated[
        list[SegmentMark], Field(min_length=1, max_length=MAX_LABELS, description="Segments and their classes.")
    ]
    scope: Annotated[Scope, Field(description=_SCOPE)] = "all"
    reason: Annotated[str | None, Field(description=_REASON)] = None


@dataclass(frozen=True)
class Marks:
    """Marks of a request.

    labels: class of each segment that is marked as a whole, by its id; strokes: in their order; scope: which segments
    the marks vote for; reason: why.
    """

    labels: dict[str, ClassRef]
    strokes: Sequence[Stroke]
    scope: Scope
    reason: str | None


_MARKS, _LABELS = TypeAdapter(MarksBody), TypeAdapter(LabelsBody)


def read_marks(body: bytes) -> Marks:
    """Read the body of a request with marks on one answer.

    Raises:
        Problem: 400 if it is not JSON; 422 if a mark is malformed, or there is none.
    """
    found: MarksBody = parsed(_MARKS, _json(body), "the body", _FIX, _ALLOWED)
    if not found.labels and not found.strokes:
        raise Problem(
            422, "The request marks nothing.", received={"labels": 0, "strokes": 0}, allowed=_ALLOWED, fix=_FIX
        )
    return Marks(_by_segment(found.labels), found.strokes, found.scope, found.reason)


def read_labels(body: bytes) -> Marks:
    """Read the body of a request with classes of segments of any answers.

    Raises:
        Problem: 400 if it is not JSON; 422 if a label is malformed, or there is none.
    """
    found: LabelsBody = parsed(_LABELS, _json(body), "the body", _FIX, "labels, scope (all or image) and reason")
    return Marks(_by_segment(found.labels), (), found.scope, found.reason)


def _by_segment(labels: Sequence[SegmentMark]) -> dict[str, ClassRef]:
    """The class of each segment; of two for one segment the later one."""
    return {one.segment_id: ClassRef(one.class_name, one.class_id, one.color) for one in labels}


def _json(body: bytes) -> Any:
    try:
        return parsed_json(body, MANY_VALUES)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "The body is not JSON.", received=str(error)[:200], allowed="JSON", fix=_FIX) from error
