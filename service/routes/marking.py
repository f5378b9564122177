"""Routes of marks on answers: apply them, preview what they would change, and label segments of several answers."""

from collections import defaultdict
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.answering.engine import Engine
from service.answering.limits import AnswerOptions, SegmentRequest
from service.answering.relabelling import previewed
from service.answering.relabelling import relabel as relabel_answer
from service.answering.release_view import ReleaseView, class_json
from service.answering.renderings import Renderings
from service.answering.served import ServedRelease, check_release
from service.editing.class_names import ClassRef
from service.editing.curation import Added
from service.editing.elsewhere import changed_elsewhere
from service.editing.marked_answers import (
    MarkedAnswer,
    image_of,
    mark_answer,
    marks_of_segments,
    no_image,
    numbered,
)
from service.editing.marks import LabelsBody, Marks, MarksBody, read_labels, read_marks
from service.editing.pieces import Mark
from service.editing.planning import after, plan_marks
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted, taken_body
from service.http.document import schema_ref
from service.problems import Problem
from service.records.database import Answered
from service.routes.added_exemplars import added_json
from service.routes.dependencies import (
    Curator,
    Edits,
    Exemplars,
    Reader,
    Service,
    author,
    content_type,
    edited,
    if_recorded,
    is_json,
    json,
    turn,
)
from service.routes.documented import BUSY, SegmentationId, unchanged
from service.routes.segmentations import find_answer
from service.routes.segments import find_record

router = APIRouter(route_class=Budgeted, tags=["segmentations"])
segments_router = APIRouter(route_class=Budgeted, prefix="/segments", tags=["segments"])


def _body(model: type[MarksBody | LabelsBody], about: str) -> dict[str, Any]:
    content = {"application/json": {"schema": schema_ref(model)}}
    return {"requestBody": {"required": True, "description": about, "content": content}}


_MARKS = _body(MarksBody, "Classes of whole segments, and strokes: lines, polygons and masks. At least one of them.")
_LABELS = _body(LabelsBody, "Segments of one or several answers of the release that is served, and their classes.")


class _Asked(NamedTuple):
    """Marks on an answer of the served release; content: the image file where the network must run, else None."""

    answered: Answered
    marks: Marks
    content: bytes | None


@router.post(
    "/segmentations/{segmentation_id}/marks", status_code=201, operation_id="mark_segmentation",
    summary="Mark parts of an answer with classes", response_model=wire.Marked,
    responses=unchanged(wire.Marked) | BUSY, openapi_extra=_MARKS, response_description="The marks were applied.",
)  # fmt: skip
async def mark_segmentation(
    segmentation_id: SegmentationId, request: Request, caller: Curator, engine: Service, curation: Edits,
    exemplars: Exemplars = 5,
) -> Response:  # fmt: skip
    """Make exemplars of marked parts of an answer, in one edit, and label the image again.

    Each mark is an exemplar that is strong enough to win the vote on its pixels. Exemplars of the image that are marked
    with another class now are removed by the same edit. Strokes divide the segments that they cross: see POST
    /exemplars. With the scope `image`, no other image changes.
    """
    options = AnswerOptions(exemplars)
    engine.limits.check_options(options)
    asked = await _asked(request, engine, curation.served, segmentation_id, caller)
    by = author(caller, asked.marks.reason)

    def respond() -> Response:
        marked = _marked(engine, curation.served, asked)
        added = curation.mark(by, marked.marks, {asked.answered.facts.k}, asked.marks.scope)

        def again() -> dict[str, Any]:
            return relabel_answer(engine, asked.answered, options, caller.name, curation.served, marked.split)

        return _edited(engine, curation.served, added, relabelled=if_recorded(again))

    return await _in_turn(request, engine, asked, respond)


@router.post(
    "/segmentations/{segmentation_id}/preview", operation_id="preview_marks",
    summary="Preview what marks would change", response_model=wire.MarksPreview,
    responses=BUSY, openapi_extra=_MARKS,
)  # fmt: skip
async def preview_marks(
    segmentation_id: SegmentationId, request: Request, caller: Reader, engine: Service, curation: Edits,
    elsewhere: Annotated[
        int, Query(ge=0, le=50, description="Number of other images, the newest, whose changes are listed.")
    ] = 8,
    exemplars: Exemplars = 5,
) -> Response:  # fmt: skip
    """Compute what marks would change, here and in other recent images, and write nothing.

    `relabelled` has the labels that POST /segmentations/{segmentation_id}/marks would give. No answer has its ids.
    """
    options = AnswerOptions(exemplars)
    engine.limits.check_options(options)
    served = curation.served
    asked = await _asked(request, engine, served, segmentation_id, caller)
    author(caller, asked.marks.reason)  # refuse what the edit would refuse

    def respond() -> Response:
        marked = _marked(engine, served, asked)
        view, image_id = ReleaseView.current(served.live), asked.answered.facts.image_id
        planned = plan_marks(view, marked.marks, asked.marks.scope, {asked.answered.facts.k})
        then = after(view, planned, image_id)
        relabelled = previewed(engine, asked.answered, options, served, then, marked.split)
        others = changed_elsewhere(engine.records, view, planned, image_id, elsewhere, caller.owner)
        return json({"relabelled": relabelled, "elsewhere": others})

    return await _in_turn(request, engine, asked, respond)


@segments_router.post(
    "/labels", status_code=201, operation_id="label_segments", summary="Label segments of several answers",
    response_model=wire.SegmentsLabelled, responses=unchanged(wire.SegmentsLabelled), openapi_extra=_LABELS,
    response_description="The segments were labelled.",
)  # fmt: skip
async def label_segments(request: Request, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Make exemplars of segments of one or several answers, in one edit. No image is labelled again."""
    marks = await run_in_threadpool(read_labels, _json_body(request))
    by = author(caller, marks.reason)

    def respond() -> Response:
        found = _marked_segments(engine, curation.served, marks, caller)
        ks = {answered.facts.k for answered, _ in found}
        added = curation.mark(by, [mark for _, of_answer in found for mark in of_answer], ks, marks.scope)
        return _edited(engine, curation.served, added)

    return await run_in_threadpool(respond)


def _json_body(request: Request) -> bytes:
    if not is_json(request):
        raise Problem(
            415, "The body is not JSON.", received=content_type(request)[:100] or None, allowed=["application/json"],
            fix="Send the marks as JSON, with Content-Type: application/json.",
        )  # fmt: skip
    return taken_body(request)


async def _asked(
    request: Request, engine: Engine, served: ServedRelease, segmentation_id: str, caller: Caller
) -> _Asked:
    body = _json_body(request)

    def read() -> _Asked:
        answered = find_answer(engine, segmentation_id, caller)
        check_release(served, answered)
        marks, image_id = read_marks(body), image_of(answered).image_id
        if not engine.records.images.has(image_id):
            raise no_image(segmentation_id)
        if not marks.strokes or engine.embeddings.get(served.live.digest, image_id) is not None:
            return _Asked(answered, marks, None)
        stored = engine.records.images.get(image_id)
        if stored is None:
            raise no_image(segmentation_id)
        return _Asked(answered, marks, stored.content)

    return await run_in_threadpool(read)


async def _in_turn(request: Request, engine: Engine, asked: _Asked, respond: Callable[[], Response]) -> Response:
    """Run in a thread; where pixels are drawn or the network must run, when it is this request's turn."""
    content, facts = asked.content, asked.answered.facts
    if not asked.marks.strokes:
        return await run_in_threadpool(respond)
    if content is None:
        renderings: Renderings = request.app.state.renderings
        pixels = renderings.whole(facts.width, facts.height)
        async with turn(request, lambda: pixels, quick=True, admission=renderings.marks):
            return await run_in_threadpool(respond)
    ahead = content, lambda: engine.decode(content, engine.served)
    async with turn(request, lambda: engine.measure(content, SegmentRequest()), ahead=ahead):
        return await run_in_threadpool(respond)


def _marked(engine: Engine, served: ServedRelease, asked: _Asked) -> MarkedAnswer:
    answered, marks = asked.answered, asked.marks
    labels = numbered(answered, marks.labels)
    if not marks.strokes:
        return MarkedAnswer(marks_of_segments(answered, labels), None)
    embeddings = _embeddings(engine, served, asked)
    names = [state.info.name for state in served.live.log.class_states() if not state.retired]
    options = served.release.card.sorting.options(None)
    return mark_answer(answered, labels, marks.strokes, embeddings, options, names)


def _embeddings(engine: Engine, served: ServedRelease, asked: _Asked) -> np.ndarray:
    facts, content = asked.answered.facts, asked.content
    image_id = image_of(asked.answered).image_id
    kept = engine.embeddings.get(served.live.digest, image_id)
    if kept is not None:
        return kept
    if content is None:  # they were removed meanwhile
        stored = engine.records.images.get(image_id)
        if stored is None:
            raise no_image(facts.segmentation_id)
        content = stored.content
    return engine.embeddings_of(content, image_id, served)


def _marked_segments(
    engine: Engine, served: ServedRelease, marks: Marks, caller: Caller
) -> list[tuple[Answered, list[Mark]]]:
    """The answers that labels name, and the marks on each."""
    groups: dict[str, dict[str, ClassRef]] = defaultdict(dict)
    for segment_id, ref in marks.labels.items():
        groups[segment_id.rpartition("-")[0]][segment_id] = ref
    found = []
    for labels in groups.values():
        answered = find_record(engine, next(iter(labels)), caller).answered
        check_release(served, answered)
        found.append((answered, marks_of_segments(answered, numbered(answered, labels))))
    return found


def _edited(engine: Engine, served: ServedRelease, added: Added, **more: Any) -> Response:
    classes = [] if added.edit is None else [class_json(info) for info in added.edit.new_classes]
    return edited(engine, added.edit, 201, exemplars=added_json(served, added), classes=classes, **more)
