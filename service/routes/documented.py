"""Parts of the OpenAPI document that several routes share: answers that are files, and path parameters."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel

from service.http import wire
from service.http.document import schema_ref

Responses = dict[int | str, dict[str, Any]]
BINARY = {"schema": {"type": "string", "format": "binary"}}
IMAGE_TYPES = (
    "image/jpeg", "image/png", "image/webp", "image/avif", "image/tiff", "image/bmp", "image/gif", "image/jp2",
    "image/x-portable-anymap",
)  # fmt: skip
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}}}

SegmentationId = Annotated[str, Path(description="Id of an answer.", examples=["3f" * 16])]
SegmentId = Annotated[str, Path(description="Id of a segment of an answer.", examples=[f"{'3f' * 16}-0"])]
ExemplarId = Annotated[str, Path(description="Id of an exemplar.", examples=["e5" * 8])]
ReleaseName = Annotated[str, Path(description="Name of a release.", examples=["general"])]

PNG: Responses = {200: {"description": "The part of the image, as PNG.", "content": {"image/png": BINARY}}}
IMAGE: Responses = {200: {"description": "The unchanged image file.", "content": dict.fromkeys(IMAGE_TYPES, BINARY)}}
BUSY: Responses = {
    429: {
        "description": "Too many images wait for their turn.",
        "headers": _RETRY_AFTER,
        "content": {"application/problem+json": {"schema": schema_ref(wire.Problem)}},
    },
    504: {
        "description": "The image waited too long for its turn.",
        "content": {"application/problem+json": {"schema": schema_ref(wire.Problem)}},
    },
}
FULL: Responses = {
    507: {
        "description": "The database has no room for more answers. Reading, explaining, deleting and editing go on.",
        "headers": _RETRY_AFTER,
        "content": {"application/problem+json": {"schema": schema_ref(wire.Problem)}},
    },
}


def also(media_type: str, schema: dict[str, Any], description: str) -> Responses:
    """A further media type of the answer 200, which the header Accept selects."""
    return {200: {"description": description, "content": {media_type: schema}}}


def unchanged(model: type[BaseModel]) -> Responses:
    """The answer 200 of an edit without a change."""
    return {200: {"model": model, "description": "There was nothing to change: `edit` is null."}}
