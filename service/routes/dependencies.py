"""What routes share: the service behind them, who calls, and the forms of requests and answers."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from service.answering.admission import Admission
from service.answering.engine import Engine
from service.editing.curation import Curation
from service.editing.edit_list import edit_told
from service.http.access import Caller, curator, reader
from service.http.body_limit import too_large
from service.problems import CallerLeft, Problem
from service.records.edit_log import Edit
from service.records.follower import Author
from service.records.image_store import ImageFile

LARGEST = 2**62  # of what databases hold
Reader = Annotated[Caller, Depends(reader)]
Curator = Annotated[Caller, Depends(curator)]
Revision = Annotated[int, Field(ge=1, le=LARGEST)]
Limit = Annotated[int, Query(ge=1, le=1000, description="at most so many")]
Exemplars = Annotated[int, Query(description="exemplars listed for each segment")]
LONGEST_REASON = 1000
_KEEP = {"Cache-Control": "private, max-age=86400"}  # what an id stands for never changes


class Body(BaseModel):
    """A JSON body; a name that is not known is a mistake and no silence."""

    model_config = ConfigDict(extra="forbid")


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _curation(request: Request) -> Curation:
    return Curation(request.app.state.engine)


Service = Annotated[Engine, Depends(_engine)]
Edits = Annotated[Curation, Depends(_curation)]


def json(body: Any, status: int = 200) -> Response:
    """A body as JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def edited(engine: Engine, edit: Edit | None, status: int, **more: Any) -> Response:
    """The answer to an edit; None: there was nothing to do."""
    told = None if edit is None else edit_told(edit, {})  # nothing takes it back yet
    revision = engine.served.live.state.revision if edit is None else edit.revision
    return json({"index_revision": revision, "edit": told} | more, status if edit is not None else 200)


def author(caller: Caller, reason: str | None) -> Author:
    """Who edits, and why.

    Raises:
        Problem: 422 if the reason cannot be kept.
    """
    if reason is not None and (len(reason) > LONGEST_REASON or not _is_text(reason)):
        raise Problem(
            422, "The reason cannot be kept.", received=reason[:100].encode(errors="replace").decode(),
            allowed=f"at most {LONGEST_REASON} characters of text", fix="Shorten it, or leave it out.",
        )  # fmt: skip
    return Author(caller.name, reason)


def _is_text(value: str) -> bool:
    return all(character.isprintable() or character in "\n\t\r" for character in value)


def picture_response(picture: ImageFile | None, image_id: str | None) -> Response:
    """A picture as it came.

    Raises:
        Problem: 404 if it is not kept.
    """
    if picture is None:
        raise not_kept(image_id)
    headers = _KEEP | {"X-Content-Type-Options": "nosniff"}
    return Response(picture.content, media_type=picture.media_type, headers=headers)


def not_kept(received: str | None) -> Problem:
    """404: a picture is not kept."""
    return Problem(
        404, "The picture is not kept.", received=received, allowed="pictures that image_url names",
        fix="Send it to POST /segment again; SEGSORT_KEEP_IMAGES_MB says how many are kept.",
    )  # fmt: skip


def png_response(content: bytes) -> Response:
    """A picture that has been drawn."""
    return Response(content, media_type="image/png", headers=_KEEP)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body of a request.

    Raises:
        Problem: 413 if it is too large, 408 if it took too long to come.
        CallerLeft: if it ends before it is complete.
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
    """Hold a turn in the engine while the block runs.

    Args:
        request: of the caller.
        measure: counts the image's pixels, or refuses it.
        quick: it takes less time than handing it to a thread.

    Yields:
        Seconds waited.

    Raises:
        Problem: of `measure`, or if the queue is full or the wait too long; see `Admission`.
    """
    pixels = measure() if quick else await run_in_threadpool(measure)
    admission: Admission = request.app.state.admission
    async with admission.admitted(pixels, request.receive) as waited:
        yield waited


def is_form(request: Request) -> bool:
    """Whether a request says that its body is a multipart form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_form(request: Request, body: bytes) -> FormData:
    """A multipart form, to be closed by the caller.

    Raises:
        Problem: 400 if it cannot be read.
    """

    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary")
    if not boundary or b"--%b--" % boundary not in body:
        raise Problem(
            400, "The multipart form is not complete.", received=f"{len(body)} bytes without the boundary at their end",
            allowed="parts between boundaries, as the Content-Type names them", fix="Send the whole form again.",
        )  # fmt: skip

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        return await Request(request.scope, again).form(max_files=4, max_fields=16, max_part_size=len(body) + 1)
    except OSError:  # a large file is written to the disk, which may be full
        raise
    except Exception as error:  # starlette and its parser raise several types on a broken form
        raise Problem(
            400, "The multipart form cannot be read.", received=str(error)[:200], fix="Send one field `image`."
        ) from error


async def image_field(form: FormData) -> bytes:
    """The file in a form's field `image`.

    Raises:
        Problem: 422 if there is none.
    """
    field = form.get("image")
    if not isinstance(field, UploadFile):
        raise Problem(
            422, "The multipart form has no file in the field `image`.", received=list(form), allowed=["image"],
            fix="Send the image as a file in the field `image`, or as the raw body.",
        )  # fmt: skip
    return await field.read()
