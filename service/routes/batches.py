"""The route that segments several images in one request."""

import asyncio
import io
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from model_store.images import has_cheap_header
from service.answering.admission import until_gone
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.answering.stages import StageFailure, Stages
from service.batching.sources import FilesInMemory, Source, ZipOfImages, no_images
from service.http import wire
from service.http.budgeted import Budgeted, taken_body
from service.http.callers.spending import Charge
from service.http.forms import form_files
from service.images.decode import take_page
from service.problems import CallerLeft, Problem, problem_json
from service.routes.dependencies import Exemplars, Reader, Service, is_form, json, turn
from service.routes.documented import BINARY, FULL
from service.routes.segmentations import MaskForm, Segments, Voters

router = APIRouter(route_class=Budgeted, tags=["segmentations"])

_UNPACKED = 4  # size of all images of an archive to the largest body
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The image files: as parts of a form, in fields of any names, or in a ZIP archive.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "title": "ImagesForm",
                    "properties": {
                        "images": {
                            "type": "array",
                            "items": BINARY["schema"],
                            "description": "The image files. Any names of fields will do.",
                        }
                    },
                }
            },
            "application/zip": BINARY,
        },
    }
}


@router.post(
    "/segment/batch", operation_id="segment_batch", summary="Segment several images",
    response_model=wire.BatchAnswer, responses=FULL, openapi_extra=_BODY,
)  # fmt: skip
async def segment_batch(
    request: Request,
    caller: Reader,
    engine: Service,
    segments: Segments = None,
    k: Voters = None,
    exemplars: Exemplars = 5,
    masks: MaskForm = "rle",
) -> Response:
    """Segment up to 32 images (`SEGSORT_BATCH_IMAGES`) of one request body, and answer when all are done.

    Each image has an answer of its own, or a problem: one that cannot be segmented fails alone. Images wait for their
    turn one by one, as if they had been sent alone. If the caller leaves, those that wait are not segmented. Of a TIFF
    with several pages, the first is segmented. More images are a job: `POST /jobs/segment`.
    """
    asked = SegmentRequest(segments, k, exemplars, masks)
    engine.limits.check(asked)
    source = await run_in_threadpool(_source_of, request, engine)
    try:
        return await _answered(request, engine, caller.name, source, asked)
    finally:
        source.close()


async def _answered(request: Request, engine: Engine, owner: str, source: Source, asked: SegmentRequest) -> Response:
    gone = asyncio.ensure_future(until_gone(request.receive))
    room = asyncio.Semaphore(engine.settings.lanes)  # as many as the engine takes

    async def one(position: int) -> dict[str, Any]:
        async with room:
            if gone.done():
                raise CallerLeft
            image = _Image(request, gone, engine, owner, asked, source, position)
            return await image.outcome()

    tasks = [asyncio.ensure_future(one(position)) for position in range(len(source.entries))]
    try:
        images = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        gone.cancel()
        await asyncio.wait([gone, *tasks])
    succeeded = sum(image["problem"] is None for image in images)
    body = {"succeeded": succeeded, "failed": len(images) - succeeded, "images": images}
    return await run_in_threadpool(json, body)


class _Image:
    """One image of a batch, which is handled like a request of its own.

    Args:
        request: of the batch.
        gone: done when the caller has left.
        engine, owner, asked, source, position: which image, and what is asked.
    """

    def __init__(
        self,
        request: Request,
        gone: "asyncio.Future[None]",
        engine: Engine,
        owner: str,
        asked: SegmentRequest,
        source: Source,
        position: int,
    ) -> None:
        self._request, self._gone, self._engine, self._owner = request, gone, engine, owner
        self._asked, self._source, self._position = asked, source, position

    async def outcome(self) -> dict[str, Any]:
        """The JSON of the image in the answer.

        Raises:
            CallerLeft: if the caller has left.
        """
        charge: Charge | None = None
        problem: Problem
        try:
            charge = self._charge()
            return self._json(200, await self._answer(charge), None, None)
        except Problem as refused:
            problem = refused
        except StageFailure as failure:
            problem = _failed(failure)
        if charge is not None:
            charge.give_back()
        again = problem.headers.get("Retry-After")
        body = problem_json(problem)
        return self._json(problem.status, None, body, None if again is None else int(again))

    async def _answer(self, charge: Charge | None) -> dict[str, Any]:
        engine, asked, stages = self._engine, self._asked, Stages()
        taken = await run_in_threadpool(lambda: take_page(self._source.read(self._position), 0))
        content = taken.content

        def respond() -> dict[str, Any]:
            page = taken.number, taken.pages
            return engine.segment(content, asked, self._owner, stages, page).body

        def decode() -> None:
            with stages.stage("decode"):
                engine.decode(content, engine.served)

        quick, ahead = has_cheap_header(content), (content, decode)
        async with turn(self._alone(charge), lambda: engine.measure(content, asked), quick, ahead=ahead):
            return await run_in_threadpool(respond)

    def _charge(self) -> Charge | None:
        """What the image spends; the first one has been charged with the request."""
        charge: Charge | None = getattr(self._request.state, "charge", None)
        return charge if charge is None or self._position == 0 else charge.another()

    def _alone(self, charge: Charge | None) -> Request:
        """A request for this image alone, of the same caller and connection."""
        state = {**self._request.scope.get("state", {}), "charge": charge}
        return Request({**self._request.scope, "state": state}, self._receive)

    async def _receive(self) -> Message:
        await asyncio.wait([self._gone])
        return {"type": "http.disconnect"}

    def _json(self, status: int, answer: Any, problem: Any, again: int | None) -> dict[str, Any]:
        name = self._source.entries[self._position].name
        return {"name": name, "status": status, "answer": answer, "problem": problem, "retry_after": again}


def _source_of(request: Request, engine: Engine) -> Source:
    """The images of a request.

    Raises:
        Problem: 400, 413, 415 or 422 if they are not in a form or an archive, too many, or none.
    """
    settings, most = engine.settings, engine.settings.batch_images
    found: Source
    try:
        body = taken_body(request)
        if is_form(request):
            files = form_files(request.headers["content-type"], body, most)
            found = FilesInMemory([(file.name, file.content) for file in files])
        else:
            found = ZipOfImages(io.BytesIO(body), settings.max_bytes, most, _UNPACKED * settings.max_bytes)
    except Problem as problem:
        if problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise _more(problem.received, problem.allowed) from problem
        raise
    count = len(found.entries)
    if count > most:
        raise _more(f"more than {most} images", f"at most {most} images")
    if not count:
        raise no_images()
    return found


def _more(received: Any, allowed: Any) -> Problem:
    return Problem(
        413, "There are too many images for one answer.", received=received, allowed=allowed,
        fix="Send them to POST /jobs/segment, which segments them in the background.",
    )  # fmt: skip


def _failed(failure: StageFailure) -> Problem:
    return Problem(
        500, "The service failed. The image is not the cause.", received=f"the stage {failure.stage}",
        fix="Send the image again. If it fails again, the operator should look at the log.",
    )  # fmt: skip
