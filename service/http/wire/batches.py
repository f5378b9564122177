"""Answers of /segment/batch and of jobs of images."""

from typing import Literal

from pydantic import Field

from service.http.wire.answers import NewAnswer
from service.http.wire.base import SegmentationId, Wire
from service.http.wire.problems import Problem


class BatchImage(Wire):
    """One image of a batch: its answer, or why it has none."""

    name: str = Field(description="Name of its file, as it was sent.", examples=["street.jpg"])
    status: int = Field(description="Status that the image alone would have had.", examples=[200])
    answer: NewAnswer | None = Field(description="The answer, as POST /segment gives it; null: there is a problem.")
    problem: Problem | None = Field(description="Why the image was not segmented; null: it was.")
    retry_after: int | None = Field(
        description="Seconds to wait before the image is sent again; null: there is no problem, or it will not pass."
    )


class BatchAnswer(Wire):
    """The answers to a batch of images."""

    succeeded: int = Field(ge=0, description="Number of images with an answer.", examples=[2])
    failed: int = Field(ge=0, description="Number of images with a problem.", examples=[1])
    images: list[BatchImage] = Field(description="The images, in the order in which they were sent.")


class SegmentResult(Wire):
    """The result of a job of images: an export as a file."""

    format: str = Field(description="Format of the export.", examples=["coco"])
    file: str = Field(description="Name of the file.", examples=["segsort-coco.zip"])
    media_type: str = Field(description="Its media type.", examples=["application/zip"])
    bytes: int = Field(ge=0, description="Its size.", examples=[1_204_551])
    images: int = Field(ge=0, description="Number of images in it.", examples=[499])
    failed: int = Field(ge=0, description="Number of images that could not be segmented.", examples=[1])
    kept_answers: bool = Field(description="Whether the answers were recorded, so that they can be explained.")
    result_url: str = Field(description="Path of the file.", examples=[f"/jobs/{'7b' * 16}/result"])


class JobImage(Wire):
    """An image of a job."""

    position: int = Field(ge=0, description="Its place among the images that were sent, from 0.")
    name: str = Field(description="Name of its file, as it was sent, with its folders in an archive.")
    state: Literal["waiting", "running", "done", "failed"] = Field(description="What became of it so far.")
    segmentation_id: SegmentationId | None = Field(
        description="Id of its answer; null: it has none yet, or the job does not keep answers."
    )
    problem: Problem | None = Field(description="Why it failed; null: it has not failed.")


class JobImageList(Wire):
    """The images of a job: how many there are in each state, and a page of them."""

    waiting: int = Field(ge=0, description="Number of images that wait.", examples=[120])
    running: int = Field(ge=0, description="Number of images that are being segmented.", examples=[2])
    done: int = Field(ge=0, description="Number of images that are segmented.", examples=[377])
    failed: int = Field(ge=0, description="Number of images that failed.", examples=[1])
    images: list[JobImage] = Field(description="A page of the images, in the order in which they were sent.")
