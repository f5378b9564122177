"""The body of POST /exemplars: an image and its labelled pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson
from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from model_store.live import Scope
from service.editing.annotations import from_annotations
from service.editing.mask_files import from_mask
from service.editing.new_exemplars import Marks
from service.editing.strokes import from_strokes
from service.http.budgeted import taken_body
from service.json_parsing import MANY_VALUES, parsed_json
from service.problems import Problem, printable
from service.routes.dependencies import Body, content_type, image_field, is_form, is_json, read_form
from service.routes.encoded_images import decoded_image

LONGEST_SOURCE = 300
_FIELDS = (
    "image", "segmentation_id", "mask", "classes", "annotations", "categories", "strokes", "scope", "reason", "source",
)  # fmt: skip
_FIX = (
    "Send a form with `image` and `strokes`, `annotations`, or `mask` with `classes`; or JSON with `image` in base64 "
    "and `strokes` or `annotations`. `segmentation_id` of an earlier answer may replace `image`."
)
_MARKS = ["strokes", "annotations", "mask and classes"]
_Field = bytes | Sequence[Any] | None  # JSON text, or parsed JSON


@dataclass(frozen=True)
class LabelledImage:
    """An image and its labelled pixels, as a request gives them.

    Attributes:
        image: the file; None: the image of the answer.
        segmentation_id: id of an earlier answer to the image.
        annotations: JSON text, or parsed JSON.
        categories: JSON text, or parsed JSON: what `category_id` of annotations refers to.
        strokes: JSON text, or parsed JSON.
        scope: "all" or "image", which segments the exemplars vote for.
        mask: a mask file, in place of annotations.
        classes: JSON text, the classes of the mask's values.
        reason: why.
        source: name of the image.

    Raises:
        Problem: 422 if there is neither image nor answer, no labelled pixel, both a mask and annotations, categories
            without annotations, or a source that cannot be a name.
    """

    image: bytes | None = None
    segmentation_id: str | None = None
    annotations: _Field = None
    categories: _Field = None
    strokes: _Field = None
    mask: bytes | None = None
    classes: bytes | None = None
    reason: str | None = None
    source: str | None = None
    scope: Scope = "all"

    def __post_init__(self) -> None:
        if self.scope not in ("all", "image"):
            raise Problem(
                422, "The scope is not known.", received=printable(str(self.scope)[:100]), allowed=["all", "image"],
                fix="Send image to change no other image, or leave it out.",
            )  # fmt: skip
        if self.source is not None and not (1 <= len(self.source) <= LONGEST_SOURCE and self.source.isprintable()):
            raise Problem(
                422, "`source` cannot be the name of an image.", received=printable(self.source[:100]),
                allowed=f"1 to {LONGEST_SOURCE} printable characters", fix="Shorten the name, or leave it out.",
            )  # fmt: skip
        given = [name for name in _FIELDS if name != "scope" and getattr(self, name) is not None]
        if self.image is None and self.segmentation_id is None:
            raise Problem(
                422, "The request has no image.", received=given, allowed=["image", "segmentation_id"], fix=_FIX
            )
        if self.annotations is None and self.strokes is None and self.mask is None and self.classes is None:
            raise Problem(422, "The request labels no pixel.", received=given, allowed=_MARKS, fix=_FIX)
        if (self.mask is not None and self.annotations is not None) or (self.mask is None) != (self.classes is None):
            raise Problem(
                422, "The request needs either a mask with classes or annotations, not both.", received=given,
                allowed=_MARKS, fix=_FIX,
            )  # fmt: skip
        if self.categories is not None and self.annotations is None:
            raise Problem(
                422, "`categories` needs `annotations`, whose `category_id` refers to it.", received=given,
                allowed=["annotations and categories"], fix="Add annotations, or leave categories out.",
            )  # fmt: skip

    def marks(self, size: tuple[int, int], max_pixels: int, names: Sequence[str]) -> Marks:
        """The classes of the pixels of an image.

        Args:
            size: (H, W) of the upright image.
            max_pixels: largest width times height of a mask.
            names: of the present classes.

        Raises:
            Problem: 415 or 422 if annotations, strokes or mask are malformed or do not fit the image.
        """
        areas = None
        if self.mask is not None:
            areas = from_mask(self.mask, self.classes or b"", size, max_pixels, names)
        elif self.annotations is not None:
            areas = from_annotations(self.annotations, size, names, self.categories)
        return Marks(areas, None if self.strokes is None else from_strokes(self.strokes, size, names))


class _JsonBody(Body):
    image: str | None = None
    segmentation_id: str | None = None
    annotations: list[Any] | None = None
    categories: list[Any] | None = None
    strokes: list[Any] | None = None
    scope: Scope = "all"
    reason: str | None = None
    source: str | None = None


async def read_labelled_image(request: Request, max_bytes: int) -> LabelledImage:
    """The image and the labelled pixels of a request.

    Raises:
        Problem: 400, 413, 415 or 422 if the body is neither a valid form nor valid JSON.
    """
    if is_form(request):
        return await run_in_threadpool(_of_form, read_form(request))
    if not is_json(request):
        raise Problem(
            415, "The body is neither a form nor JSON.", received=content_type(request)[:100] or None,
            allowed=["multipart/form-data", "application/json"], fix=_FIX,
        )  # fmt: skip
    return await run_in_threadpool(_of_json, taken_body(request), max_bytes)


def _of_form(form: Mapping[str, bytes]) -> LabelledImage:
    unknown = sorted(set(form) - set(_FIELDS))
    if unknown:
        raise Problem(422, "The form has unknown fields.", received=unknown[:20], allowed=list(_FIELDS), fix=_FIX)
    return LabelledImage(
        image=image_field(form) if "image" in form or "segmentation_id" not in form else None,
        segmentation_id=_text(form, "segmentation_id"),
        annotations=form.get("annotations"),
        categories=form.get("categories"),
        strokes=form.get("strokes"),
        mask=form.get("mask"),
        classes=form.get("classes"),
        reason=_text(form, "reason"),
        source=_text(form, "source"),
        scope=cast(Scope, _text(form, "scope") or "all"),  # checked by LabelledImage
    )


def _text(form: Mapping[str, bytes], name: str) -> str | None:
    content = form.get(name)
    return content.decode(errors="replace") if content else None


def _of_json(body: bytes, max_bytes: int) -> LabelledImage:
    try:
        parsed = _JsonBody.model_validate(parsed_json(body, MANY_VALUES))
    except orjson.JSONDecodeError as error:
        raise Problem(400, "The body is not JSON.", received=str(error)[:200], allowed="JSON", fix=_FIX) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(
            422, f"{where[:100]}: {first['msg']}.", received=where[:100],
            allowed="image, segmentation_id, annotations, categories, strokes, scope, reason, source", fix=_FIX,
        ) from error  # fmt: skip
    return LabelledImage(
        image=None if parsed.image is None else decoded_image(parsed.image, max_bytes),
        segmentation_id=parsed.segmentation_id,
        annotations=parsed.annotations,
        categories=parsed.categories,
        strokes=parsed.strokes,
        reason=parsed.reason,
        source=parsed.source,
        scope=parsed.scope,
    )
