"""Answers: POST /segment, and what was answered before."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.answering.answers import image_url, recorded_answer_json
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions, MaskFormat, SegmentRequest
from service.answering.relabelling import relabel as relabel_answer
from service.answering.stages import Stages
from service.images.decode import is_quickly_measured
from service.images.drawing import label_map_png
from service.problems import Problem
from service.records.database import Answered
from service.records.tables import iso
from service.routes.dependencies import (
    LARGEST,
    Exemplars,
    Limit,
    Reader,
    Service,
    image_field,
    is_form,
    json,
    picture_response,
    read_body,
    read_form,
    turn,
)

router = APIRouter(tags=["segmentations"])

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{f"image/{kind}": _BINARY for kind in ("jpeg", "png", "webp", "tiff", "bmp", "gif")},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.post("/segment", openapi_extra=_BODY)
async def segment(
    request: Request,
    caller: Reader,
    engine: Service,
    segments: Annotated[int | None, Query(description="segments that pixel sorting starts with")] = None,
    k: Annotated[int | None, Query(description="exemplars that vote")] = None,
    exemplars: Exemplars = 5,
    masks: Annotated[MaskFormat, Query(description="form of the masks")] = "rle",
    min_index_revision: Annotated[int, Query(ge=0, le=LARGEST, description="wait for this edit")] = 0,
) -> Response:
    """Segment an image: labelled segments that tile it, each with its nearest exemplars."""
    content = await _image_of(request, engine.settings.max_bytes)
    asked = SegmentRequest(segments, k, exemplars, masks, min_index_revision)
    as_png, stages = "image/png" in request.headers.get("accept", ""), Stages()

    request.state.stages = stages

    def answer() -> Response:
        told = engine.segment(content, asked, caller.name, stages)
        with stages.stage("encode"):
            if as_png:
                return Response(label_map_png(told.class_map, told.classes), media_type="image/png")
            return json(told.body)

    quick = min_index_revision <= engine.live.revision and is_quickly_measured(content)
    async with turn(request, lambda: engine.measure(content, asked), quick) as waited:
        response = await run_in_threadpool(answer)
    stages.ms["wait"] = waited * 1000
    return response


@router.get("/segmentations")
def segmentations(
    caller: Reader,
    engine: Service,
    limit: Limit = 50,
    before: Annotated[str | None, Query(description="only those before this segmentation_id")] = None,
) -> Response:
    """What was answered, the newest first."""
    last = None if before is None else find_answer(engine, before).facts
    answers = engine.records.newest(limit, last, light=True)
    kept = engine.records.images.which({a.facts.image_id for a in answers if a.facts.image_id is not None})
    return json([_listed(answered, answered.facts.image_id in kept) for answered in answers])


@router.get("/segmentations/{segmentation_id}")
def segmentation(
    segmentation_id: str, caller: Reader, engine: Service, exemplars: Exemplars = 5, masks: MaskFormat = "rle"
) -> Response:
    """An answer as it was given."""
    answered = find_answer(engine, segmentation_id)
    options = AnswerOptions(exemplars, masks)
    engine.limits.check_options(options)
    kept = engine.records.images.has(answered.facts.image_id)
    return json(recorded_answer_json(engine.catalogue.release_of(answered), answered, options, kept))


@router.get("/segmentations/{segmentation_id}/image")
def image(segmentation_id: str, caller: Reader, engine: Service) -> Response:
    """The picture that was answered, as it came."""
    image_id = find_answer(engine, segmentation_id).facts.image_id
    return picture_response(engine.records.images.get(image_id), segmentation_id)


@router.post("/segmentations/{segmentation_id}/relabel")
def relabel(
    segmentation_id: str, caller: Reader, engine: Service, exemplars: Exemplars = 5, masks: MaskFormat = "rle"
) -> Response:
    """The same segments under the present state, without the network: a new answer, and what is different."""
    answered = find_answer(engine, segmentation_id)
    return json(relabel_answer(engine, answered, AnswerOptions(exemplars, masks), caller.name))


def find_answer(engine: Engine, segmentation_id: str) -> Answered:
    """An answer by its id.

    Raises:
        Problem: 404 if there is none.
    """
    answered = engine.records.answer(segmentation_id)
    if answered is None:
        raise Problem(
            404, "There is no such answer.", received=segmentation_id, allowed="a segmentation_id of POST /segment",
            fix="Take the id from POST /segment or GET /segmentations.",
        )  # fmt: skip
    return answered


def _listed(answered: Answered, kept: bool) -> dict[str, Any]:
    facts = answered.facts
    return {
        "segmentation_id": facts.segmentation_id,
        "created": iso(facts.created),
        "width": facts.width,
        "height": facts.height,
        "release": facts.release,
        "index_revision": facts.index_revision,
        "segments": len(answered.segments),
        "image_id": facts.image_id,
        "image_url": image_url(facts.segmentation_id) if kept else None,
    }


async def _image_of(request: Request, max_bytes: int) -> bytes:
    """The image of a request: its raw body, or the multipart field "image"."""
    body = await read_body(request, max_bytes)
    if not is_form(request):
        return body
    form = await read_form(request, body)
    try:
        return await image_field(form)
    finally:
        await form.close()
