"""Images in JSON bodies: files in base64, or data: URLs."""

import base64
import binascii
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import ValidationError

from service.http.body_limit import too_large
from service.json_parsing import parsed_json
from service.problems import Problem, printable
from service.routes.dependencies import Body

_VALUES = 100  # of a body with an image alone
_WHITE_SPACE = b" \t\r\n"
FORM = "The image file in base64, with or without line breaks, or as a data: URL."
SCHEMA: dict[str, Any] = {"type": "string", "format": "byte", "description": FORM}


class ImageBody(Body):
    """An image as JSON."""

    image: str


def decoded_image(image: str, max_bytes: int) -> bytes:
    """The file of an image in base64, or of a data: URL.

    Args:
        image: base64, perhaps with line breaks; or `data:image/png;base64,...`.
        max_bytes: largest file. It is checked before anything is decoded.

    Raises:
        Problem: 413 if the file is too large; 422 if the text is neither base64 nor such a URL.
    """
    encoded = _payload(image).translate(None, _WHITE_SPACE)
    if len(encoded) // 4 * 3 > max_bytes + 2:
        raise too_large(max_bytes)
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            422, "`image` is not base64.", received=printable(image[:40]), allowed=FORM,
            fix="Encode the file's bytes, or send a form.",
        ) from error  # fmt: skip


def image_of_json(body: bytes, max_bytes: int) -> bytes:
    """The file of the image in the JSON body {"image": ...}, see `decoded_image`.

    Raises:
        Problem: 400 if the body is not JSON; 413 or 422 as `decoded_image`, and 422 for other fields.
    """
    try:
        return decoded_image(ImageBody.model_validate(parsed_json(body, _VALUES)).image, max_bytes)
    except orjson.JSONDecodeError as error:
        raise Problem(
            400, "The body is not JSON.", received=str(error)[:200], allowed='{"image": ...}', fix=_FIX
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(
            422, f"{where[:100]}: {first['msg']}.", received=where[:100], allowed='{"image": ...}', fix=_FIX
        ) from error


def _payload(image: str) -> bytes:
    """The base64 of an image: the text itself, or the part of a data: URL after the comma."""
    if image[:5].lower() != "data:":
        return image.encode(errors="replace")
    start, comma, data = image.partition(",")
    if not comma or not start.lower().rstrip().endswith(";base64"):
        raise Problem(
            422, "`image` is a data: URL that is not base64.", received=printable(start[:100]),
            allowed="data:image/png;base64,...", fix="Encode the file's bytes in base64.",
        )  # fmt: skip
    return unquote_to_bytes(data.encode(errors="replace"))


_FIX = 'Send {"image": "..."} with the file in base64, a form, or the file as the body.'
