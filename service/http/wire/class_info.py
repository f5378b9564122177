"""The class of all answers."""

from pydantic import Field

from service.http.wire.base import ClassId, Wire


class ClassInfo(Wire):
    """A class."""

    class_id: ClassId
    name: str = Field(description="Name of the class.", examples=["road"])
    color: str = Field(pattern="^#[0-9a-f]{6}$", description="Colour in which it is drawn.", examples=["#804080"])
