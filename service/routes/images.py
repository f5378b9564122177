"""The route of the image of an answer: the unchanged file, or a rendering of it that every browser shows."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.answering.engine import Engine
from service.answering.renderings import Renderings
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.images.rendering import LARGEST, SMALLEST, Asked
from service.records.image_store import ImageFacts
from service.routes.dependencies import Reader, Service, image_response, not_kept, turn
from service.routes.documented import BINARY, BUSY, IMAGE_TYPES, Responses, SegmentationId
from service.routes.segmentations import find_answer

router = APIRouter(route_class=Budgeted, tags=["segmentations"])

_IMAGE: Responses = {
    200: {
        "description": "The unchanged image file; with `size`, a WebP, JPEG or PNG of the upright image.",
        "content": dict.fromkeys(IMAGE_TYPES, BINARY),
    },
    304: {"description": "With `size`: the caller has this rendering already, by its header If-None-Match."},
}


@router.get(
    "/segmentations/{segmentation_id}/image", operation_id="get_segmentation_image",
    summary="Read the image of an answer", response_class=Response,
    responses=_IMAGE | BUSY,
)  # fmt: skip
async def get_segmentation_image(
    segmentation_id: SegmentationId,
    request: Request,
    caller: Reader,
    engine: Service,
    size: Annotated[
        int | None,
        Query(ge=SMALLEST, le=LARGEST, description="Longer side in pixels, at most. Without it, the unchanged file."),
    ] = None,
) -> Response:
    """Read the image file of an answer, unchanged. With `size`, render it for a browser.

    A rendering is upright, has 8 bits for each of red, green and blue, and is never enlarged. The answer's `conversion`
    says what was done to other values. It is WebP up to 512 pixels, else JPEG, or PNG for callers that accept only PNG.
    It never changes, so caches may keep it.
    """
    if size is None:
        return await run_in_threadpool(_unchanged, engine, segmentation_id, caller)
    facts = await run_in_threadpool(_facts, engine, segmentation_id, caller)
    asked = Asked.of(size, request.headers.get("accept", "*/*"))
    renderings: Renderings = request.app.state.renderings
    if asked.etag(facts.image_id) in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=_headers(asked, facts))
    content = renderings.kept(facts, asked)
    if content is None:
        async with turn(request, lambda: renderings.pixels(facts, asked), quick=True, admission=renderings.admission):
            content = await run_in_threadpool(renderings.render, facts, asked)
    if content is None:
        raise not_kept(segmentation_id)
    return Response(content, media_type=asked.media_type, headers=_headers(asked, facts))


def _unchanged(engine: Engine, segmentation_id: str, caller: Caller) -> Response:
    image_id = find_answer(engine, segmentation_id, caller).facts.image_id
    return image_response(engine.records.images.get(image_id), segmentation_id)


def _facts(engine: Engine, segmentation_id: str, caller: Caller) -> ImageFacts:
    facts = engine.records.images.facts(find_answer(engine, segmentation_id, caller).facts.image_id)
    if facts is None:
        raise not_kept(segmentation_id)
    return facts


def _headers(asked: Asked, facts: ImageFacts) -> dict[str, str]:
    return {
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": asked.etag(facts.image_id),
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
    }
