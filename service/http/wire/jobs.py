"""Answers of /adapt and /jobs."""

from typing import Literal

from pydantic import Field

from service.http.wire.base import Author, IndexRevision, Release, Time, Wire

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
    better: bool = Field(description="Whether `after` exceeds `before`.")
    head: str = Field(description="The head that was chosen.")
    seconds: float = Field(ge=0, description="Time of the fit, seconds.")
    index_revision: IndexRevision = Field(description="Last edit of the old release that the new one begins with.")
    activated: bool = Field(description="Whether it is served.")
    carried_over: int = Field(
        ge=0, description="Number of edits made on it before it was served, for edits of the old release meanwhile."
    )
    why_not: str | None = Field(description="Why it is not served; null: it is.")


class Job(Wire):
    """Work that outlives a request."""

    job_id: str = Field(description="Id of the job.", examples=["7b" * 16])
    kind: Literal["adapt"] = Field(description="adapt: the head of a release is fitted again.")
    state: Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"] = Field(
        description="interrupted: the service ended before the job did."
    )
    release: Release = Field(description="The release that it began with.")
    author: Author
    reason: str | None = Field(description="Reason that the author gave; null: none.")
    created: Time
    started: Time | None = Field(description="When work on it began; null: it has not begun.")
    ended: Time | None = Field(description="When it ended; null: it has not ended.")
    stage: str = Field(
        description="What it is doing, or was doing last: queued, start, snapshot, features, head, calibration, "
        "exemplars, activation. The last stage stores the new release and serves it if that is wanted.",
        examples=["features"],
    )
    done: int = Field(ge=0, description="Steps of the stage that are done.", examples=[3])
    total: int = Field(ge=0, description="Steps of the stage.", examples=[20])
    progress: float = Field(ge=0, le=1, description="Progress of the whole job, 0 to 1.", examples=[0.35])
    result: AdaptationResult | None = Field(description="The new release; null until the job has succeeded.")
    problem: str | None = Field(description="Why it failed; null: it has not failed.")
