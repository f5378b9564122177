"""Answers of /me and /session."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import Wire


class Limit(Wire):
    """How the caller stands with a limit of its key, or of its address where the service asks for no keys."""

    name: Literal["reads_per_minute", "edits_per_minute", "images_per_minute", "images_per_day", "pixels_per_day"] = (
        Field(description="What is limited. Images are requests that segment or relabel; pixels are those of images.")
    )
    quota: int = Field(description="The limit.", examples=[600])
    window_s: int = Field(description="Its time in seconds. A day begins at midnight UTC.", examples=[60])
    remaining: int = Field(description="What is left of the quota now.", examples=[599])
    reset_s: float = Field(description="Seconds until the whole quota is available again.", examples=[0.1])


class Caller(Wire):
    """Who sends the request."""

    name: str = Field(description="Name of the key; `local` where the service asks for no keys.", examples=["local"])
    role: Literal["reader", "curator"] = Field(description="A reader may read; a curator may also edit.")
    keys: bool = Field(description="Whether the service asks for keys.")
    limits: list[Limit] = Field(description="Limits that hold for the caller; empty: there are none.")
