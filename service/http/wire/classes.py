"""Answers of /classes."""

from typing import Annotated, Literal

from pydantic import Field

from service.http.wire.base import IndexRevision, Wire
from service.http.wire.class_info import ClassInfo
from service.http.wire.edits import Edit


class OfferedClass(ClassInfo):
    """A class that segments may take."""

    exemplars: int = Field(ge=0, description="Number of exemplars of this class that take part in votes.")
    for_one_image: int = Field(ge=0, description="How many of these vote only for segments of their own image.")
    origin: Literal["release", "edit"] = Field(description="Whether the release or an edit brought the class.")


class ClassChanged(Wire):
    """A class that was created or changed."""

    index_revision: IndexRevision
    edit: Annotated[Edit | None, Field(description="The edit; null: the class had this name and colour already.")]
    info: ClassInfo = Field(alias="class", description="The class after the edit.")
