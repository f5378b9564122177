"""The classes of label maps. It imports nothing heavy, so that processes that read labels start quickly."""

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Base of models that do not change and refuse unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassInfo(Frozen):
    """A class of the label map."""

    class_id: int = Field(ge=0, description="Number of the class; it never changes.")
    name: str = Field(description="Name of the class, unique in the release.")
    color: tuple[int, int, int] = Field(description="Colour as [red, green, blue], each 0 to 255.")
