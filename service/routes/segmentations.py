"""Routes of answers: segment an image, and list, read and relabel earlier answers."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from model_store.images import has_cheap_header
from service.answering.answers import recorded_answer_json
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions, MaskFormat, SegmentRequest
from service.answering.links import image_url
from service.answering.relabelling import relabel
from service.answering.stages import Stages
from service.http import wire
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
    image_response,
    is_form,
    is_json,
    json,
    read_body,
    read_form,
    turn,
)
from service.routes.documented import BINARY, BUSY, IMAGE, IMAGE_TYPES, SegmentationId, also
from service.routes.encoded_images import SCHEMA, image_of_json

router = APIRouter(tags=["segmentations"])

_LABEL_MAP = also(
    "image/png",
    BINARY,
    "The segments: JSON, or with `Accept: image/png` an indexed PNG of the image's size in which the value of a pixel "
    "is its class_id and the palette holds the colours of the classes. The value 255 means no class.",
)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The image file as the body, as the field `image` of a form, or in base64 as JSON. The content "
        "type of a raw body is ignored: the file itself shows its format.",
        "content": {
            **dict.fromkeys(IMAGE_TYPES, BINARY),
            "application/octet-stream": BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "title": "ImageForm",
                    "required": ["image"],
                    "properties": {"image": BINARY["schema"] | {"description": "The image file."}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "title": "ImageBody",
                    "required": ["image"],
                    "properties": {"image": SCHEMA},
                    "additionalProperties": False,
                }
            },
        },
    }
}
MaskForm = Annotated[MaskFormat, Query(description="Masks as run lengths, as polygons, or none.")]


@router.post(
    "/segment",
    operation_id="segment",
    summary="Segment an image",
    response_model=wire.NewAnswer,
    responses=_LABEL_MAP | BUSY,
    openapi_extra=_BODY,
)
async def segment(
    request: Request,
    caller: Reader,
    engine: Service,
    segments: Annotated[
        int | None,
        Query(description="Number of segments that pixel sorting starts with. By default, that of the release."),
    ] = None,
    k: Annotated[
        int | None, Query(description="Number of exemplars that vote. By default, that of the release.")
    ] = None,
    exemplars: Exemplars = 5,
    masks: MaskForm = "rle",
    min_index_revision: Annotated[
        int,
        Query(
            ge=0,
            le=LARGEST,
            description="Wait until the edit of this number is part of the index, for example an edit of yours.",
        ),
    ] = 0,
) -> Response:
    """Segment an image: labelled segments that cover it, each with its nearest exemplars.

    With `Accept: image/png` the answer is a label map.
    """
    content = await _image_of(request, engine.settings.max_bytes)
    asked = SegmentRequest(segments, k, exemplars, masks, min_index_revision)
    as_png, stages = "image/png" in request.headers.get("accept", ""), Stages()
    request.state.stages = stages

    def respond() -> Response:
        answer = engine.segment(content, asked, caller.name, stages)
        with stages.stage("encode"):
            if as_png:
                return Response(label_map_png(answer.class_map, answer.classes), media_type="image/png")
            return json(answer.body)

    quick = min_index_revision <= engine.live.revision and has_cheap_header(content)
    async with turn(request, lambda: engine.measure(content, asked), quick) as waited:
        response = await run_in_threadpool(respond)
    stages.ms["wait"] = waited * 1000
    return response


@router.get(
    "/segmentations",
    operation_id="list_segmentations",
    summary="List earlier answers",
    response_model=list[wire.AnswerSummary],
)
def list_segmentations(
    caller: Reader,
    engine: Service,
    limit: Limit = 50,
    before: Annotated[
        str | None,
        Query(description="Only answers before this one: the last `segmentation_id` of the page before."),
    ] = None,
) -> Response:
    """List earlier answers, the newest first."""
    last = None if before is None else find_answer(engine, before).facts
    answers = engine.records.newest(limit, last, light=True)
    kept = engine.records.images.which({a.facts.image_id for a in answers if a.facts.image_id is not None})
    return json([_summary(answered, answered.facts.image_id in kept) for answered in answers])


@router.get(
    "/segmentations/{segmentation_id}",
    operation_id="get_segmentation",
    summary="Read an earlier answer",
    response_model=wire.Answer,
)
def get_segmentation(
    segmentation_id: SegmentationId, caller: Reader, engine: Service, exemplars: Exemplars = 5, masks: MaskForm = "rle"
) -> Response:
    """Read an earlier answer, unchanged except that it has no timings."""
    answered = find_answer(engine, segmentation_id)
    options = AnswerOptions(exemplars, masks)
    engine.limits.check_options(options)
    kept = engine.records.images.has(answered.facts.image_id)
    return json(recorded_answer_json(engine.catalogue.release_of(answered), answered, options, kept))


@router.get(
    "/segmentations/{segmentation_id}/image", operation_id="get_segmentation_image",
    summary="Read the image of an answer", response_class=Response,
    responses=IMAGE,
)  # fmt: skip
def get_segmentation_image(segmentation_id: SegmentationId, caller: Reader, engine: Service) -> Response:
    """Read the unchanged image file of an answer."""
    image_id = find_answer(engine, segmentation_id).facts.image_id
    return image_response(engine.records.images.get(image_id), segmentation_id)


@router.post(
    "/segmentations/{segmentation_id}/relabel", operation_id="relabel_segmentation",
    summary="Relabel an earlier answer",
    response_model=wire.RelabelledAnswer,
)  # fmt: skip
def relabel_segmentation(
    segmentation_id: SegmentationId, caller: Reader, engine: Service, exemplars: Exemplars = 5, masks: MaskForm = "rle"
) -> Response:
    """Label the segments of an earlier answer with the present exemplars, without running the network.

    The result is a new answer. `changed` lists the segments whose label is different.
    """
    answered = find_answer(engine, segmentation_id)
    return json(relabel(engine, answered, AnswerOptions(exemplars, masks), caller.name))


def find_answer(engine: Engine, segmentation_id: str) -> Answered:
    """An answer by its id.

    Raises:
        Problem: 404 if there is none.
    """
    answered = engine.records.answer(segmentation_id)
    if answered is None:
        raise Problem(
            404, "There is no such answer.", received=segmentation_id, allowed="the segmentation_id of an answer",
            fix="Use an id that GET /segmentations lists, or segment the image again.",
        )  # fmt: skip
    return answered


def _summary(answered: Answered, kept: bool) -> wire.AnswerSummary:
    facts = answered.facts
    return wire.AnswerSummary(
        segmentation_id=facts.segmentation_id,
        created=iso(facts.created),
        width=facts.width,
        height=facts.height,
        release=facts.release,
        index_revision=facts.index_revision,
        segments=len(answered.segments),
        image_id=facts.image_id,
        image_url=image_url(facts.segmentation_id) if kept else None,
    )


async def _image_of(request: Request, max_bytes: int) -> bytes:
    """The image of a request: its raw body, the multipart field "image", or the member "image" of a JSON object."""
    body = await read_body(request, max_bytes)
    if is_form(request):
        return image_field(await read_form(request, body))
    if is_json(request) and body[:100].lstrip()[:1] in (b"{", b"[", b'"'):  # no image file begins like this
        return await run_in_threadpool(image_of_json, body, max_bytes)
    return body
