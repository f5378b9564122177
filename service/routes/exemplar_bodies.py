"""The body of POST /exemplars: an image and its labelled pixels."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Request
from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from service.editing.annotations import Annotation, LabelMap, from_annotations, from_mask
from service.http.document import schema_ref
from service.problems import Problem, printable
from service.routes.dependencies import Body, image_field, is_form, read_body, read_form
from service.routes.documented import BINARY

LONGEST_SOURCE = 300
_FIELDS = ("image", "mask", "classes", "annotations", "reason", "source")
_FIX = (
    "Send a form with `image` and either `mask` with `classes` or `annotations`, or JSON with `image` in base64 and "
    "`annotations`."
)
_EXAMPLE = [{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}]
_REASON = {"type": "string", "description": "Why, in your words, at most 1000 characters."}
_SOURCE = {"type": "string", "description": "Name of the image, at most 300 characters."}
_FORM = {
    "type": "object",
    "title": "LabelledImageForm",
    "required": ["image"],
    "properties": {
        "image": BINARY["schema"] | {"description": "The image file."},
        "mask": BINARY["schema"] | {"description": "Indexed or RGB PNG of the image's size. Needs `classes`."},
        "classes": {
            "type": "string",
            "description": "JSON object: the class of each value of the mask, by index or by colour.",
            "examples": ['{"1": "kerb"}', '{"#ff0000": "kerb"}'],
        },
        "annotations": {
            "type": "string",
            "description": "JSON list of annotations, in place of mask and classes. Later ones cover earlier ones.",
            "examples": ['[{"class_name": "kerb", "polygons": [[10, 10, 60, 10, 60, 40]]}]'],
        },
        "reason": _REASON,
        "source": _SOURCE,
    },
}
_JSON = {
    "type": "object",
    "title": "LabelledImageBody",
    "required": ["image", "annotations"],
    "properties": {
        "image": {"type": "string", "format": "byte", "description": "The image file in base64."},
        "annotations": {
            "type": "array",
            "minItems": 1,
            "items": schema_ref(Annotation),
            "description": "Later ones cover earlier ones.",
            "examples": [_EXAMPLE],
        },
        "reason": _REASON,
        "source": _SOURCE,
    },
}
BODY = {
    "requestBody": {
        "required": True,
        "description": "An image and its labelled pixels: a mask with classes, or annotations.",
        "content": {"multipart/form-data": {"schema": _FORM}, "application/json": {"schema": _JSON}},
    }
}


@dataclass(frozen=True)
class LabelledImage:
    """An image file and its labelled pixels: annotations, or a mask file with classes."""

    image: bytes
    annotations: bytes | Sequence[Any] | None
    mask: bytes | None
    classes: bytes | None
    reason: str | None
    source: str | None

    def __post_init__(self) -> None:
        if self.source is not None and not (1 <= len(self.source) <= LONGEST_SOURCE and self.source.isprintable()):
            raise Problem(
                422, "`source` cannot be the name of an image.", received=printable(self.source[:100]),
                allowed=f"1 to {LONGEST_SOURCE} printable characters", fix="Shorten the name, or leave it out.",
            )  # fmt: skip

    def labels(self, size: tuple[int, int], max_pixels: int) -> LabelMap:
        """The class of each pixel of the upright image, which has size (H, W).

        Raises:
            Problem: 415 or 422 if the annotations or the mask do not fit the image.
        """
        if self.mask is not None:
            return from_mask(self.mask, self.classes or b"", size, max_pixels)
        return from_annotations(self.annotations or [], size)


class _JsonBody(Body):
    image: str
    annotations: Annotated[list[Any], Field(min_length=1)]
    reason: str | None = None
    source: str | None = None


async def read_labelled_image(request: Request, max_bytes: int) -> LabelledImage:
    """The image and the annotations of a request.

    Raises:
        Problem: 400, 413, 415 or 422 if the body is neither a valid form nor valid JSON.
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
            allowed=["multipart/form-data", "application/json"], fix=_FIX,
        )  # fmt: skip
    return _of_json(body)


async def _of_form(form: FormData) -> LabelledImage:
    unknown = sorted(set(form) - set(_FIELDS))
    if unknown:
        raise Problem(422, "The form has unknown fields.", received=unknown[:20], allowed=list(_FIELDS), fix=_FIX)
    image, mask, classes = await image_field(form), await _bytes(form, "mask"), await _bytes(form, "classes")
    annotations = await _bytes(form, "annotations")
    if (mask is None) == (annotations is None) or (mask is None) != (classes is None):
        raise Problem(
            422, "The form needs either a mask with classes or annotations, not both.", received=sorted(set(form)),
            allowed=["image, mask, classes", "image, annotations"], fix=_FIX,
        )  # fmt: skip
    return LabelledImage(image, annotations, mask, classes, await _text(form, "reason"), await _text(form, "source"))


async def _bytes(form: FormData, name: str) -> bytes | None:
    """A field, sent as a file or as text."""
    field = form.get(name)
    if isinstance(field, UploadFile):
        return await field.read()
    return None if field is None else field.encode(errors="replace")


async def _text(form: FormData, name: str) -> str | None:
    content = await _bytes(form, name)
    return content.decode(errors="replace") if content else None


def _of_json(body: bytes) -> LabelledImage:
    try:
        parsed = _JsonBody.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise Problem(400, "The body is not JSON.", received=str(error)[:200], allowed="JSON", fix=_FIX) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(
            422, f"{where[:100]}: {first['msg']}.", received=where[:100], allowed="image, annotations, reason, source",
            fix=_FIX,
        ) from error  # fmt: skip
    try:
        image = base64.b64decode(parsed.image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            422, "`image` is not base64.", received=printable(parsed.image[:40]),
            allowed="the file in base64, without a data: prefix", fix="Encode the file's bytes, or send a form.",
        ) from error  # fmt: skip
    return LabelledImage(image, parsed.annotations, None, None, parsed.reason, parsed.source)
