"""Answers of /releases/survey, and results of builds."""

from pydantic import Field

from service.http.wire.base import Release, Wire
from service.http.wire.importing import SkippedFile


class SurveyedClass(Wire):
    """A class of labelled images."""

    name: str = Field(description="Its name in the labels.", examples=["nucleus"])
    color: str = Field(description="Its colour as #rrggbb.", examples=["#e6783c"])
    images: int = Field(ge=0, description="Number of images with it, among those that were counted.", examples=[16])
    share: float = Field(ge=0, le=1, description="Share of the labelled pixels, 0 to 1.", examples=[0.12])
    proposed: str | None = Field(
        description="Name that it may get in the new release: that of a class of the served release which differs in "
        "case and separators alone, or its own. Null: it is in no image, so that it can be left out.",
        examples=["nucleus"],
    )


class Survey(Wire):
    """What is in an archive of labelled images."""

    survey_id: str = Field(description="Id of the archive, for POST /releases/build.", examples=["5c" * 16])
    format: str = Field(description="Format that was found.", examples=["coco"])
    split: str = Field(description="Part of the data, where they have parts.", examples=["train"])
    images: int = Field(ge=0, description="Number of labelled images.", examples=[20])
    counted: int = Field(
        ge=0, description="Number of images whose labels were read; the others would take too long.", examples=[20]
    )
    classes: list[SurveyedClass] = Field(description="Its classes.")
    skipped: list[SkippedFile] = Field(description="Files that are not used, at most 100.")
    skipped_files: int = Field(ge=0, description="Number of files that are not used.", examples=[0])
    notes: list[str] = Field(description="What else should be known of the labels.")
    held_out: int = Field(
        ge=0, description="About how many images a build would hold out to measure the new release.", examples=[4]
    )
    held_out_rule: str = Field(description="How these are chosen, in words.")
    proposed_name: str = Field(description="A name for the new release.", examples=["my-cells"])


class MeasuredClass(Wire):
    """IoU of one class on held-out images, 0 to 1."""

    name: str = Field(description="Name of the class.", examples=["nucleus"])
    iou: float | None = Field(
        ge=0, le=1, description="Of the new release; null: the class is not in these images.", examples=[0.72]
    )
    iou_compared: float | None = Field(
        ge=0, le=1, description="Of the release before; null: not in these images, or nothing was compared."
    )


class BuildResult(Wire):
    """The new release of a build, and how well it labels images that the build did not see."""

    release: Release = Field(description="Name of the new release, which is in GET /releases.")
    images: int = Field(ge=0, description="Number of images that it was built from.", examples=[16])
    exemplars: int = Field(ge=0, description="Number of its exemplars.", examples=[2100])
    held_out: int = Field(ge=0, description="Number of images that were held out.", examples=[4])
    rule: str = Field(description="How these were chosen, in words.")
    miou: float | None = Field(
        ge=0, le=1, description="Mean of the IoU of the classes, on the held-out images; null: there are none."
    )
    compared_with: str | None = Field(description="Release that was served meanwhile; null: it has no exemplars.")
    miou_compared: float | None = Field(
        ge=0,
        le=1,
        description="Of that release on the same images. Classes are matched by name, and one that it does not have "
        "counts as 0. Null: no class has the same name, or nothing was compared.",
    )
    per_class: list[MeasuredClass] = Field(description="The classes of the new release.")
    head: str = Field(description="The head that was chosen.")
    warnings: list[str] = Field(description="What a user should look at, such as classes without exemplars.")
    seconds: float = Field(ge=0, description="Time of the build, seconds.")
