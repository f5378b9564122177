"""Error answers."""

from typing import Any

from pydantic import Field

from service.http.wire.base import Wire, never_null


class Problem(Wire):
    """An error as RFC 9457 problem JSON: what is wrong, what was received, what is allowed, and how to fix it."""

    type: str = Field(description="Always about:blank: `title` and `status` say what kind it is.")
    title: str = Field(description="The phrase of the status.", examples=["Not Found"])
    status: int = Field(ge=400, le=599, description="HTTP status.", examples=[404])
    detail: str = Field(description="What is wrong, in one sentence.", examples=["There is no such segment."])
    received: Any = Field(None, description="What the request contained, shortened.", examples=["3f-0"])
    allowed: Any = Field(None, description="What it may contain.", examples=["the segment_id of an answer"])
    fix: str | None = Field(
        None, json_schema_extra=never_null, description="What to do about it.", examples=["Segment the image again."]
    )
    request_id: str | None = Field(
        None,
        json_schema_extra=never_null,
        description="Id of the request, also in the header X-Request-ID and in the log.",
    )
