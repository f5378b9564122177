"""Answers of /me and /session."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import Wire


class Caller(Wire):
    """Who sends the request."""

    name: str = Field(description="Name of the key; `local` where the service asks for no keys.", examples=["local"])
    role: Literal["reader", "curator"] = Field(description="A reader may read; a curator may also edit.")
    keys: bool = Field(description="Whether the service asks for keys.")
