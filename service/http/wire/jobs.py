"""Answers of /adapt and /jobs."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import Author, IndexRevision, Release, ReleaseDigest, Time, Wire
from service.http.wire.batches import SegmentResult
from service.http.wire.building import BuildResult
from service.http.wire.releases import ActivatedRelease

Miou = Field(
    ge=0,
    le=1,
    description="Mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; null: they "
    "cannot be compared, for example because pixels of a class are marked in a single image.",
    examples=[0.71],
)


class AdaptationResult(Wire):
    """The new release of an adaptation."""

    release: Release = Field(description="Name of the new release, which is in GET /releases.")
    before: float | None = Miou
    after: float | None = Miou
    images: int | None = Field(
        None, ge=0, description="Number of images with marks; null: the job is older than this field.", examples=[4]
    )
    better: bool = Field(description="Whether `after` exceeds `before`.")
    head: str = Field(description="The head that was chosen.")
    seconds: float = Field(ge=0, description="Time of the fit, seconds.")
    index_revision: IndexRevision = Field(description="Last edit of the old release that the new one begins with.")
    activated: bool = Field(description="Whether it is served.")
    carried_over: int = Field(
        ge=0, description="Number of edits made on it before it was served, for edits of the old release meanwhile."
    )
    why_not: str | None = Field(description="Why it is not served; null: it is.")


class CarryResult(Wire):
    """The edit that carried over edits of earlier releases."""

    release: Release
    index_revision: IndexRevision
    revision: int | None = Field(
        ge=1, description="Number of the edit of kind carry, which can be reverted; null: no edits waited.",
        examples=[13],
    )  # fmt: skip
    summary: str | None = Field(description="The edit in words; null: no edits waited.")
    exemplars: int = Field(ge=0, description="Number of exemplars that it makes alive.", examples=[12])
    left: list[str] = Field(description="What could not be carried over and why, in words; empty: nothing.")


class Job(Wire):
    """Work that outlives a request."""

    job_id: str = Field(description="Id of the job.", examples=["7b" * 16])
    kind: Literal["adapt", "build", "carry", "segment"] = Field(
        description="adapt: the head of a release is fitted again. build: a release is made from labelled images. "
        "carry: edits of earlier releases of the name are made on the present one. segment: many images are segmented."
    )
    state: Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"] = Field(
        description="interrupted: the service ended before the job did. A job of images goes on instead."
    )
    release: Release = Field(description="The release that it began with.")
    release_digest: ReleaseDigest
    author: Author
    reason: str | None = Field(description="Reason that the author gave; null: none.")
    created: Time
    started: Time | None = Field(description="When work on it began; null: it has not begun.")
    ended: Time | None = Field(description="When it ended; null: it has not ended.")
    stage: str = Field(
        description="What it is doing, or was doing last: queued, start, snapshot, features, head, calibration, "
        "exemplars, activation. Of a build: queued, start, snapshot, images, features, head, calibration, evaluation, "
        "comparison, store. Of a carry: queued, start, images, edit. The last stage stores the result: a new release, "
        "which is served if that is wanted, or the edit. Of a job of images: queued, images, export.",
        examples=["features"],
    )
    done: int = Field(ge=0, description="Steps of the stage, or images, that are done.", examples=[3])
    total: int = Field(ge=0, description="Steps of the stage, or images.", examples=[20])
    progress: float = Field(ge=0, le=1, description="Progress of the whole job, 0 to 1.", examples=[0.35])
    result: AdaptationResult | BuildResult | CarryResult | SegmentResult | None = Field(
        description="The new release, the edit, or the export; null until the job has succeeded."
    )
    problem: str | None = Field(
        description="Why it failed, or what a job of images waits for; null: neither.",
        examples=["The database has no room for more answers."],
    )


class AcceptedJob(ActivatedRelease):
    """The result of serving the new release of a job."""

    carried_over: int = Field(
        ge=0, description="Number of edits made on it before it was served, for edits of the old release meanwhile."
    )
