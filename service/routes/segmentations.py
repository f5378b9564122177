"""Routes of answers: segment an image, and list, read and relabel earlier answers."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from model_store.images import Page, has_cheap_header
from service.answering.answers import page_json, recorded_answer_json
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions, MaskFormat, SegmentRequest
from service.answering.links import image_url
from service.answering.relabelling import relabel
from service.answering.stages import Stages
from service.explaining.recorded import recorded_answer
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted, taken_body
from service.images.decode import take_page
from service.images.drawing import label_map_png
from service.logs import note_touched
from service.problems import Problem
from service.records.answer_reader import is_id
from service.records.answered import Answered
from service.records.tables import iso
from service.routes.dependencies import (
    LARGEST,
    Exemplars,
    Limit,
    Owner,
    Reader,
    Service,
    image_field,
    is_form,
    is_json,
    json,
    not_kept,
    read_form,
    turn,
)
from service.routes.documented import BINARY, BUSY, FULL, IMAGE_TYPES, SegmentationId, also
from service.routes.encoded_images import SCHEMA, image_of_json

router = APIRouter(route_class=Budgeted, tags=["segmentations"])

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
Segments = Annotated[
    int | None,
    Query(description="Number of segments that pixel sorting starts with. By default, that of the release."),
]
Voters = Annotated[int | None, Query(description="Number of exemplars that vote. By default, that of the release.")]


@router.post(
    "/segment",
    operation_id="segment",
    summary="Segment an image",
    response_model=wire.NewAnswer,
    responses=_LABEL_MAP | BUSY | FULL,
    openapi_extra=_BODY,
)
async def segment(
    request: Request,
    caller: Reader,
    engine: Service,
    segments: Segments = None,
    k: Voters = None,
    exemplars: Exemplars = 5,
    masks: MaskForm = "rle",
    page: Annotated[
        int, Query(ge=0, le=LARGEST, description="Page of a TIFF with several pages, from 0. Other files have one.")
    ] = 0,
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

    With `Accept: image/png` the answer is a label map. Of a TIFF with several pages, one is segmented and stored, as a
    file of its own: `page` and `pages` of the answer say which.
    """
    taken = await _page_of(await _image_of(request, engine.settings.max_bytes), page)
    return await _segmented(
        request, engine, caller.name, taken, SegmentRequest(segments, k, exemplars, masks, min_index_revision)
    )


@router.post(
    "/segmentations/{segmentation_id}/segment", operation_id="segment_again",
    summary="Segment the image of an earlier answer again",
    response_model=wire.NewAnswer,
    responses=_LABEL_MAP | BUSY | FULL,
)  # fmt: skip
async def segment_again(
    request: Request,
    segmentation_id: SegmentationId,
    caller: Reader,
    engine: Service,
    segments: Segments = None,
    k: Voters = None,
    exemplars: Exemplars = 5,
    masks: MaskForm = "rle",
) -> Response:
    """Segment the stored image of an earlier answer with the release that is served now, as `POST /segment` would.

    It is the way to label an image anew after another release was served. After edits, relabelling is quicker. The new
    answer belongs to the owner of the earlier one.
    """
    taken, owner = await run_in_threadpool(_stored_page, engine, caller, segmentation_id)
    return await _segmented(request, engine, owner, taken, SegmentRequest(segments, k, exemplars, masks))


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
    latest: Annotated[
        bool, Query(description="Only the newest answer of each image: relabelling gives an image further answers.")
    ] = False,
) -> Response:
    """List earlier answers, the newest first. A reader sees those of its own key, a curator those of all keys."""
    last = None if before is None else find_answer(engine, before, caller).facts
    answers = engine.records.newest(limit, last, load="facts", owner=caller.owner, latest=latest)
    return json(_summaries(engine, answers))


@router.get(
    "/segmentations/{segmentation_id}",
    operation_id="get_segmentation",
    summary="Read an earlier answer",
    response_model=wire.Answer,
)
def get_segmentation(
    segmentation_id: SegmentationId, caller: Reader, engine: Service, exemplars: Exemplars = 5, masks: MaskForm = "rle"
) -> Response:
    """Read an earlier answer, unchanged except that it has no timings.

    If the release that gave it is gone without a copy, `incomplete` says what is missing.
    """
    answered = find_answer(engine, segmentation_id, caller)
    options = AnswerOptions(exemplars, masks)
    engine.limits.check_options(options)
    kept = engine.records.images.has(answered.facts.image_id)
    view = engine.catalogue.view_of(answered)
    if view is None:
        return json(recorded_answer(engine, answered, options, kept))
    return json(recorded_answer_json(view, answered, options, kept))


@router.post(
    "/segmentations/{segmentation_id}/relabel", operation_id="relabel_segmentation",
    summary="Relabel an earlier answer",
    response_model=wire.RelabelledAnswer, responses=FULL,
)  # fmt: skip
def relabel_segmentation(
    segmentation_id: SegmentationId, caller: Reader, engine: Service, exemplars: Exemplars = 5, masks: MaskForm = "rle"
) -> Response:
    """Label the segments of an earlier answer with the present exemplars, without running the network.

    The result is a new answer, unless no edit was made since: then it is the earlier answer itself, and nothing is
    recorded. `changed` lists the segments whose label is different.
    """
    answered = find_answer(engine, segmentation_id, caller)
    return json(relabel(engine, answered, AnswerOptions(exemplars, masks), caller.name))


@router.put(
    "/segmentations/{segmentation_id}/pin", status_code=204, operation_id="pin_segmentation",
    summary="Keep an answer whatever the retention",
    response_description="The answer is pinned.",
)  # fmt: skip
def pin_segmentation(segmentation_id: SegmentationId, caller: Owner, engine: Service) -> Response:
    """Pin an answer: retention deletes neither it nor its image.

    A pin holds all answers that updates made of the same first answer, and those that later updates make of them.
    """
    engine.records.pin(find_answer(engine, segmentation_id, caller), True)
    return Response(status_code=204)


@router.delete(
    "/segmentations/{segmentation_id}/pin", status_code=204, operation_id="unpin_segmentation",
    summary="Let retention delete an answer again",
    response_description="The answer is not pinned.",
)  # fmt: skip
def unpin_segmentation(segmentation_id: SegmentationId, caller: Owner, engine: Service) -> Response:
    """Unpin an answer, and all that updates made of the same first one: a retention may delete them."""
    engine.records.pin(find_answer(engine, segmentation_id, caller), False)
    return Response(status_code=204)


@router.delete(
    "/segmentations/{segmentation_id}", status_code=204, operation_id="delete_segmentation",
    summary="Delete an answer",
    response_description="The answer was deleted.",
)  # fmt: skip
def delete_segmentation(
    segmentation_id: SegmentationId,
    caller: Owner,
    engine: Service,
    image: Annotated[
        bool, Query(description="Delete all answers of the image that the caller sees, not this answer alone.")
    ] = False,
) -> Response:
    """Delete an answer, and its image file unless another answer or an exemplar uses it.

    Its segments can no longer be explained. Exemplars that edits made of it stay, with their image, also when they were
    removed or their edit was reverted: explanations of other answers name them.
    """
    answered = find_answer(engine, segmentation_id, caller)
    engine.records.remove(answered, caller.owner, all_of_image=image)
    return Response(status_code=204)


def find_answer(engine: Engine, segmentation_id: str, caller: Caller) -> Answered:
    """An answer by its id.

    Raises:
        Problem: 404 if there is none that the caller sees: a reader sees its own, a curator all.
    """
    answered = engine.records.answer(segmentation_id, caller.owner)
    if answered is None:
        raise no_answer(segmentation_id)
    note_touched(segmentation_id)
    return answered


def find_answers(engine: Engine, segmentation_ids: Sequence[str], caller: Caller) -> list[Answered]:
    """Answers by their ids, without their large columns, see `Records.newest`.

    Raises:
        Problem: 404 if the caller does not see one of them.
    """
    readable = [one for one in segmentation_ids if is_id(one)]
    found = {one.facts.segmentation_id: one for one in engine.records.each(readable, load="facts")}
    for segmentation_id in segmentation_ids:
        answered = found.get(segmentation_id)
        if answered is None or caller.owner not in (None, answered.facts.author):
            raise no_answer(segmentation_id)
    note_touched(*segmentation_ids)
    return [found[one] for one in segmentation_ids]


def no_answer(segmentation_id: str) -> Problem:
    """404: there is no answer of this id that the caller sees."""
    return Problem(
        404, "There is no such answer.", received=segmentation_id, allowed="the segmentation_id of an answer",
        fix="Use an id that GET /segmentations lists, or segment the image again.",
    )  # fmt: skip


async def _segmented(request: Request, engine: Engine, owner: str, taken: Page, asked: SegmentRequest) -> Response:
    """The answer to an image, as JSON or as the label map that the request accepts; it belongs to the owner."""
    content = taken.content
    as_png, stages = "image/png" in request.headers.get("accept", ""), Stages()
    request.state.stages = stages

    def respond() -> Response:
        answer = engine.segment(content, asked, owner, stages, (taken.number, taken.pages))
        with stages.stage("encode"):
            if as_png:
                return Response(label_map_png(answer.class_map, answer.classes), media_type="image/png")
            return json(answer.body)

    def decode() -> None:
        with stages.stage("decode"):
            engine.decode(content, engine.served)

    quick = asked.min_index_revision <= engine.live.revision and has_cheap_header(content)
    async with turn(request, lambda: engine.measure(content, asked), quick, ahead=(content, decode)) as waited:
        response = await run_in_threadpool(respond)
    stages.ms["wait"] = waited * 1000
    return response


def _stored_page(engine: Engine, caller: Caller, segmentation_id: str) -> tuple[Page, str]:
    """The stored image of an answer, the page alone if its file had several, and the owner of the answer.

    Raises:
        Problem: 404 if there is no such answer, or its image is not kept.
    """
    answered = find_answer(engine, segmentation_id, caller)
    stored = engine.records.images.get(answered.facts.image_id)
    if stored is None:
        raise not_kept(segmentation_id)
    page = page_json(answered)
    return Page(stored.content, page["page"], page["pages"]), answered.facts.author or caller.name


def _summaries(engine: Engine, answers: Sequence[Answered]) -> list[dict[str, Any]]:
    """Answers as `wire.AnswerSummary`. They are plain values: a list of 1000 models takes several times as long."""
    live, revision = engine.served.live, engine.live.revision
    kept = engine.records.images.which({one.facts.image_id for one in answers if one.facts.image_id is not None})
    found = []
    for answered in answers:
        facts = answered.facts
        image_id, digest = facts.image_id, facts.release_digest
        found.append(
            {
                "segmentation_id": facts.segmentation_id,
                "created": iso(facts.created),
                "width": facts.width,
                "height": facts.height,
                "release": facts.release,
                "release_digest": digest,
                "index_revision": facts.index_revision,
                "segments": facts.segment_count,
                "image_id": image_id,
                "image_url": image_url(facts.segmentation_id) if image_id in kept else None,
                **page_json(answered),
                "pinned": facts.pinned,
                "marked": 0 if image_id is None else live.exemplars_of_image(image_id),
                "outdated": facts.release != live.name
                or digest not in (None, live.digest)
                or facts.index_revision < revision,
            }
        )
    return found


async def _page_of(content: bytes, number: int) -> Page:
    """A page of a file. Only a TIFF is looked into, which may take more than a millisecond."""
    if number == 0 and content[:2] not in (b"II", b"MM"):
        return Page(content, 0, 1)
    return await run_in_threadpool(take_page, content, number)


async def _image_of(request: Request, max_bytes: int) -> bytes:
    """The image of a request: its raw body, the multipart field "image", or the member "image" of a JSON object."""
    if is_form(request):
        return image_field(read_form(request))
    body = taken_body(request)
    if is_json(request) and body[:100].lstrip()[:1] in (b"{", b"[", b'"'):  # no image file begins like this
        return await run_in_threadpool(image_of_json, body, max_bytes)
    return body
