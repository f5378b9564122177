"""What routes share: the engine, the caller, common parameters, and reading and writing bodies."""

import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect

from service.answering.admission import Admission
from service.answering.engine import Engine
from service.editing.curation import Curation
from service.editing.edit_list import edit_json
from service.http.access import Caller, curator, reader
from service.http.body_limit import too_large
from service.problems import CallerLeft, Problem, printable
from service.records.edit_log import Edit
from service.records.follower import Author
from service.records.image_store import ImageFile

LARGEST = 2**62  # integers that every database can store
LONGEST_REASON = 1000  # characters
Reader = Annotated[Caller, Depends(reader)]
Curator = Annotated[Caller, Depends(curator)]
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
    return Curation(engine.follower, engine.served)


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
    """The answer after an edit; None if the database fails to record it, because the edit is already in effect.

    Args:
        answer: makes and records the answer.

    Raises:
        Problem: what `answer` raises, with any other status than 503.
    """
    try:
        return answer()
    except Problem as problem:
        if problem.status != HTTPStatus.SERVICE_UNAVAILABLE:
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


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request.

    Raises:
        Problem: 413 if it is too large, 408 if it took too long to arrive.
        CallerLeft: if the connection ends before the body is complete.
    """
    parts, size = io.BytesIO(), 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > max_bytes:
                raise too_large(max_bytes)
            parts.write(part)
    except ClientDisconnect as error:
        raise CallerLeft from error
    return parts.getvalue()


@asynccontextmanager
async def turn(request: Request, measure: Callable[[], int], quick: bool = False) -> AsyncIterator[float]:
    """Wait for a turn in the engine, and hold it while the block runs.

    Args:
        request: its connection is watched while it waits.
        measure: returns the number of pixels of the image, or raises a Problem.
        quick: run `measure` here rather than in a thread: it takes less time than the switch.

    Yields:
        Seconds waited.

    Raises:
        Problem: what `measure` raises; 429 if the queue is full; 504 if the wait is too long. See `Admission`.
    """
    pixels = measure() if quick else await run_in_threadpool(measure)
    admission: Admission = request.app.state.admission
    async with admission.admitted(pixels, request.receive) as waited:
        yield waited


def is_form(request: Request) -> bool:
    """Whether the content type is a multipart form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def is_json(request: Request) -> bool:
    """Whether the content type is JSON."""
    return content_type(request) == "application/json"


def content_type(request: Request) -> str:
    """The content type without parameters, in lower case; "" if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_form(request: Request, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form. A part is a file whether it names a file or not.

    Raises:
        Problem: 400 if it cannot be read.
        OSError: if a large file cannot be written to the disk.
    """
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary")
    if not boundary or b"--%b--" % boundary not in body:
        raise Problem(
            400, "The multipart form is not complete.", received=f"{len(body)} bytes without the closing boundary",
            allowed="parts between the boundaries that Content-Type names", fix="Send the whole form again.",
        )  # fmt: skip

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    kind = b"multipart/form-data; charset=latin-1; boundary=%b" % _quoted(boundary)  # every byte becomes a character
    scope = {**request.scope, "headers": [(b"content-type", kind)]}
    try:
        form = await Request(scope, again).form(max_files=4, max_fields=16, max_part_size=len(body) + 1)
        return await _fields(form)
    except OSError:
        raise
    except Exception as error:  # starlette and its parser raise several types on a broken form
        raise Problem(
            400,
            "The multipart form cannot be read.",
            received=str(error)[:200],
            fix="Send one file in the field `image`.",
        ) from error


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


async def _fields(form: FormData) -> dict[str, bytes]:
    """The content of each field of a form in latin-1."""
    found = {}
    try:
        for name, field in form.items():
            content = field.encode("latin-1") if isinstance(field, str) else await field.read()
            found[name.encode("latin-1").decode(errors="replace")] = content
    finally:
        await form.close()
    return found


def _quoted(boundary: bytes) -> bytes:
    return b'"%b"' % boundary.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
