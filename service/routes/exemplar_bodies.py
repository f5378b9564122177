"""Bodies of POST /exemplars: a picture, and what lies where in it."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Request
from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from service.editing.annotations import LabelMap, from_annotations, from_mask
from service.problems import Problem
from service.routes.dependencies import Body, image_field, is_form, read_body, read_form

LONGEST_SOURCE = 300
_FIELDS = ("image", "mask", "classes", "annotations", "reason", "source")
_MEND = (
    "Send a form with `image` and either `mask` with `classes` or `annotations`, or JSON with `image` in base64 and "
    "`annotations`."
)
SHOWN_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "mask": {"type": "string", "format": "binary", "description": "indexed or RGB PNG"},
                        "classes": {"type": "string", "description": 'JSON: {"1": "kerb"} or {"#ff0000": "kerb"}'},
                        "annotations": {"type": "string", "description": "JSON: a list, later ones over earlier ones"},
                        "reason": {"type": "string"},
                        "source": {"type": "string", "description": "what the picture is called"},
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image", "annotations"],
                    "properties": {
                        "image": {"type": "string", "format": "byte", "description": "base64"},
                        "annotations": {"type": "array", "items": {"type": "object"}},
                        "reason": {"type": "string"},
                        "source": {"type": "string"},
                    },
                }
            },
        },
    }
}


@dataclass(frozen=True)
class Shown:
    """A picture and what is said of it: annotations, or a mask file with classes."""

    image: bytes
    annotations: bytes | Sequence[Any] | None
    mask: bytes | None
    classes: bytes | None
    reason: str | None
    source: str | None

    def __post_init__(self) -> None:
        if self.source is not None and not (1 <= len(self.source) <= LONGEST_SOURCE and self.source.isprintable()):
            raise Problem(
                422, "`source` cannot be the name of a picture.",
                received=self.source[:100].encode(errors="replace").decode(),
                allowed=f"1 to {LONGEST_SOURCE} characters that can be printed", fix="Shorten it, or leave it out.",
            )  # fmt: skip

    def labels(self, size: tuple[int, int], max_pixels: int) -> LabelMap:
        """What lies where in the picture, which has size (H, W).

        Raises:
            Problem: if it does not belong to the picture.
        """
        if self.mask is not None:
            return from_mask(self.mask, self.classes or b"", size, max_pixels)
        return from_annotations(self.annotations or [], size)


class _Json(Body):
    image: str
    annotations: Annotated[list[Any], Field(min_length=1)]
    reason: str | None = None
    source: str | None = None


async def read_shown(request: Request, max_bytes: int) -> Shown:
    """The picture and the annotations of a request.

    Raises:
        Problem: 400, 413, 415 or 422 if the body is not of one of the forms.
    """
    body = await read_body(request, max_bytes)
    if is_form(request):
        form = await read_form(request, body)
        try:
            return await _of_form(form)
        finally:
            await form.close()
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise Problem(
            415, "The body is neither a form nor JSON.", received=kind[:100] or None,
            allowed=["multipart/form-data", "application/json"], fix=_MEND,
        )  # fmt: skip
    return _of_json(body)


async def _of_form(form: FormData) -> Shown:
    unknown = sorted(set(form) - set(_FIELDS))
    if unknown:
        raise Problem(422, "The form has unknown fields.", received=unknown[:20], allowed=list(_FIELDS), fix=_MEND)
    image, mask, classes = await image_field(form), await _bytes(form, "mask"), await _bytes(form, "classes")
    annotations = await _bytes(form, "annotations")
    if (mask is None) == (annotations is None) or (mask is None) != (classes is None):
        raise Problem(
            422, "The form says nothing of what lies where, or says it in two ways.", received=sorted(set(form)),
            allowed=["image, mask, classes", "image, annotations"], fix=_MEND,
        )  # fmt: skip
    return Shown(image, annotations, mask, classes, await _text(form, "reason"), await _text(form, "source"))


async def _bytes(form: FormData, name: str) -> bytes | None:
    """A field, sent as a file or as text."""
    field = form.get(name)
    if isinstance(field, UploadFile):
        return await field.read()
    return None if field is None else field.encode(errors="replace")


async def _text(form: FormData, name: str) -> str | None:
    content = await _bytes(form, name)
    return content.decode(errors="replace") if content else None


def _of_json(body: bytes) -> Shown:
    try:
        told = _Json.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Problem(400, "The body is no JSON.", received=str(error)[:200], allowed="JSON", fix=_MEND) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(
            422, f"{where[:100]}: {first['msg']}.", received=where[:100], allowed="image, annotations, reason, source",
            fix=_MEND,
        ) from error  # fmt: skip
    try:
        image = base64.b64decode(told.image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            422, "image is no base64.", received=told.image[:40].encode(errors="replace").decode(),
            allowed="the file in base64, without a data: prefix", fix="Encode the file's bytes, or send a form.",
        ) from error  # fmt: skip
    return Shown(image, told.annotations, None, None, told.reason, told.source)
