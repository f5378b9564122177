"""Answers about imported archives."""

from typing import Annotated

from pydantic import Field

from service.http.wire.base import IndexRevision, Wire

FileName = Annotated[str, Field(description="Name of the file in the archive.", examples=["images/field_01.jpg"])]


class ImportedImage(Wire):
    """The exemplars of one image of an archive."""

    name: FileName
    revision: int | None = Field(description="Number of the edit; null if all exemplars existed before.", examples=[7])
    exemplars: int = Field(ge=0, description="Number of exemplars that were added.", examples=[12])
    already: int = Field(ge=0, description="Number of exemplars that existed before.", examples=[0])


class SkippedFile(Wire):
    """A file of an archive that was not used."""

    name: FileName
    reason: str = Field(description="Why it was not used.", examples=["no mask"])


class Imported(Wire):
    """The labelled images of an archive as exemplars."""

    index_revision: IndexRevision
    format: str = Field(description="Format of the labels.", examples=["coco"])
    images: list[ImportedImage] = Field(description="Images whose labelled parts are exemplars now.")
    skipped: list[SkippedFile] = Field(description="Files that were not used.")
    notes: list[str] = Field(description="Other things that a user should know, such as shapes that were left out.")
