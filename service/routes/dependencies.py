"""What routes share: the engine, the caller, common parameters, and reading and writing bodies."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, cast

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from model_store.workers import Stop, present_stop, stopping_with
from service.answering.admission import Admission, until_gone
from service.answering.decodings import Decodings
from service.answering.engine import Engine
from service.answering.fair_queue import Flow
from service.editing.curation import Curation
from service.editing.edit_list import edit_json
from service.http.access import Caller, curator, owner, reader
from service.http.budgeted import taken_body
from service.http.forms import form_fields
from service.http.identified import sender
from service.images.decode import is_quick, kept_ahead
from service.problems import Problem, printable
from service.records.edit_log import Edit
from service.records.follower import Author
from service.records.image_store import ImageFile

LARGEST = 2**62  # integers that every database can store
LONGEST_REASON = 1000  # characters
Reader = Annotated[Caller, Depends(reader)]
Curator = Annotated[Caller, Depends(curator)]
Owner = Annotated[Caller, Depends(owner)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Largest number of entries on a page.")]
Exemplars = Annotated[int, Query(description="Number of exemplars listed for each segment.")]
Reason = Annotated[
    str | None, Field(description="Why, in your words, at most 1000 characters.", examples=["kerb, not road"])
]
Color = Annotated[str | None, Field(description="Colour of the class as #rrggbb.", examples=["#ff8800"])]
_CACHEABLE = {"Cache-Control": "private, max-age=86400"}  # the file of an id never changes


class Body(BaseModel):
    """A JSON body. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _curation(request: Request) -> Curation:
    engine: Engine = request.app.state.engine
    return Curation(engine.follower, engine.served, engine.records.images)


Service = Annotated[Engine, Depends(_engine)]
Edits = Annotated[Curation, Depends(_curation)]


def json(body: Any, status: int = 200) -> Response:
    """A JSON response of plain values, which are not validated, of a model, or of a list of models."""
    return Response(orjson.dumps(body, default=_model_json), status, media_type="application/json")


def _model_json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form; allowed: plain values and pydantic models")


def edited(engine: Engine, edit: Edit | None, status: int, **more: Any) -> Response:
    """The answer to an edit.

    Args:
        engine: gives the index revision if there was no edit.
        edit: the edit; None: there was nothing to change.
        status: HTTP status; 200 where there was nothing to change.
        more: further fields of the answer.
    """
    described = None if edit is None else edit_json(edit, {})  # no later edit can have reverted it yet
    revision = engine.served.live.state.revision if edit is None else edit.revision
    return json({"index_revision": revision, "edit": described} | more, status if edit is not None else 200)


def if_recorded(answer: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """The answer after an edit; None if the database does not record it, because the edit is already in effect.

    Args:
        answer: makes and records the answer.

    Raises:
        Problem: what `answer` raises, with any other status than 503 and 507.
    """
    try:
        return answer()
    except Problem as problem:
        if problem.status not in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE):
            raise
        return None


def author(caller: Caller, reason: str | None) -> Author:
    """The author of an edit and the reason given for it.

    Raises:
        Problem: 422 if the reason is too long or contains control characters.
    """
    if reason is not None and (len(reason) > LONGEST_REASON or not _is_text(reason)):
        raise Problem(
            422, "The reason is too long or contains control characters.", received=printable(reason[:100]),
            allowed=f"at most {LONGEST_REASON} characters of text", fix="Shorten the reason, or leave it out.",
        )  # fmt: skip
    return Author(caller.name, reason)


def _is_text(value: str) -> bool:
    return all(character.isprintable() or character in "\n\t\r" for character in value)


def image_response(image: ImageFile | None, image_id: str | None) -> Response:
    """The unchanged image file.

    Raises:
        Problem: 404 if it is not stored.
    """
    if image is None:
        raise not_kept(image_id)
    headers = _CACHEABLE | {"X-Content-Type-Options": "nosniff"}
    return Response(image.content, media_type=image.media_type, headers=headers)


def not_kept(received: str | None) -> Problem:
    """404: the image is no longer stored; received: the id in the request."""
    return Problem(
        404, "The image is no longer stored.", received=received, allowed="images that an `image_url` points to",
        fix="Segment the image again. The operator can store more images with SEGSORT_KEEP_IMAGES_MB.",
    )  # fmt: skip


def png_response(content: bytes) -> Response:
    """A drawn PNG as a response that a browser may cache for a day."""
    return Response(content, media_type="image/png", headers=_CACHEABLE)


@asynccontextmanager
async def turn(
    request: Request,
    measure: Callable[[], int],
    quick: bool = False,
    admission: Admission | None = None,
    ahead: tuple[bytes, Callable[[], object]] | None = None,
) -> AsyncIterator[float]:
    """Wait for a turn in the engine, and hold it while the block runs.

    An image that a worker decodes is decoded before, so that it keeps no other image waiting. In the block, what
    workers decode ends when the caller leaves, and at the deadline.

    Args:
        request: its connection is watched while it waits.
        measure: returns the number of pixels of the image, or raises a Problem.
        quick: run `measure` here rather than in a thread: it takes less time than the switch.
        admission: the queue to wait in; None: that of the engine.
        ahead: the image, and what decodes it in the block, by the functions of `service.images.decode`.

    Yields:
        Seconds waited.

    Raises:
        Problem: what `measure` raises; 429 if the queue is full; 504 if the wait is too long. See `Admission`.
    """
    queue: Admission = request.app.state.admission if admission is None else admission
    measured = _Measured(request, measure, quick, admission is None)
    flow = _flow(request)
    if ahead is not None and is_quick(ahead[0]):
        pixels = await measured.pixels()
        async with queue.admitted(pixels, request.receive, flow=flow) as waited:
            yield waited
        return
    stop = Stop(time.monotonic() + queue.deadline)
    with stopping_with(stop), kept_ahead():
        async with AsyncExitStack() as decoding:
            pixels, waited = await _decode_ahead(request, measured, ahead, decoding)
            async with queue.admitted(pixels, request.receive, stop.until, flow) as more:
                await decoding.aclose()
                async with _watched(request, stop):
                    yield waited + more


def _flow(request: Request) -> Flow:
    """The flow of a request: its caller and its route. One image for itself has twice the share of others."""
    path: str = request.scope["route"].path
    return Flow(f"{sender(request.scope)} {path}", 2.0 if path == "/segment" else 1.0)


class _Measured(NamedTuple):
    """How the pixels of an image are counted, and whether they are charged to the caller."""

    request: Request
    measure: Callable[[], int]
    quick: bool
    charged: bool

    async def pixels(self) -> int:
        """Count them."""
        pixels = self.measure() if self.quick else await run_in_threadpool(self.measure)
        charge = getattr(self.request.state, "charge", None)
        if charge is not None and self.charged:
            charge.spend_pixels(pixels)
        return pixels


@asynccontextmanager
async def ending_with_caller(request: Request) -> AsyncIterator[None]:
    """Let what workers do in the block end as soon as the caller leaves."""
    stop = Stop()
    with stopping_with(stop):
        async with _watched(request, stop):
            yield


async def _decode_ahead(
    request: Request,
    measured: _Measured,
    ahead: tuple[bytes, Callable[[], object]] | None,
    decoding: AsyncExitStack,
) -> tuple[int, float]:
    """The pixels of an image that was decoded, and the seconds waited for that; it has a turn until `decoding` ends."""
    if ahead is None:
        return await measured.pixels(), 0.0
    decodings, stop, flow = cast(Decodings, request.app.state.decodings), present_stop(), _flow(request)
    async with decodings.headers.admitted(0, request.receive, stop.until, flow) as waited, _watched(request, stop):
        pixels = await measured._replace(quick=False).pixels()
    waited += await decoding.enter_async_context(decodings.images.admitted(pixels, request.receive, stop.until, flow))
    async with _watched(request, stop):
        await run_in_threadpool(ahead[1])
    return pixels, waited


@asynccontextmanager
async def _watched(request: Request, stop: Stop) -> AsyncIterator[None]:
    """End the work of a request as soon as its caller leaves while the block runs."""
    gone = asyncio.ensure_future(until_gone(request.receive))
    gone.add_done_callback(lambda done: None if done.cancelled() or done.exception() else stop.set())
    try:
        yield
    finally:
        gone.cancel()
        await asyncio.wait({gone})


def is_form(request: Request) -> bool:
    """Whether the content type is a multipart form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def is_json(request: Request) -> bool:
    """Whether the content type is JSON."""
    return content_type(request) == "application/json"


def content_type(request: Request) -> str:
    """The content type without parameters, in lower case; "" if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_form(request: Request) -> dict[str, bytes]:
    """The fields of a multipart form, see `form_fields`. The request forgets its body."""
    return form_fields(request.headers["content-type"], taken_body(request))


def image_field(form: Mapping[str, bytes]) -> bytes:
    """The content of a form's field `image`.

    Raises:
        Problem: 422 if there is none.
    """
    if "image" not in form:
        raise Problem(
            422, "The multipart form has no file in the field `image`.", received=list(form), allowed=["image"],
            fix="Send the image as a file in the field `image`, or as the raw body.",
        )  # fmt: skip
    return form["image"]
