"""The base class of all models of answers, and the types of common fields."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Wire(BaseModel):
    """A JSON object of an answer. Later versions may add fields: a client ignores those it does not know."""

    model_config = ConfigDict(frozen=True)


def never_null(schema: dict[str, Any]) -> None:
    """Remove null from the schema of a field that is absent if it has no value; used as `json_schema_extra`."""
    schema.pop("default", None)
    kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
    schema |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}


ClassId = Annotated[int, Field(ge=0, description="Number of the class; it never changes.", examples=[0])]
ClassName = Annotated[str, Field(description="Name of the class.", examples=["road"])]
SegmentId = Annotated[
    str,
    Field(description="Id of the segment: the segmentation's id, a dash and a number.", examples=[f"{'3f' * 16}-0"]),
]
SegmentationId = Annotated[str, Field(description="Id of the answer.", examples=["3f" * 16])]
ExemplarId = Annotated[str, Field(description="Id of the exemplar.", examples=["e5" * 8])]
ImageId = Annotated[str | None, Field(description="SHA-256 of the image file; null where none was recorded.")]
ImageUrl = Annotated[
    str | None,
    Field(
        description="Path of the image file; null once the image is no longer stored.",
        examples=[f"/segmentations/{'3f' * 16}/image"],
    ),
]
CropUrl = Annotated[str, Field(description="Path of a PNG of its part of the image, with its outline.")]


class Incomplete(Wire):
    """What is missing of an answer because the release that gave it is gone."""

    reason: str = Field(description="Why, in words.", examples=["The release 'streets' that gave this answer is gone."])
    missing: list[str] = Field(description="What is missing, in words.")
    fix: str = Field(description="What can be done.")


ReleaseDigest = Annotated[
    str | None,
    Field(
        description="SHA-256 that identifies the content of the release: another one may have its name later. Null: a "
        "version that did not record it.",
        examples=["3f" * 32],
    ),
]
Release = Annotated[str, Field(description="Name of the release.", examples=["general"])]
Revision = Annotated[int, Field(ge=1, description="Number of the edit.", examples=[7])]
IndexRevision = Annotated[
    int, Field(ge=0, description="Number of the last edit that the answer takes into account; 0: none.", examples=[7])
]
Area = Annotated[int, Field(ge=0, description="Number of pixels.", examples=[5120])]
Share = Annotated[float, Field(ge=0, le=1.000001, description="Share of the vote, 0 to 1.", examples=[0.83])]
Cosine = Annotated[
    float,
    Field(
        ge=-1.0001,
        le=1.0001,
        description="Cosine of the two prototypes; 1: same direction. A float32 with all its digits.",
        examples=[0.94],
    ),
]
Confidence = Annotated[
    float | None,
    Field(
        ge=0,
        le=1,
        description="Calibrated probability that the label is right, 0 to 1; null: the segment is not known, or the "
        "release is not calibrated.",
        examples=[0.91],
    ),
]
Known = Annotated[bool, Field(description="False: no exemplar is similar enough, so the label should not be trusted.")]
LabelId = Annotated[
    int | None,
    Field(ge=0, description="Number of the class; null: there was no exemplar that could vote.", examples=[0]),
]
LabelName = Annotated[
    str | None,
    Field(description="Name of the class; null: there was no exemplar that could vote.", examples=["road"]),
]
Strength = Annotated[
    float, Field(gt=0, description="How many ordinary exemplars this one counts for in a vote.", examples=[1.0])
]
ScopeOfVotes = Annotated[
    Literal["all", "image"],
    Field(description="all: it votes for segments of every image; image: only for those of its own image."),
]
Author = Annotated[
    str,
    Field(
        description="Name of the key of the author; `local` where the service asked for no keys.", examples=["local"]
    ),
]
Time = Annotated[
    str,
    Field(
        description="Time in UTC, RFC 3339 with milliseconds.",
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        json_schema_extra={"format": "date-time"},
        examples=["2026-05-04T09:30:00.000Z"],
    ),
]
